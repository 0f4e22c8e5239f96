from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from holdfast.control.shortages import HOLD_S, REMEMBER_S, Supply, merge, record, remembered, supply
from holdfast.model.pools import CapacityPool, Shortage

FACT = Shortage("inf2", 100.0, 280.0, "InsufficientCapacityError")
FACTS = st.builds(Shortage, st.sampled_from(("a", "b")), st.floats(0, 9), st.floats(0, 9), st.sampled_from(("x", "y")))


def pool(ready: int, obtained_s: float, *facts: Shortage, ready_since_s: float = 0.0) -> CapacityPool:
    return CapacityPool("inf2", 10.0, 1.0, ready, 0, 4, 0, 8, ready_since_s, facts, obtained_s=obtained_s)


def test_a_recorded_shortage_holds_for_three_minutes() -> None:
    (fact,) = record((), "inf2", 100.0, "InsufficientCapacityError")
    assert fact == FACT
    assert HOLD_S == 180.0
    assert fact.holds(279.9)
    assert not fact.holds(280.0)


def test_a_newer_shortage_of_a_pool_replaces_the_older_and_leaves_others_alone() -> None:
    other = Shortage("g5", 50.0, 60.0, "Unschedulable")
    newer = Shortage("inf2", 150.0, 330.0, "Unschedulable")
    assert record((FACT, other), "inf2", 150.0, "Unschedulable") == (other, newer)


def test_an_old_report_that_arrives_late_does_not_shorten_a_shortage() -> None:
    assert record((FACT,), "inf2", 90.0, "late") == (FACT,)


@given(st.lists(FACTS), st.lists(FACTS))
def test_merging_does_not_depend_on_order_or_repetition(left: list[Shortage], right: list[Shortage]) -> None:
    merged = merge(left, right)
    assert merged == merge(right, left) == merge(merged, left, right)
    assert {fact.pool for fact in merged} == {fact.pool for fact in left + right}


def test_supply_opens_by_way_of_a_probe() -> None:
    lost = pool(0, 0.0, FACT)
    assert supply(lost, 279.9) is Supply.SHUT
    assert supply(lost, 280.0) is Supply.PROBE
    assert supply(lost, 280.0 + REMEMBER_S) is Supply.OPEN


def test_a_pool_that_is_being_probed_and_loses_a_replica_is_still_being_probed() -> None:
    assert supply(pool(2, 120.0, FACT, ready_since_s=300.0), 310.0) is Supply.PROBE


def test_a_probe_that_got_its_capacity_opens_the_pool_before_it_is_ready_and_older_replicas_do_not() -> None:
    assert supply(pool(0, 300.0, FACT), 310.0) is Supply.OPEN
    assert supply(pool(1, 300.0, FACT), 310.0) is Supply.OPEN
    assert supply(pool(2, 120.0, FACT), 310.0) is Supply.PROBE


def test_the_longest_shortage_of_a_pool_decides() -> None:
    assert supply(pool(0, 0.0, Shortage("inf2", 0.0, 90.0, "old"), FACT), 100.0) is Supply.SHUT


def test_a_shortage_is_remembered_while_it_may_ask_for_a_probe() -> None:
    assert remembered((FACT,), 280.0 + REMEMBER_S - 0.1) == (FACT,)
    assert remembered((FACT,), 280.0 + REMEMBER_S) == ()
