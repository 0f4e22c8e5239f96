"""Totals and the last ten seconds of a run, from batches of rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.load.tally import BOUNDS_S, Batch, Spread, Tally
from holdfast.model.records import Outcome, RequestRecord, RequestTable


def record(
    end_s: float, latency_s: float = 0.1, outcome: Outcome = Outcome.OK, stage: int = 0, chunks: int = 1
) -> RequestRecord:
    intended_s = end_s - latency_s
    return RequestRecord(
        stage, intended_s, intended_s, end_s, intended_s + latency_s / 2, end_s, math.nan, chunks, 7, -1, 7, chunks,
        200, outcome,
    )  # fmt: skip


def batch(*records: RequestRecord) -> Batch:
    table = RequestTable.of(records)
    return lambda name: np.asarray(getattr(table, name))


def test_totals_grow_with_every_batch() -> None:
    tally = Tally("A")
    tally.take(batch(record(1.0, 0.2), record(1.1, 0.3, Outcome.TIMEOUT)), 1.2)
    tally.take(batch(record(2.0, 0.4, chunks=5)), 2.1)
    totals = tally.totals
    assert (totals.of(Outcome.OK), totals.of(Outcome.TIMEOUT), totals.errors) == (2, 1, {"timeout": 1})
    assert totals.latency.sum_s == pytest.approx(0.6)
    assert totals.ttft.sum_s == pytest.approx(0.2)
    assert sum(totals.ttft.counts) == 1  # only a stream has a first token
    assert sum(totals.lag.counts) == 3
    assert (totals.tokens_in, totals.tokens_out) == (14, 5)


def test_what_was_sent_before_the_load_began_does_not_count() -> None:
    tally = Tally()
    tally.take(batch(record(1.0, stage=-1)), 1.0)
    assert tally.totals.of(Outcome.OK) == 0


def test_a_value_on_a_bound_lies_below_it() -> None:
    counts = Spread().plus(np.array([0.001, 0.0011, 500.0, 501.0])).counts
    assert (counts[0], counts[1], counts[-2], counts[-1]) == (1, 1, 1, 1)


@given(st.lists(st.lists(st.floats(0, 1000), max_size=20), max_size=5))
def test_buckets_hold_every_value_once_however_they_come(batches: list[list[float]]) -> None:
    spread = Spread()
    for values in batches:
        spread = spread.plus(np.array(values, dtype=float))
    everything = [value for values in batches for value in values]
    for index, bound in enumerate(BOUNDS_S):
        assert sum(spread.counts[: index + 1]) == sum(value <= bound for value in everything)
    assert sum(spread.counts) == len(everything)
    assert spread.sum_s == pytest.approx(sum(everything))


def test_a_glance_is_over_the_last_ten_seconds() -> None:
    tally = Tally()
    tally.glance(0.0, 0, 0)
    for second in range(1, 31):
        latency_s = 0.5 if second <= 20 else 0.1
        tally.take(batch(*[record(second - n / 10, latency_s) for n in range(10)]), float(second))
        seen = tally.glance(float(second), 12 * second, 3)
    assert seen.offered_per_s == pytest.approx(12, rel=0.2)
    assert seen.served_per_s == pytest.approx(10)
    assert seen.latency_p50_s == pytest.approx(0.1)
    assert seen.latency_p95_s == pytest.approx(0.1)
    assert (seen.in_flight, math.isnan(seen.ttft_p50_s)) == (3, True)


def test_a_young_run_is_not_thinned_by_seconds_that_were_not() -> None:
    tally = Tally()
    tally.glance(5.0, 0, 0)
    tally.take(batch(*[record(5.0 + n / 10) for n in range(1, 21)]), 7.0)
    seen = tally.glance(7.2, 24, 4)
    assert seen.served_per_s == pytest.approx(10)
    assert seen.offered_per_s == pytest.approx(24 / 2.2)


def test_when_nothing_ends_any_more_the_rate_falls_to_nothing() -> None:
    tally = Tally()
    tally.take(batch(record(1.0)), 1.0)
    assert tally.glance(100.0, 1, 9).served_per_s == 0


def test_a_glance_at_nothing_has_no_figures() -> None:
    seen = Tally().glance(0.0, 0, 0)
    assert math.isnan(seen.latency_p50_s)
    assert math.isnan(seen.offered_per_s)
    assert seen.served_per_s == 0


def test_memory_is_that_of_the_window_whatever_the_length_of_the_run() -> None:
    tally = Tally()
    for second in range(200):
        tally.take(batch(*[record(second + n / 10) for n in range(10)]), second + 1.0)
        tally.glance(second + 1.0, 10 * second, 0)
    assert len(tally._recent.end_s) <= 101
    assert len(tally._sent) <= 12


def test_under_a_time_scale_the_window_is_ten_seconds_of_the_wall() -> None:
    tally = Tally(time_scale=10.0)
    tally.glance(0.0, 0, 0)
    tally.take(batch(*[record(float(t)) for t in range(1, 101)]), 100.0)
    assert tally.glance(100.0, 100, 0).served_per_s == pytest.approx(1.0)
