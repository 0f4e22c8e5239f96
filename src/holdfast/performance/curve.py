"""A unit's load curve: how its latency rises and its throughput levels off as more requests are in flight.

The levels of a measurement are noisy, and a curve through all of them would turn back on itself. Both latency and
rate can only rise with the number in flight (a batch takes nothing from the requests that join it late), so the
nearest curve that rises is taken (pool adjacent violators; Ayer et al. 1955, doi:10.1214/aoms/1177728423), each level
weighing the same, and then a monotone cubic through it that does not overshoot (Fritsch and Carlson 1980,
doi:10.1137/0717021). Nothing is extrapolated: below the first level the rate falls in proportion and the latency
stays, above the last there is no answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from holdfast.model.errors import InputError
from holdfast.model.measurements import Measurement
from holdfast.model.stages import LoadCurve
from holdfast.performance.estimate import Estimate

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

    def highest_rate_per_s(self, bound_s: float) -> float:
        """The highest rate whose latency is within the bound: 0 where not even the first level's is."""
        if self.latencies_s[0] > bound_s:
            return 0.0
        if self.latencies_s[-1] <= bound_s:
            return self.plateau_per_s
        low, high = self.in_flight[0], self.in_flight[-1]
        for _ in range(_STEPS):
            middle = (low + high) / 2
            low, high = (middle, high) if self._latency_at_s(middle) <= bound_s else (low, middle)
        return self.rate_per_s(low)

    def _latency_at_s(self, in_flight: float) -> float:
        return _interpolated(self.in_flight, self.latencies_s, in_flight)


def of_stages(measured: LoadCurve, statistic: str = "p95") -> Curve | None:
    """The curve of the valid stages of a run that completed requests; None where there is none."""
    levels = [
        (stage.in_flight, stage.achieved_per_s, stage.latency.statistic(statistic))
        for stage in measured.stages
        if stage.valid and stage.latency.n > 0
    ]
    return of_levels(levels, statistic, False, f"{len(levels)} stages of {measured.unit}")


def of_measurements(rows: Sequence[Measurement], statistic: str = "p95") -> Curve | None:
    """The curve of the rows of one unit and one number of replicas; None where no row has a rate and that latency.

    In flight is what Little's law gives for the mean latency, because closed loops are often published that ended
    before they were full; without a mean, the concurrency that the row states. Rates are of all replicas together, as
    the file has them. Raises InputError for rows of several units.
    """
    units = sorted({row.unit for row in rows})
    if len(units) > 1:
        raise InputError(f"rows of {', '.join(units)} make no one curve", mend="give the rows of one unit")
    levels = []
    for row in rows:
        latency_s = row.latency_s(statistic)
        if row.rate_per_s and latency_s is not None:
            typical_s = row.latency_avg_s or row.latency_p50_s or latency_s
            stated = row.concurrency if row.latency_avg_s is None else None
            levels.append((float(stated or row.rate_per_s * typical_s), row.rate_per_s, latency_s))
    return of_levels(levels, statistic, False, f"{len(levels)} measured levels of {units[0]}" if units else "")


def of_estimate(estimated: Estimate) -> Curve | None:
    """The curve of an estimate, of mean latencies; None where the model does not fit."""
    levels = [(float(point.concurrency), point.rate_per_s, point.latency_s) for point in estimated.points]
    source = f"estimate for {estimated.accelerator.name}, off by {estimated.error:.0%} in the median"
    return of_levels(levels, "avg", True, source)


def of_levels(
    levels: Iterable[tuple[float, float, float]], statistic: str, estimated: bool, source: str
) -> Curve | None:
    """Levels of (in flight, rate, latency) joined where they have the same number in flight, and made to rise.

    None where none of them is of numbers above 0.
    """
    usable = sorted(level for level in levels if all(0 < value < math.inf for value in level))
    if not usable:
        return None
    numbers = sorted({number for number, _, _ in usable})
    alike = [[level for level in usable if level[0] == number] for number in numbers]
    weights = [float(len(group)) for group in alike]
    means = [[sum(level[part] for level in group) / len(group) for group in alike] for part in (1, 2)]
    rates, latencies = (rising(values, weights) for values in means)
    return Curve(tuple(numbers), rates, latencies, statistic, estimated, source)


def rising(values: Sequence[float], weights: Sequence[float]) -> tuple[float, ...]:
    """The never-falling values nearest to these by weighted least squares."""
    blocks: list[tuple[float, float, int]] = []  # mean, weight, how many
    for value, weight in zip(values, weights, strict=True):
        block = (value, weight, 1)
        while blocks and blocks[-1][0] > block[0]:
            mean, heavy, count = blocks.pop()
            total = heavy + block[1]
            block = ((mean * heavy + block[0] * block[1]) / total, total, count + block[2])
        blocks.append(block)
    return tuple(mean for mean, _, count in blocks for _ in range(count))


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
