"""The loop that steers a fleet of this machine: what is sound is applied, what is not is refused and said."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from holdfast.control.decide import decide
from holdfast.control.decision import Decision
from holdfast.control.observation import Observation
from holdfast.control.policies import Decide
from holdfast.control.pool_states import PoolState
from holdfast.local import fleet as fleets
from holdfast.local.fleet import PoolSpec
from holdfast.local.steer import Steering, Tick
from holdfast.model.fleet import CapacityPolicy, RoutingPolicy

Specs = Callable[..., PoolSpec]
PLAN = {"a": 75, "b": 25}


def steered(directory: Path, specs: list[PoolSpec], by: Decide, body: Callable[[Steering], Awaitable[None]]) -> None:
    """`body` with the steering of a fleet that is ready, by a policy that keeps the weights of PLAN; at most 20 s."""

    async def bounded() -> None:
        async with asyncio.timeout(20), fleets.running(specs, directory, weights=PLAN) as fleet:
            await fleet.wait_ready(10)
            heard: list[Tick] = []
            routing = RoutingPolicy.model_validate({"policy": "static", "dwell": "60s"})
            await body(
                Steering(
                    fleet,
                    routing,
                    CapacityPolicy(),
                    plan_weights=PLAN,
                    clock=time.monotonic,
                    tell=heard.append,
                    decide=by,
                )
            )
            assert heard

    asyncio.run(bounded())


def test_a_decision_that_breaks_an_invariant_is_refused_and_says_which(tmp_path: Path, spec: Specs) -> None:
    """The policy is wrong once: it gives 101 of 100 and asks for nothing of b."""

    def wrong(observation: Observation, routing: RoutingPolicy, capacity: CapacityPolicy, now_s: float) -> Decision:
        sound = decide(observation, routing, capacity, now_s)
        return dataclasses.replace(sound, weights={"a": 1, "b": 100}, replicas={"a": 1, "b": 0})

    async def body(steering: Steering) -> None:
        tick = await steering.tick()
        assert tick.refused == (
            "the weights sum to 101 and not to 100",
            "a controller that starts anew here decides otherwise",
        )
        again = await steering.tick()
        assert dict(again.observation.applied.weights) == PLAN
        assert [pool.ready + pool.pending for pool in again.observation.pools] == [1, 1]

    steered(tmp_path, [spec("a"), spec("b")], wrong, body)


def test_looks_that_contradict_each_other_are_refused(tmp_path: Path, spec: Specs) -> None:
    """A pool that was lost a moment ago cannot have been stable for its dwell time."""
    found = iter((PoolState.LOST, PoolState.SERVING))

    def claiming(observation: Observation, routing: RoutingPolicy, capacity: CapacityPolicy, now_s: float) -> Decision:
        return dataclasses.replace(decide(observation, routing, capacity, now_s), states={"a": next(found)})

    async def body(steering: Steering) -> None:
        await steering.tick()
        assert "pool a cannot go from LOST to SERVING in one look" in (await steering.tick()).refused

    steered(tmp_path, [spec("a"), spec("b")], claiming, body)


def test_a_sound_decision_is_applied(tmp_path: Path, spec: Specs) -> None:
    async def body(steering: Steering) -> None:
        tick = await steering.tick()
        assert (tick.refused, dict(tick.decision.weights)) == ((), PLAN)

    steered(tmp_path, [spec("a"), spec("b")], decide, body)
