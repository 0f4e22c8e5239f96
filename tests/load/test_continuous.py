"""Arrivals without end."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.load import continuous, pacers
from holdfast.load.continuous import Behind
from holdfast.load.pacers import Constant, Cosine, GammaPoints, Paced, Points, Ramp, Shape, even_points, poisson_points


def first(count: int, shape: Shape, points: Points = even_points, seed: int = 0) -> list[float]:
    return list(itertools.islice(continuous.arrivals(Paced(shape, points), seed), count))


@pytest.mark.parametrize("shape", [Constant(7.0), Cosine(2.0, 20.0, 60.0), Cosine(0.0, 4.0, 30.0)])
def test_block_by_block_it_is_the_schedule_that_is_made_at_once(shape: Shape) -> None:
    whole = pacers.schedule(shape, 120.0)
    assert first(len(whole), shape) == pytest.approx(whole.tolist(), abs=1e-6)


@pytest.mark.parametrize(("points", "variation"), [(poisson_points, 1.0), (GammaPoints(0.25), 2.0)])
def test_random_arrivals_have_the_rate_and_the_burstiness_that_was_asked_for(points: Points, variation: float) -> None:
    times_s = np.array(first(40_000, Constant(50.0), points))
    gaps_s = np.diff(times_s)
    assert len(times_s) / times_s[-1] == pytest.approx(50.0, rel=0.04)
    assert gaps_s.std() / gaps_s.mean() == pytest.approx(variation, rel=0.04)


@given(st.integers(0, 2**31 - 1), st.floats(0.01, 1000))
def test_a_seed_fixes_the_arrivals_and_they_ascend(seed: int, rate: float) -> None:
    times_s = first(200, Constant(rate), poisson_points, seed)
    assert times_s == first(200, Constant(rate), poisson_points, seed)
    assert times_s == sorted(times_s)
    assert times_s[0] > 0


def test_days_later_arrivals_are_still_exact() -> None:
    shape = Behind(Constant(10.0), 0.0)
    times_s = continuous._invert(shape, np.array([8_640_000.5]), 863_999.0, 865_000.0)
    assert times_s[0] == pytest.approx(864_000.05, abs=1e-6)


def test_a_wave_behind_another_has_the_same_shape_later() -> None:
    wave = Cosine(2.0, 20.0, 60.0)
    behind = Behind(wave, 15.0)
    assert behind.rate_per_s(15.0) == wave.rate_per_s(0.0)
    assert behind.rate_per_s(45.0) == pytest.approx(wave.high)
    assert first(660, behind)[-1] == pytest.approx(60.0, abs=0.1)  # a period has as many requests as before


def test_a_shape_that_ends_ends_the_arrivals() -> None:
    assert len(first(10_000, Ramp(10.0, 0.0, 20.0))) <= 100
