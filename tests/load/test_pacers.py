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


def test_steps_follow_one_another_and_then_nothing() -> None:
    steps = pacers.Steps(((2, 10), (0, 5), (8, 10)))
    times = pacers.schedule(steps, 30)
    counts, _ = np.histogram(times, bins=[0, 10, 15, 25, 30])
    assert counts.tolist() == [20, 0, 80, 0]
    assert [steps.rate_per_s(t) for t in (0, 12, 24, 29)] == [2, 0, 8, 0]
    assert steps.duration_s == 25


@pytest.mark.parametrize("burstiness", [0.25, 1.0, 4.0])
def test_gamma_gaps_vary_as_their_burstiness_says(burstiness: float) -> None:
    points = pacers.GammaPoints(burstiness)
    gaps = np.diff(pacers.schedule(pacers.Constant(100), 200, 3, points))
    assert len(gaps) == 100 * 200 - 1
    assert gaps.mean() == pytest.approx(0.01, rel=0.02)
    assert gaps.std() / gaps.mean() == pytest.approx(1 / np.sqrt(burstiness), rel=0.05)


def test_gamma_arrivals_of_burstiness_1_are_poisson_arrivals() -> None:
    levels = np.linspace(0.1, 0.9, 9)
    gamma, poisson = (
        np.quantile(np.diff(pacers.schedule(pacers.Constant(50), 400, 1, points)), levels)
        for points in (pacers.GammaPoints(1.0), pacers.poisson_points)
    )
    assert gamma == pytest.approx(poisson, rel=0.05)


SHAPES = st.one_of(
    st.builds(pacers.Constant, RATES),
    st.builds(pacers.Ramp, RATES, RATES, st.just(20.0)),
    st.builds(pacers.Cosine, RATES, RATES, st.floats(1, 50)),
    st.builds(
        pacers.Steps, st.lists(st.tuples(RATES, st.floats(0.1, 10)), min_size=1, max_size=5).map(tuple)
    ),
)  # fmt: skip
POINTS = st.one_of(
    st.just(pacers.even_points),
    st.just(pacers.poisson_points),
    st.builds(pacers.GammaPoints, st.floats(0.05, 100)),
)


@given(shape=SHAPES, points=POINTS, duration=st.floats(0.5, 20), seed=st.integers(0, 9))
def test_every_shape_with_every_kind_of_points_is_ascending_and_within_the_duration(
    shape: pacers.Shape, points: pacers.Points, duration: float, seed: int
) -> None:
    times = pacers.Paced(shape, points).times_s(duration, seed)
    assert np.all(np.diff(times) >= 0)
    assert np.all((times >= 0) & (times <= duration))
    assert len(times) == pytest.approx(pacers.mean_rate_per_s(shape, duration) * duration, abs=1)


@pytest.mark.parametrize("burstiness", [0.0, -1.0, 0.01, float("nan"), float("inf")])
def test_an_impossible_burstiness_is_refused(burstiness: float) -> None:
    with pytest.raises(ValueError, match="a burstiness is between"):
        pacers.GammaPoints(burstiness)


@pytest.mark.parametrize("steps", [((0.0, 5.0),), ((1.0, 0.0),), ((1.0, float("inf")),), ((-1.0, 5.0),)])
def test_impossible_steps_are_refused(steps: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValueError, match="finite"):
        pacers.Steps(steps)
