"""When requests should start: pure functions from a rate over time to intended start times.

A rate shape is given by its cumulative L(t), the expected number of arrivals by t. By the time-rescaling
theorem, the arrival times of any such process are the inverse of L at the points of a unit-rate process:
1/2, 3/2, 5/2, ... for evenly paced arrivals, a unit Poisson process for independent ones. So one inversion
serves every shape, and a seed fixes the whole schedule before the first request is sent.

Source: D. J. Daley, D. Vere-Jones, An Introduction to the Theory of Point Processes, vol. I, section 7.4.

A recorded trace needs no rate: its times are its own (`traces.py`).
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from holdfast.model.records import Floats


class Pacer(Protocol):
    """Says when the requests of a level start."""

    def times_s(self, duration_s: float, seed: int) -> Floats:
        """Intended start times in [0, duration_s], ascending, shape (n,), in seconds."""
        ...


class Shape(Protocol):
    """A rate over time."""

    def cumulative(self, t_s: Floats) -> Floats:
        """Expected arrivals in [0, t], shape (n,) -> (n,); non-decreasing, 0 at 0."""
        ...

    def rate_per_s(self, t_s: float) -> float:
        """The rate at t."""
        ...


def _check(rates: tuple[float, ...], *, least_positive: bool) -> None:
    if any(not math.isfinite(rate) or rate < 0 for rate in rates) or (least_positive and max(rates) <= 0):
        raise ValueError(f"a load shape needs finite rates of at least 0 and a peak above 0, not {rates}")


@dataclass(frozen=True)
class Constant:
    """The same rate throughout, in 1/s."""

    rate: float

    def __post_init__(self) -> None:
        _check((self.rate,), least_positive=True)

    def cumulative(self, t_s: Floats) -> Floats:
        return self.rate * t_s

    def rate_per_s(self, t_s: float) -> float:
        return self.rate


@dataclass(frozen=True)
class Ramp:
    """From `start` to `end` (1/s) in a straight line over `duration_s`."""

    start: float
    end: float
    duration_s: float

    def __post_init__(self) -> None:
        _check((self.start, self.end), least_positive=True)

    def cumulative(self, t_s: Floats) -> Floats:
        return self.start * t_s + (self.end - self.start) / self.duration_s * t_s**2 / 2

    def rate_per_s(self, t_s: float) -> float:
        return self.start + (self.end - self.start) * t_s / self.duration_s


@dataclass(frozen=True)
class Cosine:
    """A wave: `low` (1/s) at t = 0, `high` at half of `period_s`, `low` again at its end.

    rate(t) = low + (high - low) / 2 * (1 - cos(2 pi t / period))
    """

    low: float
    high: float
    period_s: float

    def __post_init__(self) -> None:
        _check((self.low, self.high), least_positive=True)

    def cumulative(self, t_s: Floats) -> Floats:
        swing, turn = (self.high - self.low) / 2, 2 * math.pi / self.period_s
        return np.asarray((self.low + swing) * t_s - swing * np.sin(turn * t_s) / turn)

    def rate_per_s(self, t_s: float) -> float:
        return self.low + (self.high - self.low) / 2 * (1 - math.cos(2 * math.pi * t_s / self.period_s))


@dataclass(frozen=True)
class Steps:
    """One constant rate after another: (rate in 1/s, duration in s) pairs. After the last one, nothing."""

    steps: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        _check(tuple(rate for rate, _ in self.steps), least_positive=True)
        if any(not 0 < duration_s < math.inf for _, duration_s in self.steps):
            raise ValueError("a step needs a finite duration above 0")

    @property
    def duration_s(self) -> float:
        return math.fsum(duration_s for _, duration_s in self.steps)

    def cumulative(self, t_s: Floats) -> Floats:
        durations_s, arrivals = np.array([(d, rate * d) for rate, d in self.steps]).T
        return np.asarray(np.interp(t_s, np.append(0, np.cumsum(durations_s)), np.append(0, np.cumsum(arrivals))))

    def rate_per_s(self, t_s: float) -> float:
        ends_s = np.cumsum([duration_s for _, duration_s in self.steps])
        step = bisect.bisect_right(ends_s, t_s)
        return self.steps[step][0] if step < len(self.steps) else 0.0


def mean_rate_per_s(shape: Shape, duration_s: float) -> float:
    """Mean rate of a shape over [0, duration_s]."""
    return float(shape.cumulative(np.array([duration_s]))[0]) / duration_s


def even_points(count: float, seed: int) -> Floats:
    """1/2, 3/2, ... below `count`: arrivals as regular as the shape allows. The seed is not used."""
    return np.arange(0.5, count)


def poisson_points(count: float, seed: int) -> Floats:
    """A Poisson process of rate 1 on [0, count), given that it has its expected number of arrivals.

    Given their number, the arrivals of a Poisson process are independent and uniform. Fixing the number keeps
    a short level at the rate that it claims (200 free arrivals would be off by 7 %), and keeps the bursts.
    """
    return np.sort(np.random.default_rng(seed).uniform(0, count, size=max(1, round(count))))


@dataclass(frozen=True)
class GammaPoints:
    """A renewal process of rate 1 on [0, count) with gamma gaps, given that it has its expected number of arrivals.

    burstiness: the shape parameter k of the gaps, as in `vllm bench serve --burstiness`; their coefficient of variation
                is 1 / sqrt(k). 1 is Poisson, below 1 is burstier, above 1 more regular.

    The gaps of n arrivals and the one that closes the level are drawn and scaled to `count`. As the sum of gamma
    variables is independent of their shares in it (E. Lukacs, Ann. Math. Stat. 26, 1955, doi:10.1214/aoms/1177728549),
    that is the renewal process given that its arrival n + 1 falls on `count`; for k = 1, `poisson_points`.
    """

    burstiness: float

    def __post_init__(self) -> None:
        # Below that, most gaps underflow to 0; above it they no longer differ from even ones.
        if not 0.05 <= self.burstiness <= 10_000:
            raise ValueError(f"a burstiness is between 0.05 and 10,000, not {self.burstiness:g}")

    def __call__(self, count: float, seed: int) -> Floats:
        gaps = np.random.default_rng(seed).gamma(self.burstiness, size=max(1, round(count)) + 1)
        ends = np.cumsum(gaps)
        return np.asarray(ends[:-1] / ends[-1] * count)


Points = Callable[[float, int], Floats]
"""From the expected number of arrivals and a seed to the points of a unit-rate process, ascending."""


def schedule(shape: Shape, duration_s: float, seed: int = 0, points: Points = even_points) -> Floats:
    """Intended start times in [0, duration_s], ascending, shape (n,), in seconds."""
    marks = points(float(shape.cumulative(np.array([duration_s]))[0]), seed)
    low, high = np.zeros_like(marks), np.full_like(marks, duration_s)
    # Bisection: 60 halvings reach the resolution of a double for any duration, whatever the shape.
    for _ in range(60):
        middle = (low + high) / 2
        before = shape.cumulative(middle) < marks
        low, high = np.where(before, middle, low), np.where(before, high, middle)
    return np.asarray(high)


@dataclass(frozen=True)
class Paced:
    """A pacer that follows a rate shape, with arrivals as regular or as random as `points` are."""

    shape: Shape
    points: Points = poisson_points

    def __str__(self) -> str:
        gaps = f", {self.points}" if isinstance(self.points, GammaPoints) else ""
        return f"{self.shape}{gaps}"

    def times_s(self, duration_s: float, seed: int) -> Floats:
        return schedule(self.shape, duration_s, seed, self.points)
