"""What each policy does with the same fleet, and what it promises. `inf2` costs least, then `g5`, then `l4`."""

from __future__ import annotations

import dataclasses
from typing import get_args

import pytest

from holdfast.control import promises
from holdfast.control.decide import decide
from holdfast.control.decision import Decision
from holdfast.control.invariants import check
from holdfast.control.observation import POOLS_STALE_S, Applied, Observation
from holdfast.control.policies import POLICIES
from holdfast.model.fleet import CapacityPolicy, RoutingPolicy
from holdfast.model.pools import CapacityPool, RoutingMode, Shortage

NOW = 10_000.0
COST, CAPACITY = RoutingMode.COST_OPTIMIZED, RoutingMode.CAPACITY_OPTIMIZED


def pool(name: str, usd: float, ready: int, *facts: Shortage) -> CapacityPool:
    return CapacityPool(name, 10.0, usd, ready, 0, 4, 1, 10, NOW - 1000, facts)


def short(ago_s: float) -> Shortage:
    return Shortage("g5", NOW - ago_s, NOW - ago_s + 180, "InsufficientCapacityError")


def seen(*pools: CapacityPool, mode: RoutingMode = COST) -> Observation:
    """A look at pools that are routed to equally since long ago; of the rate nothing is known."""
    weights = dict(zip((pool.name for pool in pools), (34, 33, 33), strict=True))
    return Observation(pools, None, 0.0, 0.0, Applied(weights, mode, NOW - 1000, NOW - 1000))


def decided(policy: str, observation: Observation) -> Decision:
    routing = RoutingPolicy.model_validate({"policy": policy})
    decision = decide(observation, routing, CapacityPolicy(), NOW)
    assert check(observation, decision, routing, CapacityPolicy(), NOW) == []
    return decision


HEALTHY = (pool("inf2", 1.0, 6), pool("g5", 2.0, 3), pool("l4", 4.0, 1))


def test_a_fleet_may_name_every_policy_and_no_other() -> None:
    assert tuple(POLICIES) == get_args(RoutingPolicy.model_fields["policy"].annotation)
    assert RoutingPolicy().policy == "merit-order"


def test_merit_order_alone_promises_everything() -> None:
    assert [name for name, policy in POLICIES.items() if policy.promises == promises.ALL] == ["merit-order"]


def test_round_robin_gives_every_ready_replica_the_same_share() -> None:
    decision = decided("round-robin", seen(*HEALTHY))
    assert (decision.weights, decision.mode, decision.replicas) == ({"inf2": 60, "g5": 30, "l4": 10}, CAPACITY, {})


def test_round_robin_leaves_a_dead_pool() -> None:
    assert decided("round-robin", seen(*HEALTHY[:2], pool("l4", 4.0, 0))).weights == {"inf2": 67, "g5": 33, "l4": 0}


def test_two_mode_weighs_by_inverse_cost_whatever_is_ready() -> None:
    """As published: nobody tells it that inf2 is gone, and a third of a target group's requests fail."""
    dead = (pool("inf2", 1.0, 0), *HEALTHY[1:])
    for pools in (HEALTHY, dead):
        decision = decided("two-mode", seen(*pools))
        assert (decision.weights, decision.mode) == ({"inf2": 57, "g5": 29, "l4": 14}, COST)


def test_two_mode_flips_the_whole_fleet_for_one_shortage_and_looks_again_in_five_minutes() -> None:
    decision = decided("two-mode", seen(HEALTHY[0], pool("g5", 2.0, 3, short(299.0)), HEALTHY[2]))
    assert (decision.weights, decision.mode) == ({"inf2": 60, "g5": 30, "l4": 10}, CAPACITY)
    assert (decision.mode_since_s, decision.next_look_s) == (NOW, NOW + 300)
    assert decision.summary == "The fleet is in capacity-optimized mode: capacity was short (g5)."


def test_two_mode_fails_back_at_once_when_no_pool_was_short_since_its_last_look() -> None:
    decision = decided("two-mode", seen(HEALTHY[0], pool("g5", 2.0, 3, short(301.0)), HEALTHY[2], mode=CAPACITY))
    assert (decision.mode, decision.weights["inf2"]) == (COST, 57)


def test_two_mode_does_not_promise_to_leave_a_dead_pool() -> None:
    assert promises.no_traffic_to_the_dead not in POLICIES["two-mode"].promises


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_holds_the_weights_when_the_pools_are_unknown(name: str) -> None:
    observation = dataclasses.replace(seen(*HEALTHY, mode=CAPACITY), pools_age_s=POOLS_STALE_S + 1)
    decision = decided(name, observation)
    assert (decision.weights, decision.replicas) == (observation.applied.weights, {})
    assert (decision.mode, decision.last_shift_s) == (CAPACITY, NOW - 1000)


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_holds_the_weights_when_nothing_is_ready(name: str) -> None:
    nothing = seen(*(dataclasses.replace(pool, ready=0) for pool in HEALTHY))
    nothing = dataclasses.replace(
        nothing, pools=tuple(dataclasses.replace(p, shortages=(short(9.0),)) for p in nothing.pools)
    )
    assert decided(name, nothing).weights == {"inf2": 34, "g5": 33, "l4": 33}


@pytest.mark.parametrize("name", POLICIES)
def test_every_pool_has_a_reason(name: str) -> None:
    reasons = decided(name, seen(*HEALTHY)).reasons
    assert all(reasons[pool.name].startswith("has ") and reasons[pool.name].endswith(".") for pool in HEALTHY)


@pytest.mark.parametrize(
    ("name", "sound"), [("round-robin", False), ("static", False), ("two-mode", True), ("merit-order", False)]
)
def test_a_decision_is_judged_by_what_its_policy_promises(name: str, sound: bool) -> None:
    observation = seen(pool("inf2", 1.0, 0), *HEALTHY[1:])
    to_the_dead = decided("two-mode", observation)
    routing = RoutingPolicy.model_validate({"policy": name})
    assert (not check(observation, to_the_dead, routing, CapacityPolicy(), NOW)) is sound
