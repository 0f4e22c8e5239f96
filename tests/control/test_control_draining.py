"""Replicas with an interruption notice: left before they are gone, replaced ahead of it.

`a` costs less than `b`; every replica holds 10 requests/s and is filled to 80 %.
"""

from __future__ import annotations

import dataclasses

import pytest

from holdfast.control.decide import decide
from holdfast.control.decision import Decision
from holdfast.control.invariants import check
from holdfast.control.look import LEAVE_S
from holdfast.control.observation import Applied, Observation
from holdfast.control.pool_states import MOVES, PoolState, follow
from holdfast.control.states import IllegalMoveError
from holdfast.model.errors import InputError
from holdfast.model.fleet import CapacityPolicy, RoutingPolicy
from holdfast.model.pools import CapacityPool, RoutingMode, Shortage

NOW = 10_000.0
ROUTING = RoutingPolicy.model_validate({"minShare": "1%", "dwell": "120s", "ramp": {"step": "25%", "every": "30s"}})
CAPACITY = CapacityPolicy.model_validate({"utilizationTarget": "80%"})


def pool(name: str, ready: int, draining: int = 0, *, gone_in_s: float = 120.0, most: int = 10) -> CapacityPool:
    """A pool at its plan; its replicas lasted when the notice came, just now."""
    since_s = NOW if draining else NOW - 1000
    usd = {"a": 1.0, "b": 2.0}[name]
    return CapacityPool(name, 10.0, usd, ready, 0, ready, 0, most, since_s, (), draining, NOW + gone_in_s)


def seen(*pools: CapacityPool, weights: tuple[int, int], rate: float | None) -> Observation:
    applied = Applied({"a": weights[0], "b": weights[1]}, RoutingMode.COST_OPTIMIZED, NOW - 1000, NOW - 1000)
    return Observation(pools, rate, 0.0, 0.0, applied)


def decided(observation: Observation) -> Decision:
    decision = decide(observation, ROUTING, CAPACITY, NOW)
    assert check(observation, decision, ROUTING, CAPACITY, NOW) == []
    return decision


def test_weight_leaves_in_the_look_that_sees_the_notice_when_others_can_carry_it() -> None:
    decision = decided(seen(pool("a", 2, 2), pool("b", 3), weights=(99, 1), rate=16.0))
    assert decision.weights == {"a": 0, "b": 100}
    assert decision.states["a"] is PoolState.DRAINING


def test_the_lasting_replicas_of_a_pool_are_filled_to_their_ease_and_the_rest_leaves() -> None:
    """Two are at ease to 70 %, and three to 79 %."""
    decision = decided(seen(pool("a", 4, 2), pool("b", 3), weights=(99, 1), rate=25.0))
    assert decision.weights == {"a": 56, "b": 44}


def test_replacements_are_asked_for_while_the_noticed_replicas_still_serve() -> None:
    decision = decided(seen(pool("a", 4, 2), pool("b", 3), weights=(99, 1), rate=25.0))
    assert decision.replicas["a"] == 4
    assert "2 of 4 ready have an interruption notice" in decision.reasons["a"]


def test_replacements_do_not_exceed_the_maximum_of_the_pool_and_spill_over() -> None:
    decision = decided(seen(pool("a", 4, 4, most=3), pool("b", 1), weights=(99, 1), rate=30.0))
    assert decision.replicas == {"a": 3, "b": 4}


def test_a_notice_that_leaves_a_pool_crowded_spills_over_in_the_look_that_sees_it() -> None:
    """Found in the reclaim storm: what would last carried the share at 98 %, and nothing was asked of b."""
    decision = decided(seen(pool("a", 10, 2), pool("b", 1), weights=(99, 1), rate=81.0))
    assert decision.mode is RoutingMode.CAPACITY_OPTIMIZED
    assert decision.replicas == {"a": 10, "b": 3}


def test_a_notice_for_few_of_many_is_no_failover() -> None:
    decision = decided(seen(pool("a", 10, 1), pool("b", 1), weights=(99, 1), rate=80.0))
    assert decision.mode is RoutingMode.COST_OPTIMIZED
    assert decision.replicas == {"a": 10, "b": 1}


def test_replacements_that_are_on_their_way_are_not_asked_for_again() -> None:
    """Looks follow each other in a second; what one more look asks for must not be more."""
    on_the_way = dataclasses.replace(pool("a", 4, 2), pending=2, starting=2)
    decision = decided(seen(on_the_way, pool("b", 3), weights=(99, 1), rate=25.0))
    assert decision.replicas["a"] == 4


def test_noticed_replicas_serve_what_nobody_else_can_carry() -> None:
    """One of b would break under 30/s; the four of a have 90 s left in which others come up."""
    decision = decided(seen(pool("a", 4, 4), pool("b", 1), weights=(99, 1), rate=30.0))
    assert decision.weights == {"a": 83, "b": 17}


@pytest.mark.parametrize("rate", [30.0, None])
@pytest.mark.parametrize(("gone_in_s", "left"), [(LEAVE_S + 1, False), (LEAVE_S, True), (-1.0, True)])
def test_the_last_seconds_of_a_replica_carry_nothing(rate: float | None, gone_in_s: float, left: bool) -> None:
    dying = pool("a", 4, 4, gone_in_s=gone_in_s)
    decision = decided(seen(dying, pool("b", 1), weights=(99, 1), rate=rate))
    assert (decision.weights["a"] == 0) is left


def test_when_everything_is_about_to_go_the_weights_stay_where_replicas_are() -> None:
    dying = (pool("a", 4, 4, gone_in_s=5.0), pool("b", 1, 1, gone_in_s=5.0))
    decision = decided(seen(*dying, weights=(97, 3), rate=20.0))
    assert decision.weights == {"a": 97, "b": 3}
    assert decision.replicas == {"a": 4, "b": 1}


def test_the_next_look_comes_when_noticed_replicas_must_be_left() -> None:
    decision = decided(seen(pool("a", 4, 4, gone_in_s=LEAVE_S + 4.0), pool("b", 1), weights=(99, 1), rate=30.0))
    assert decision.next_look_s == pytest.approx(NOW + 4.0)


def test_a_shut_pool_is_not_asked_for_replacements_and_a_probed_one_for_a_single_one() -> None:
    for expires_s, asked in ((NOW + 60, 1), (NOW - 60, 2)):
        fact = Shortage("a", NOW - 200, expires_s, "InsufficientCapacityError")
        short = CapacityPool("a", 10.0, 1.0, 4, 0, 4, 0, 10, NOW - 100, (fact,), 3, NOW + 20)
        assert decided(seen(short, pool("b", 3), weights=(99, 1), rate=20.0)).replicas["a"] == asked


def test_more_draining_than_ready_is_refused() -> None:
    with pytest.raises(InputError, match="3 replicas are draining of 2 that are ready"):
        seen(pool("a", 2, 3), pool("b", 1), weights=(99, 1), rate=1.0)


def test_a_pool_without_lasting_replicas_is_not_trusted_at_the_next_look() -> None:
    for before in PoolState:
        refused = {PoolState.RAMPING, PoolState.SERVING} if before in (PoolState.LOST, PoolState.IDLE) else set()
        assert set(PoolState) - MOVES[before] == refused
        for after in refused:
            with pytest.raises(IllegalMoveError, match=f"pool a cannot go from {before.name} to {after.name}"):
                follow({"a": before}, {"a": after})


def test_a_pool_that_is_new_or_gone_makes_no_move() -> None:
    follow({"a": PoolState.LOST}, {"b": PoolState.SERVING})
