"""Estimates of a difference hold the truth as often as they say, and know that a queue remembers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.limits import estimates
from holdfast.limits.estimates import Estimate, Sampled


@pytest.mark.parametrize(
    ("t", "freedom", "surprise"),
    [(12.706, 1, 0.05), (2.776, 4, 0.05), (2.093, 19, 0.05), (1.960, math.inf, 0.05), (8.610, 4, 0.001)],
)
def test_students_t_is_as_in_the_tables(t: float, freedom: float, surprise: float) -> None:
    assert estimates.two_sided(t, freedom) == pytest.approx(surprise, rel=2e-3)
    assert estimates.student(surprise, freedom) == pytest.approx(t, rel=1e-3)


@given(st.lists(st.floats(0, 1), max_size=12), st.floats(0.01, 0.5))
def test_holm_calls_significant_only_what_bonferroni_or_its_own_step_does(found: list[float], alpha: float) -> None:
    judged = estimates.holm(found, alpha)
    assert all(significant == (surprise < own) for surprise, (significant, own) in zip(found, judged, strict=True))
    assert all(alpha / len(found) <= own <= alpha for _, own in judged)
    assert all(
        significant for surprise, (significant, _) in zip(found, judged, strict=True) if surprise < alpha / len(found)
    )


def test_holm_stops_at_the_first_that_is_not_significant() -> None:
    assert [significant for significant, _ in estimates.holm([0.04, 0.001, 0.03], 0.05)] == [False, True, False]


def test_blocks_of_independent_values_give_the_textbook_error_of_a_mean() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(10, 2, 20_000)
    sampled = Sampled.of(values, estimates.fine_blocks(len(values)), lambda some: float(some.mean()))
    assert estimates.alone(sampled).error == pytest.approx(2 / math.sqrt(20_000) / 10, rel=0.6)


def test_what_both_runs_have_in_common_cancels_out_where_they_are_paired() -> None:
    rng = np.random.default_rng(2)
    common = rng.exponential(1.0, 4000)
    fine = estimates.fine_blocks(4000)
    before, after = (
        Sampled.of(common * factor + rng.uniform(0, 0.01, 4000), fine, lambda some: float(some.mean()))
        for factor in (1.0, 1.02)
    )
    paired, apart = (estimates.contrast(before, after, estimates.relative, paired=paired) for paired in (True, False))
    assert paired.surprise() < 1e-6 < 0.05 < apart.surprise()
    assert paired.value == apart.value == pytest.approx(math.log(1.02), abs=1e-3)


def test_counts_give_the_same_as_the_values_they_count() -> None:
    values = np.random.default_rng(3).integers(0, 2, (estimates.FINE, 50))
    counted = Sampled.of_counts(values.sum(axis=1), lambda count, share: float(count) / (2000 * share))
    direct = Sampled.of(values.ravel().astype(float), estimates.fine_blocks(2000), lambda some: float(some.mean()))
    assert counted.value == pytest.approx(direct.value)
    for one, two in zip(counted.without, direct.without, strict=True):
        assert one == pytest.approx(two)


@given(st.floats(-5, 5), st.floats(0.01, 3), st.floats(2, 60), st.floats(0.001, 0.5))
def test_an_interval_holds_zero_just_where_the_value_is_no_surprise(
    value: float, error: float, freedom: float, alpha: float
) -> None:
    estimate = Estimate(value, error, freedom)
    low, high = estimate.interval(alpha)
    if abs(estimate.surprise() - alpha) > 1e-6:
        assert (low <= 0 <= high) == (estimate.surprise() > alpha)


def test_an_estimate_that_is_open_above_never_says_that_it_is_below() -> None:
    open_above = Estimate(2.0, 0.1, 19, open_to=math.inf)
    assert open_above.interval(0.05)[1] == math.inf
    assert open_above.beyond(5.0, above=False) == 1.0
    assert open_above.beyond(1.0, above=True) < 0.001


def test_without_any_scatter_an_equal_figure_is_no_surprise_and_another_is_one() -> None:
    assert Estimate(0.0, 0.0).surprise() == 1.0
    assert Estimate(0.1, 0.0).surprise() == 0.0
