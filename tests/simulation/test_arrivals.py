"""Arrivals and work: their means, their spread, and that it does not matter how time is cut."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.load.pacers import Constant, Cosine, Ramp, Shape, Steps
from holdfast.simulation.arrivals import Drawn, Exponential, Fixed, Lognormal, Mixture, Polyline, Replayed, Source, Work

DAY = Cosine(20.0, 100.0, 600.0)
TRACE_S = np.array([3.0, 3.0, 4.0, 9.0, 13.0])


def drawn(shape: Shape, burstiness: float = 1.0, seed: int = 1) -> Drawn:
    return Drawn(shape, Exponential(), seed=seed, burstiness=burstiness)


@pytest.mark.parametrize(
    "shape",
    [Constant(50.0), DAY, Ramp(10, 90, 600), Steps(((20, 100), (90, 200.5), (0, 299.5))), Polyline(((0, 9), (60, 99)))],
)
@pytest.mark.parametrize("burstiness", [0.25, 1.0, 4.0, math.inf])
def test_arrivals_follow_the_rate_in_every_minute(shape: Shape, burstiness: float) -> None:
    arrivals_s, _ = drawn(shape, burstiness).until(600.0)
    found = np.histogram(arrivals_s, bins=10, range=(0, 600))[0]
    expected = np.diff(shape.cumulative(np.linspace(0, 600, 11)))
    assert np.all(np.abs(found - expected) <= 5 * np.sqrt(expected / min(burstiness, 1e3)) + 1)


@pytest.mark.parametrize("burstiness", [0.25, 1.0, 4.0])
def test_gaps_vary_as_gamma_gaps_do(burstiness: float) -> None:
    gaps_s = np.diff(drawn(Constant(100.0), burstiness).until(2000.0)[0])
    assert np.std(gaps_s) / np.mean(gaps_s) == pytest.approx(1 / math.sqrt(burstiness), rel=0.02)


def test_the_same_clock_time_is_found_as_by_bisection_of_the_exact_integral() -> None:
    arrivals_s, _ = Drawn(Cosine(20, 100, 86400), Fixed(), seed=1, burstiness=math.inf).until(3600.0)
    counted = Cosine(20, 100, 86400).cumulative(arrivals_s)
    np.testing.assert_allclose(counted, np.arange(1, len(counted) + 1), atol=1e-3)


@given(st.lists(st.floats(0.0, 40.0), max_size=8), st.sampled_from([0.5, 1.0, math.inf]), st.booleans())
def test_arrivals_do_not_depend_on_how_time_is_cut(stretches_s: list[float], burstiness: float, replay: bool) -> None:
    def source() -> Source:
        if replay:
            return Replayed(TRACE_S, np.arange(1.0, 6.0), rate_per_s=7.0)
        return drawn(DAY, burstiness)

    cut, whole = source(), source()
    ends_s = np.cumsum([*stretches_s, 1.0])
    parts = [cut.until(float(end_s)) for end_s in ends_s]
    starts_s = [0.0, *ends_s]
    for (arrivals_s, _), start_s, end_s in zip(parts, starts_s, ends_s, strict=False):
        assert np.all((start_s <= arrivals_s) & (arrivals_s < end_s))
        assert np.all(np.diff(arrivals_s) >= 0)
    arrivals_s, work = whole.until(float(ends_s[-1]))
    np.testing.assert_allclose(np.concatenate([a for a, _ in parts]), arrivals_s, rtol=1e-12)
    np.testing.assert_array_equal(np.concatenate([w for _, w in parts]), work)


@pytest.mark.parametrize(
    ("work", "variation"),
    [
        (Fixed(), 0.0),
        (Exponential(), 1.0),
        (Lognormal(0.5), 0.5),
        # Sizes 1 and 9 in shares 3:1 have mean 3 and standard deviation sqrt(12).
        (Mixture((100.0, 900.0), (3, 1)), math.sqrt(12) / 3),
    ],
)
def test_work_has_mean_1_and_the_variation_that_was_asked_for(work: Work, variation: float) -> None:
    pieces = work.draw(np.random.default_rng(5), 400_000)
    assert pieces.min() > 0
    assert pieces.mean() == pytest.approx(1, rel=0.01)
    assert pieces.std() == pytest.approx(variation, rel=0.01, abs=1e-12)


def test_a_trace_keeps_its_rhythm_and_comes_again() -> None:
    arrivals_s, work = Replayed(TRACE_S, np.array([1.0, 1, 1, 1, 6]), rate_per_s=0.5).until(20.0)
    # Four gaps over 10 s become four gaps of 2 s on average; the next round starts after 5 / 0.5 = 10 s.
    np.testing.assert_allclose(arrivals_s, [0, 0, 0.8, 4.8, 8.0, 10, 10, 10.8, 14.8, 18.0])
    np.testing.assert_allclose(work, [0.5, 0.5, 0.5, 0.5, 3] * 2)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: Lognormal(math.nan), "coefficient of variation"),
        (lambda: Mixture((1.0,), (1.0, 2.0)), "a share for each size"),
        (lambda: Mixture((1.0, -1.0), (1.0, 2.0)), "size is finite and above 0"),
        (lambda: Mixture((1.0, 2.0), (0.0, 0.0)), "one of them above"),
        (lambda: Polyline(((1.0, 2.0),)), "begin at 0 s"),
        (lambda: Polyline(((0.0, 2.0), (0.0, 3.0))), "go forward"),
        (lambda: Polyline(((0.0, -2.0),)), "rates of at least 0"),
        (lambda: drawn(DAY, 0.0), "burstiness is above 0"),
        (lambda: Drawn(DAY, Fixed(), seed=1, grain_s=0.0), "grain is finite and above 0"),
        (lambda: drawn(DAY).until(math.nan), "cannot go on to nan"),
        (lambda: Replayed(TRACE_S[:1], None, rate_per_s=1.0), "two requests or more"),
        (lambda: Replayed(TRACE_S[::-1], None, rate_per_s=1.0), "ascending order"),
        (lambda: Replayed(TRACE_S, np.zeros(5), rate_per_s=1.0), "finite work above 0"),
        (lambda: Replayed(TRACE_S, None, rate_per_s=0.0), "rate is finite and above 0"),
    ],
)
def test_impossible_loads_are_refused_in_a_sentence(wrong: object, says: str) -> None:
    assert callable(wrong)
    with pytest.raises(ValueError, match=says):
        wrong()
