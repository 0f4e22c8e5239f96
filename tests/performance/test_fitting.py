"""A fit finds the coefficients that made the samples, and is deaf to rows that no model should follow."""

from __future__ import annotations

import math

import pytest

from holdfast.performance import fitting
from holdfast.performance.coefficients import Coefficients
from holdfast.performance.fitting import Sample
from holdfast.performance.roofline import Terms

TRUTH = Coefficients(
    compute=0.6, memory=0.8, cache=0.7, link=0.5, all_reduce_s=2e-5, layer_s=3e-5, sequence_s=5e-5, step_s=1e-3,
    link_per_memory=0.1, error=math.nan, source="by hand",
)  # fmt: skip


def samples(factor: float = 1.0) -> list[Sample]:
    """Steps of two models on 1 to 4 devices as TRUTH has them; every 11th takes `factor` times as long."""
    made: list[Sample] = []
    for layers, weights_s in ((32, 0.010), (80, 0.090)):
        for devices in (1, 2, 4):
            for batch in (1, 4, 16, 64):
                for tokens in (100, 1000, 4000):
                    link_s = 0.0 if devices == 1 else layers * batch * 1e-8
                    peak = Terms(
                        weights_s * batch / 100 / devices, weights_s / devices, batch * tokens * 1e-8, link_s, 0.0
                    )
                    one = Sample(peak, 0 if devices == 1 else 2 * layers, layers, batch, 1.0, 1)
                    slow = factor if len(made) % 11 == 0 else 1.0
                    made.append(Sample(peak, one.all_reduces, layers, batch, slow * fitting.predicted_s(one, TRUTH), 1))
    return made


@pytest.mark.parametrize("factor", [1.0, 20.0])
def test_the_coefficients_that_made_the_samples_are_found(factor: float) -> None:
    found = fitting.fit(samples(factor), compute=TRUTH.compute, link_per_memory=0.1, source="test")

    off = [abs(fitting.predicted_s(one, found) / one.elapsed_s - 1) for one in samples()]
    assert sorted(off)[len(off) // 2] < 0.01
    assert found.memory == pytest.approx(TRUTH.memory, abs=0.06)
    assert found.cache == pytest.approx(TRUTH.cache, rel=0.1)


def test_no_coefficient_leaves_its_bounds_even_for_samples_faster_than_the_peaks() -> None:
    fast = [Sample(one.peak, one.all_reduces, one.layers, one.sequences, one.peak.total_s / 2, 1) for one in samples()]

    found = fitting.fit(fast, compute=None, link_per_memory=0.1, source="test")

    assert found.memory == found.cache == found.link == 1.0
    assert found.all_reduce_s == found.layer_s == found.sequence_s == found.step_s == 0.0


def test_a_prefill_is_taken_off_what_was_measured_together_with_it() -> None:
    step = Terms(0.0, 0.01, 0.0, 0.0, 0.0)

    assert Sample(step, 0, 32, 1, elapsed_s=3.0, steps=100, prefill_peak_s=0.5).step_s(compute=0.5) == pytest.approx(
        0.02
    )
