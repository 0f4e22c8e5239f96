"""Latencies in bins: within 1 % of the exact quantile, at any scale."""

from __future__ import annotations

import math

import numpy as np
import pytest

from holdfast.simulation import histogram
from holdfast.simulation.traffic import Balance, Service, Traffic


def served(latencies_s: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The histogram of requests that take this long: one at a time, each alone."""
    traffic = Traffic([Service(1, (1.0,), 0)], most_replicas=[1], balance=Balance.RANDOM, retries=0, seed=1, late_s=1)
    traffic.add(0)
    traffic.weights([1])
    starts_s = np.cumsum([0, *(latencies_s * 1.01 + 1e-6)])
    traffic.run(float(starts_s[-1]), starts_s[:-1], latencies_s)
    counts = traffic.read()
    assert counts.late[0] == np.sum(latencies_s > 1)
    return np.asarray(counts.latencies[0])


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.95, 0.999, 1.0])
def test_a_quantile_is_within_1_percent_of_the_exact_one(share: float) -> None:
    latencies_s = np.random.default_rng(2).lognormal(-1, 3, size=5_000).clip(1e-3)
    exact_s = np.quantile(latencies_s, share, method="inverted_cdf")
    assert histogram.quantile_s(served(latencies_s), share) == pytest.approx(exact_s, rel=0.01)


def test_what_is_too_short_or_too_long_for_the_bins_stays_counted_at_their_ends() -> None:
    counts = served(np.array([1e-6, 5e6]))
    assert counts[0] == counts[-1] == 1


def test_a_quantile_of_nothing_is_unknown() -> None:
    assert math.isnan(histogram.quantile_s(np.zeros(histogram.BINS, np.int64), 0.5))


def test_a_quantile_beyond_all_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1, not 95"):
        histogram.quantile_s(np.zeros(histogram.BINS, np.int64), 95)
