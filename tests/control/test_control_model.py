"""Every order of everything that may happen to a small fleet, to a depth (benchmarks/model_check.py goes deeper)."""

from __future__ import annotations

import pytest
from benchmarks.model_checking import scope
from benchmarks.model_checking.explore import CounterexampleError, explore, settle
from benchmarks.model_checking.scope import BrokenError

from holdfast.control import shifts
from holdfast.control.look import Look

SETTLED_LOOKS = 16
"""Looks of 30 s until a fleet that is left alone is settled: shortage, probe, cold starts, dwell and ramp."""


def test_whatever_happens_to_a_fleet_at_rest_keeps_the_invariants_and_settles() -> None:
    found = explore([scope.settled_fleet()], depth=4)
    assert found.states > 15_000
    settle(found, SETTLED_LOOKS)


def test_whatever_happens_at_any_moment_of_a_failover_keeps_the_invariants_and_settles() -> None:
    found = explore(scope.stories()[::2], depth=2)
    assert found.states > 6_000
    settle(found, SETTLED_LOOKS)


@pytest.mark.parametrize("rule", [shifts.leave_lost_capacity, shifts.hold_pace, shifts.hold_unseen])
def test_a_controller_that_lacks_a_rule_is_found_out(rule: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shifts, "RULES", tuple(other for other in shifts.RULES if other is not rule))
    _is_found_out()


def test_a_controller_that_counts_on_replicas_with_an_interruption_notice_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Look, "counted", property(lambda look: {pool.name: pool.ready for pool in look.pools}))
    _is_found_out()


def _is_found_out() -> None:
    scope.decided.cache_clear()
    try:
        with pytest.raises((BrokenError, CounterexampleError)):
            explore([scope.settled_fleet(), *scope.stories()], depth=2)
    finally:
        scope.decided.cache_clear()
