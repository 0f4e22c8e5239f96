from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.load import pacers

RATES = st.floats(0.1, 200)


def test_constant_arrivals_are_evenly_spaced() -> None:
    times = pacers.schedule(pacers.Constant(10), 1.0)
    assert len(times) == 10
    assert np.diff(times) == pytest.approx(0.1)
    assert times[0] == pytest.approx(0.05)


def test_a_ramp_offers_the_mean_of_its_ends() -> None:
    times = pacers.schedule(pacers.Ramp(0, 20, 10), 10)
    assert len(times) == 100
    assert np.count_nonzero(times < 5) == 25  # a quarter of the triangle's area lies in its first half


def test_a_wave_peaks_in_the_middle_of_its_period() -> None:
    wave = pacers.Cosine(2, 20, 60)
    times = pacers.schedule(wave, 60)
    assert len(times) == pytest.approx(11 * 60, abs=1)
    counts, _ = np.histogram(times, bins=6, range=(0, 60))
    assert counts[2] == counts[3] == max(counts)
    assert wave.rate_per_s(30) == pytest.approx(20)
    assert wave.rate_per_s(60) == pytest.approx(2)


def test_poisson_gaps_are_exponential() -> None:
    gaps = np.diff(pacers.schedule(pacers.Constant(100), 200, seed=3, points=pacers.poisson_points))
    assert gaps.mean() == pytest.approx(0.01, rel=0.02)
    assert gaps.std() == pytest.approx(0.01, rel=0.05)
    assert np.quantile(gaps, 0.5) == pytest.approx(0.01 * np.log(2), rel=0.05)


@given(low=RATES, high=RATES, duration=st.floats(0.5, 100), seed=st.integers(0, 9), random=st.booleans())
def test_schedules_are_ascending_within_the_duration_and_as_many_as_the_shape_says(
    low: float, high: float, duration: float, seed: int, random: bool
) -> None:
    shape = pacers.Cosine(low, high, duration)
    points = pacers.poisson_points if random else pacers.even_points
    times = pacers.schedule(shape, duration, seed, points)
    assert np.all(np.diff(times) >= 0)
    assert np.all((times >= 0) & (times <= duration))
    assert len(times) == pytest.approx(pacers.mean_rate_per_s(shape, duration) * duration, abs=1)


def test_a_seed_fixes_the_schedule() -> None:
    one, same, other = (
        pacers.schedule(pacers.Constant(50), 5, seed, pacers.poisson_points) for seed in (1, 1, 2)
    )  # fmt: skip
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("rates", [(-1.0, 2.0), (0.0, 0.0), (float("nan"), 1.0), (1.0, float("inf"))])
def test_impossible_rates_are_refused(rates: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="finite rates"):
        pacers.Ramp(*rates, 10)
