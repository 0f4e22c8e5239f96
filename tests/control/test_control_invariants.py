"""Each invariant finds the decision that breaks it, and only that."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from holdfast.control.decide import decide
from holdfast.control.invariants import check
from holdfast.control.observation import POOLS_STALE_S, RATE_STALE_S, Applied, Observation
from holdfast.model.fleet import CapacityPolicy, DataPlane, RoutingPolicy
from holdfast.model.pools import CapacityPool, RoutingMode

NOW = 10_000.0
COST, CAPACITY = RoutingMode.COST_OPTIMIZED, RoutingMode.CAPACITY_OPTIMIZED
ROUTING = RoutingPolicy.model_validate({"minShare": "1%", "dwell": "120s", "ramp": {"step": "25%", "every": "30s"}})
TARGET_80 = CapacityPolicy.model_validate({"utilizationTarget": "80%"})


def pool(name: str, usd: float, ready: int, planned: int, stable_s: float = 1000.0) -> CapacityPool:
    pending = max(0, planned - ready)
    return CapacityPool(name, 10.0, usd, ready, pending, planned, 1, 10, ready_since_s=NOW - stable_s)


def seen(*pools: CapacityPool, weights: dict[str, int], rate: float | None = 20.0, **applied: Any) -> Observation:
    settled = Applied(weights, COST, mode_since_s=NOW - 1000, last_shift_s=NOW - 1000)
    return Observation(pools, rate, 0.0, 0.0, dataclasses.replace(settled, **applied))


STEADY = seen(pool("a", 1.0, 4, 4), pool("b", 2.0, 3, 3), weights={"a": 98, "b": 2})
LOST = seen(pool("a", 1.0, 0, 4), pool("b", 2.0, 3, 3), weights={"a": 98, "b": 2})
BACK = seen(pool("a", 1.0, 4, 4, stable_s=10.0), pool("b", 2.0, 3, 3), weights={"a": 1, "b": 99}, mode=CAPACITY)
PROVED = seen(pool("a", 1.0, 4, 4), pool("b", 2.0, 3, 3), weights={"a": 1, "b": 99}, mode=CAPACITY)
RECENT = seen(
    pool("a", 1.0, 4, 4), pool("b", 2.0, 3, 3), weights={"a": 1, "b": 99}, mode=CAPACITY, last_shift_s=NOW - 1
)
YOUNG = seen(pool("a", 1.0, 4, 4), pool("b", 2.0, 3, 3), weights={"a": 98, "b": 2}, mode=CAPACITY, mode_since_s=NOW - 9)
BUSY = dataclasses.replace(LOST, rate_per_s=40.0)
BLIND = dataclasses.replace(LOST, pools_age_s=POOLS_STALE_S + 1)
NO_RATE = dataclasses.replace(STEADY, rate_age_s=RATE_STALE_S + 1)


def violations(observation: Observation, **change: Any) -> list[str]:
    decision = decide(observation, ROUTING, TARGET_80, NOW)
    assert check(observation, decision, ROUTING, TARGET_80, NOW) == []
    return check(observation, dataclasses.replace(decision, **change), ROUTING, TARGET_80, NOW)


@pytest.mark.parametrize(
    ("observation", "change", "sentence"),
    [
        (LOST, {"weights": {"a": 1, "b": 99}}, "pool a has weight 1 and no ready replica, while b has"),
        (BUSY, {"weights": {"a": 98, "b": 2}}, "pool a has weight 98 and no ready replica, while b has"),
        (
            dataclasses.replace(STEADY, rate_per_s=36.0),
            {"weights": {"a": 10, "b": 90}},
            "pool b is given 32.4/s and its ready replicas hold 30/s, while a has room",
        ),
        (STEADY, {"weights": {"a": 98, "b": 1}}, "the weights sum to 99 and not to 100"),
        (STEADY, {"weights": {"a": 100}}, "the weights name ['a'], which are not the pools of the fleet"),
        (STEADY, {"weights": {"a": 101, "b": -1}}, "pool b has the weight -1, which is not an integer within 0..999"),
        (
            STEADY,
            {"weights": {"a": 97.5, "b": 2.5}},
            "pool a has the weight 97.5, which is not an integer within 0..999",
        ),
        (
            dataclasses.replace(STEADY, rate_per_s=36.0, applied=Applied({"a": 40, "b": 60}, COST, 0.0, 0.0)),
            {"weights": {"a": 10, "b": 90}},
            "pool b is raised to 90 ahead of its 3 ready replicas",
        ),
        (BUSY, {"replicas": {"a": 4, "b": 3}}, "pool b is not raised though 30/s of 50/s are on their way"),
        (BACK, {"weights": {"a": 20, "b": 80}}, "pool a is raised to 20 before it has proved itself"),
        (PROVED, {"weights": {"a": 98, "b": 2}}, "97 units of weight move at once, where a step is 25"),
        (RECENT, {"weights": {"a": 2, "b": 98}}, "a step is taken 1 s after the last"),
        (
            seen(
                pool("a", 1.0, 4, 4),
                pool("b", 2.0, 3, 3),
                pool("c", 3.0, 0, 1),
                weights={"a": 10, "b": 89, "c": 1},
            ),
            {"weights": {"a": 90, "b": 10, "c": 0}},
            "pool b loses weight though it can carry it",
        ),
        (YOUNG, {"mode": COST, "mode_since_s": NOW}, "capacity-optimized mode lasted 9 s of its 120 s"),
        (STEADY, {"mode": CAPACITY, "mode_since_s": NOW}, "the fleet fails over though no capacity is lost"),
        (STEADY, {"mode_since_s": NOW}, "the clock of an unchanged mode was set anew"),
        (STEADY, {"summary": "Yesterday it was otherwise."}, "a controller that starts anew here decides otherwise"),
        (BLIND, {"weights": {"a": 0, "b": 100}}, "weights change though nothing is known"),
        (BLIND, {"replicas": {"b": 9}}, "replicas change though nothing is known"),
        (
            NO_RATE,
            {"weights": {"a": 90, "b": 10}},
            "pool a loses weight though the rate is unknown and it can carry the presumed one",
        ),
        (
            NO_RATE,
            {"replicas": {"a": 3, "b": 3}},
            "pool a is asked for 3 of its 4 replicas though the rate is unknown",
        ),
    ],
)
def test_a_broken_invariant_is_named(observation: Observation, change: dict[str, Any], sentence: str) -> None:
    assert sentence in violations(observation, **change)


def test_an_alb_takes_five_pools_and_other_data_planes_more() -> None:
    pools = [pool(name, 1.0, 1, 1) for name in "abcdef"]
    observation = seen(*pools, weights={"a": 95} | dict.fromkeys("bcdef", 1))
    decision = decide(observation, ROUTING, TARGET_80, NOW)
    assert check(observation, decision, ROUTING, TARGET_80, NOW, data_plane=DataPlane.LOCAL) == []
    assert check(observation, decision, ROUTING, TARGET_80, NOW, data_plane=DataPlane.ALB) == [
        "the weights name 6 pools, and an ALB action takes at most 5 target groups"
    ]
