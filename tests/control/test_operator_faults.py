"""Runs in which the API server fails an operator at every turn, and what all of them have in common.

`make test` plays sixty of them, `make test-faults` two hundred.

Each run goes on from a fleet that serves. A pool's nodes are withdrawn, and in some runs the operator is killed and
another started; all the while a share of all requests of the operator meets a fault: 429, 500, 503, a connection lost
before or after the effect, slow answers, streams that are cut, fall silent or are told 410. Then nodes come back,
faults end, and the fleet must end as it does without any; the weights to within their dead band.
"""

from __future__ import annotations

import functools
import json
import os
import random
from typing import Any

import pytest

from cluster import scenes
from cluster.fleets import HURRIED, sd21
from cluster.scenes import Scene
from cluster.view import name
from cluster.witness import ACTION
from cluster.world import World
from holdfast.control import shares
from holdfast.control.shifts import DEAD_BAND
from holdfast.kube.answers import SILENCE_S
from holdfast.kube.watching import MOST_S
from kube_api.api import Api
from kube_api.faults import Fault, Seeded
from kube_api.requests import Request

SEEDS = int(os.environ.get("HOLDFAST_FAULT_SEEDS", "60"))
BATCH = 20
SHARE = 0.2
"""Of requests that fail."""

LOST = "inf2-neuronx"
RATE_PER_S = 2.0

UNSEEN_S = SILENCE_S + 45.0
"""How long an empty pool may keep weight in the worst of runs: a stream falls silent just then, and what replaces it
fails a few times. Nobody can act on what he is not told."""

RENEW_S, READ_S = 5.0, 25.0
"""Slower than in production, to be cheap: of the lease, and of metrics."""


class Ending:
    """Faults until they are over."""

    def __init__(self, seed: int) -> None:
        self._faults = Seeded(seed, SHARE)
        self.over = False

    def __call__(self, request: Request) -> Fault | None:
        return None if self.over else self._faults(request)

    @property
    def count(self) -> int:
        return self._faults.count


@functools.cache
def serving() -> Scene:
    fleet = sd21(HURRIED, "inference", units=2, rate="2/s", peak="3/s", most=4)
    return scenes.served(fleet, pace=HURRIED, offered_per_s=RATE_PER_S)


def run(seed: int | None) -> tuple[Any, int]:
    """The fleet's objects at the end, and how many faults there were; without any where there is no seed."""
    chance = random.Random(seed)
    faults = Ending(seed or 0)
    faults.over = seed is None

    async def story(world: World) -> None:
        world.offered_per_s = RATE_PER_S
        world.tolerated_s = HURRIED.reaction_s if seed is None else UNSEEN_S
        await world.operators.start("a")
        await world.rest(chance.uniform(8.0, 20.0))
        await world.karpenter.withdraw(world.pool(LOST))
        if chance.random() < 0.75:
            # Others may be had at once: no shortage, whose hold of three minutes is what takes a run so long.
            world.karpenter.restore(world.pool(LOST))
        await world.rest(chance.uniform(0.0, 10.0))
        if chance.random() < 0.5:
            await world.operators.kill("a")
            await world.operators.start("b")
        await world.rest(chance.uniform(5.0, 30.0))
        world.karpenter.restore(world.pool(LOST))
        faults.over = True
        # A stream that has just fallen silent is noticed only now.
        await world.rest(SILENCE_S + MOST_S)
        await world.until(lambda: world.witness.now.ready.get(LOST, 0) > 0, 600.0, "the pool is back")
        await world.settled(2)

    scene = scenes.play(story, serving(), faults=faults, pace=HURRIED, renew_s=RENEW_S, read_s=READ_S)
    return declared(scene.api), faults.count


def declared(api: Api) -> Any:
    """What the operator has applied, without what differs between two equal clusters."""
    found = {}
    for _, stored in api.store.everything():
        one = stored.object
        if one["metadata"].get("labels", {}).get("app.kubernetes.io/managed-by") != "holdfast":
            continue
        if one["kind"] in ("Pod", "NodeClaim", "Node", "NodePool"):
            continue
        annotations = dict(one["metadata"].get("annotations", {}))
        if one["kind"] == "Ingress":
            record = json.loads(annotations["holdfast.dev/routing"])
            found["weights"], found["mode"] = record["weights"], record["mode"]
            for key in ("holdfast.dev/routing", "holdfast.dev/applied", ACTION):
                annotations.pop(key, None)
        # How many replicas a Deployment has is its autoscaler's to say, who takes minutes to take one back.
        spec = {key: value for key, value in one.get("spec", {}).items() if key != "replicas"}
        found[f"{one['kind']} {name(one)}"] = spec, one.get("data"), annotations
    return found


@functools.cache
def undisturbed() -> Any:
    return run(None)[0]


@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
def test_whatever_the_api_server_does_the_fleet_ends_as_without_it(first: int) -> None:
    wanted, faults = undisturbed(), 0
    for seed in range(first, first + BATCH):
        found, count = run(seed)
        faults += count
        assert shares.distance(found.pop("weights"), wanted["weights"]) <= DEAD_BAND, seed
        assert found == {key: value for key, value in wanted.items() if key != "weights"}, seed
    assert faults > BATCH
