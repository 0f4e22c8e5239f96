"""A unit's load curve: how latency rises and throughput levels off as more requests are in flight.

Between its levels it is a monotone cubic that does not overshoot (Fritsch and Carlson 1980, doi:10.1137/0717021).
Nothing is extrapolated: below the first level the rate falls in proportion and the latency stays, above the last there
is no answer. `performance.curve` makes curves of measurements and of estimates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_STEPS = 60
"""Bisections of an interval of numbers in flight: to the last digit of a float."""


@dataclass(frozen=True)
class Curve:
    """Rate and latency against the number in flight; all three rise.

    in_flight:   strictly rising, above 0. rates_per_s, latencies_s: at each of them, never falling.
    statistic:   which latency it is: `avg`, `p50`, `p90`, `p95` or `p99`.
    estimated:   whether it is of an estimate rather than of measurements. source: of which, in words.
    """

    in_flight: tuple[float, ...]
    rates_per_s: tuple[float, ...]
    latencies_s: tuple[float, ...]
    statistic: str
    estimated: bool
    source: str

    def __post_init__(self) -> None:
        if not self.in_flight or not len(self.in_flight) == len(self.rates_per_s) == len(self.latencies_s):
            raise ValueError("a curve has a rate and a latency for each number in flight, and one of them at least")
        if not all(0 < value < math.inf for value in (*self.in_flight, *self.rates_per_s, *self.latencies_s)):
            raise ValueError("the numbers, rates and latencies of a curve are above 0 and finite")
        if any(after <= before for before, after in pairwise(self.in_flight)):
            raise ValueError("the numbers in flight of a curve rise")
        if any(after < before for values in (self.rates_per_s, self.latencies_s) for before, after in pairwise(values)):
            raise ValueError("the rates and the latencies of a curve never fall")

    @property
    def levels(self) -> tuple[tuple[float, float, float], ...]:
        """In flight, requests/s and latency in seconds, level by level."""
        return tuple(zip(self.in_flight, self.rates_per_s, self.latencies_s, strict=True))

    @property
    def plateau_per_s(self) -> float:
        """The highest rate of the curve."""
        return self.rates_per_s[-1]

    def rate_per_s(self, in_flight: float) -> float:
        """Requests per second with so many in flight; beyond the last level the plateau."""
        first = self.in_flight[0]
        if in_flight <= first:
            return self.rates_per_s[0] * (max(0.0, in_flight) / first)
        return _interpolated(self.in_flight, self.rates_per_s, in_flight)

    def latency_s(self, rate_per_s: float) -> float:
        """Latency at a rate, with the fewest in flight that reach it; infinite beyond the plateau."""
        if rate_per_s > self.plateau_per_s:
            return math.inf
        low, high = 0.0, self.in_flight[-1]
        for _ in range(_STEPS):
            middle = (low + high) / 2
            low, high = (low, middle) if self.rate_per_s(middle) >= rate_per_s else (middle, high)
        return self._latency_at_s(high)

    def _latency_at_s(self, in_flight: float) -> float:
        return _interpolated(self.in_flight, self.latencies_s, in_flight)


def _interpolated(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    """The monotone cubic through never-falling points, constant beyond its ends."""
    if x <= xs[0]:
        return ys[0]
    if x >= xs[-1]:
        return ys[-1]
    i = max(k for k in range(len(xs) - 1) if xs[k] <= x)
    width = xs[i + 1] - xs[i]
    at = (x - xs[i]) / width
    start, end = _slope(xs, ys, i), _slope(xs, ys, i + 1)
    rise = (ys[i + 1] - ys[i]) / width
    # h00, h10, h01, h11 of the Hermite form, gathered by powers of `at`.
    value = ys[i] + width * at * (start + at * (3 * rise - 2 * start - end + at * (start + end - 2 * rise)))
    return min(ys[i + 1], max(ys[i], value))


def _slope(xs: Sequence[float], ys: Sequence[float], i: int) -> float:
    """Slope at a point: the weighted harmonic mean of the two sides, which keeps the cubic monotone; 0 beside a
    flat."""
    if i in (0, len(xs) - 1):
        near = 0 if i == 0 else i - 1
        return (ys[near + 1] - ys[near]) / (xs[near + 1] - xs[near])
    before, after = xs[i] - xs[i - 1], xs[i + 1] - xs[i]
    left, right = (ys[i] - ys[i - 1]) / before, (ys[i + 1] - ys[i]) / after
    if left <= 0 or right <= 0:
        return 0.0
    first, second = 2 * after + before, after + 2 * before
    return (first + second) / (first / left + second / right)
