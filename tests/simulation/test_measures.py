"""Whether an SLO was kept, and when a fleet had recovered."""

from __future__ import annotations

import pytest

from holdfast.model.errors import InputError
from holdfast.model.fleet import Slo
from holdfast.simulation.measures import Bounds, Tally, Windows

BOUNDS = Bounds(Slo.model_validate({"latency": {"avg": "1s", "p95": "2s"}, "errorRate": "1%"}))


def tally(served: int = 100, bad: int = 0, mean_s: float = 0.5, over: tuple[int, int] = (0, 0)) -> Tally:
    return Tally(served + bad, served, bad, mean_s * served, over)


@pytest.mark.parametrize(
    ("window", "kept"),
    [
        (tally(), True),
        (tally(mean_s=1.01), False),
        (tally(over=(90, 5)), True),  # only the percentile's bound counts what is over it
        (tally(over=(90, 6)), False),
        (tally(bad=1), True),
        (tally(bad=2), False),
        (tally(served=0), True),
        (Tally(5, 0, 0, 0.0, (0, 0)), False),  # five came, and none was answered
    ],
)
def test_a_window_keeps_every_bound_or_breaks_the_slo(window: Tally, kept: bool) -> None:
    assert BOUNDS.kept(window) is kept


def test_an_slo_without_a_bound_on_the_whole_latency_is_refused() -> None:
    with pytest.raises(InputError, match="bounds no end-to-end latency"):
        Bounds(Slo.model_validate({"ttft": {"p95": "1s"}}))


def windows(bad_s: range, mean_s: float = 0.5, until_s: int = 1000) -> Windows:
    """A second at a time, 100 requests each; in the bad ones nothing is served, or late."""
    found = Windows(BOUNDS)
    for t_s in range(1, until_s + 1):
        bad = t_s - 1 in bad_s
        found.add(float(t_s), tally(mean_s=mean_s) if bad and mean_s > 1 else tally(0 if bad else 100, 100 * bad))
    return found


def test_a_fleet_that_never_failed_recovers_at_once() -> None:
    assert windows(range(0)).restored_s(100.0) == windows(range(0)).recovery_s(100.0) == 0.0


def test_recovery_is_counted_to_the_end_of_what_was_bad() -> None:
    found = windows(range(110, 130))
    # A window of 11 s (110 requests per root of the rate) forgives half a second in it, one of 30 s one and a half.
    assert found.restored_s(100.0) == 30.0
    assert found.recovery_s(100.0) == 29.0


def test_late_answers_restore_the_load_and_do_not_recover_the_slo() -> None:
    found = windows(range(110, 130), mean_s=30.0)
    assert found.restored_s(100.0) == 0.0
    assert found.recovery_s(100.0) == 30.0


def test_a_fleet_that_is_down_at_the_end_has_not_recovered() -> None:
    assert windows(range(110, 1000)).recovery_s(100.0) is None
