"""When requests come and how much work each is, a stretch at a time: the same requests however the time is cut.

The rate over time is any `load.pacers.Shape`. A renewal process of rate 1 runs in operational time L(t), the expected
number of arrivals by t, and is carried back to clock time through the inverse of L (D. J. Daley, D. Vere-Jones, An
Introduction to the Theory of Point Processes, vol. I, section 7.4). L is tabulated every `grain_s` and straight in
between: within a grain the rate is constant, and no arrival is off by more than the change of rate within it.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from holdfast.load.pacers import Shape
from holdfast.model.records import Floats

BLOCK = 16_384
"""Gaps that are drawn at once; fixed, so that the stretches asked for do not change what is drawn."""


class Work(Protocol):
    """How the work of requests is distributed; its mean is 1."""

    def draw(self, random: np.random.Generator, n: int) -> Floats:
        """Independent pieces of work, above 0, shape (n,)."""
        ...


@dataclass(frozen=True)
class Fixed:
    """Every request is the same."""

    def draw(self, random: np.random.Generator, n: int) -> Floats:
        return np.ones(n)


@dataclass(frozen=True)
class Exponential:
    """Exponential work."""

    def draw(self, random: np.random.Generator, n: int) -> Floats:
        # A draw of exactly 0 is possible, and is no work at all.
        return np.maximum(random.standard_exponential(n), np.finfo(float).tiny)


@dataclass(frozen=True)
class Lognormal:
    """Lognormal work. variation: its standard deviation over its mean, above 0."""

    variation: float

    def __post_init__(self) -> None:
        if not 0 < self.variation < math.inf:
            raise ValueError(f"a coefficient of variation is finite and above 0, not {self.variation:g}")

    def draw(self, random: np.random.Generator, n: int) -> Floats:
        spread = math.log1p(self.variation**2)
        return np.asarray(np.exp(random.standard_normal(n) * math.sqrt(spread) - spread / 2))


@dataclass(frozen=True)
class Mixture:
    """A few sizes, each with its share of requests, in any unit: both are scaled (shares to a sum, mean work to 1)."""

    sizes: tuple[float, ...]
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.sizes or len(self.sizes) != len(self.shares):
            raise ValueError(f"a mixture has a share for each size: {len(self.sizes)} sizes, {len(self.shares)} shares")
        if any(not 0 < size < math.inf for size in self.sizes):
            raise ValueError(f"a size is finite and above 0, not {self.sizes}")
        if any(not 0 <= share < math.inf for share in self.shares) or not any(self.shares):
            raise ValueError(f"shares are finite and at least 0, one of them above, not {self.shares}")

    def draw(self, random: np.random.Generator, n: int) -> Floats:
        shares = np.array(self.shares) / sum(self.shares)
        sizes = np.array(self.sizes) / float(shares @ np.array(self.sizes))
        ends = np.cumsum(shares)
        return np.asarray(sizes[np.searchsorted(ends[:-1], random.random(n), side="right")])


@dataclass(frozen=True)
class Polyline:
    """A rate through (t in s, rate in 1/s) points in straight lines; the last rate stays. The first point is at 0."""

    points: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        times_s = [t_s for t_s, _ in self.points]
        if not times_s or times_s[0] != 0 or any(not a < b for a, b in itertools.pairwise(times_s)):
            raise ValueError(f"the points of a rate begin at 0 s and go forward in time, not {times_s}")
        if not all(0 <= rate < math.inf for _, rate in self.points) or not math.isfinite(times_s[-1]):
            raise ValueError(f"the points of a rate are finite, with rates of at least 0, not {self.points}")

    def cumulative(self, t_s: Floats) -> Floats:
        times_s, rates = np.array(self.points).T
        arrivals = np.append(0, np.cumsum((rates[1:] + rates[:-1]) / 2 * np.diff(times_s)))
        at = np.searchsorted(times_s, t_s, side="right") - 1
        slopes = np.append(np.diff(rates) / np.diff(times_s), 0)
        past_s = t_s - times_s[at]
        return np.asarray(arrivals[at] + past_s * (rates[at] + slopes[at] * past_s / 2))

    def rate_per_s(self, t_s: float) -> float:
        times_s, rates = np.array(self.points).T
        return float(np.interp(t_s, times_s, rates))


class Source(Protocol):
    """Requests over time, from 0 on."""

    def until(self, t_s: float) -> tuple[Floats, Floats]:
        """Arrivals in [where the last call ended, t), ascending, in seconds, and their work; both of shape (n,)."""
        ...


class Drawn:
    """Random arrivals after a rate.

    burstiness: the shape parameter k of the gamma gaps in operational time, as in `vllm bench serve --burstiness`;
                their coefficient of variation is 1 / sqrt(k). 1 is Poisson, less burstier, infinity evenly spaced.
    grain_s:    within it, the rate is taken as constant.
    """

    def __init__(self, shape: Shape, work: Work, *, seed: int, burstiness: float = 1.0, grain_s: float = 1.0) -> None:
        if not burstiness > 0:
            raise ValueError(f"a burstiness is above 0, not {burstiness:g}")
        if not 0 < grain_s < math.inf:
            raise ValueError(f"a grain is finite and above 0 seconds, not {grain_s:g}")
        self._shape, self._work, self._burstiness, self._grain_s = shape, work, burstiness, grain_s
        for_gaps, for_work = np.random.SeedSequence(seed).spawn(2)
        self._gaps, self._works = np.random.default_rng(for_gaps), np.random.default_rng(for_work)
        self._now_s, self._drawn, self._ahead = 0.0, 0.0, np.empty(0)

    def until(self, t_s: float) -> tuple[Floats, Floats]:
        if not self._now_s <= t_s < math.inf:
            raise ValueError(f"arrivals are known up to {self._now_s:g} s: they cannot go on to {t_s:g} s")
        grains_s = np.arange(self._now_s // self._grain_s, math.ceil(t_s / self._grain_s) + 1) * self._grain_s
        expected = self._shape.cumulative(grains_s)
        end = float(np.interp(t_s, grains_s, expected))
        blocks = [self._ahead]
        while self._drawn < end:
            blocks.append(self._block())
        ahead = np.concatenate(blocks)
        n = int(np.searchsorted(ahead, end))
        points, self._ahead = ahead[:n], ahead[n:]
        # Rounding may carry a point over the edge of its stretch, by the last bit of a float.
        arrivals_s = np.clip(np.interp(points, expected, grains_s), self._now_s, np.nextafter(t_s, 0))
        self._now_s = t_s
        return arrivals_s, self._work.draw(self._works, n)

    def _block(self) -> Floats:
        """One more block of points in operational time."""
        if self._burstiness == 1:
            gaps = self._gaps.standard_exponential(BLOCK)
        elif self._burstiness == math.inf:
            gaps = np.ones(BLOCK)
        else:
            gaps = self._gaps.standard_gamma(self._burstiness, BLOCK) / self._burstiness
        points = self._drawn + np.cumsum(gaps)
        self._drawn = float(points[-1])
        return np.asarray(points)


class Replayed:
    """A recorded trace at another rate: its time is stretched, and it begins anew when it is over.

    starts_s:   ascending times, shape (n,), n at least 2, from any origin. Between its last request and its next first
                one lies its mean gap.
    work:       of each request in any unit (tokens, say), above 0; scaled to a mean of 1. None for equal ones.
    rate_per_s: the mean rate to replay it at.
    """

    def __init__(self, starts_s: Floats, work: Floats | None, *, rate_per_s: float) -> None:
        if not 0 < rate_per_s < math.inf:
            raise ValueError(f"a rate is finite and above 0, not {rate_per_s:g}/s")
        if len(starts_s) < 2 or not np.all(np.diff(starts_s) >= 0) or not 0 < starts_s[-1] - starts_s[0] < math.inf:
            raise ValueError("a trace to replay has two requests or more, in ascending order of finite times")
        works = np.ones(len(starts_s)) if work is None else work
        if works.shape != starts_s.shape or not (works.min() > 0 and works.max() < math.inf):
            raise ValueError("each request of a trace has finite work above 0")
        n = len(starts_s)
        self._period_s = n / rate_per_s
        self._starts_s = (starts_s - starts_s[0]) / (starts_s[-1] - starts_s[0]) * (n - 1) / rate_per_s
        self._works = works / works.mean()
        self._now_s = 0.0
        self._next = 0

    def until(self, t_s: float) -> tuple[Floats, Floats]:
        if not self._now_s <= t_s < math.inf:
            raise ValueError(f"arrivals are known up to {self._now_s:g} s: they cannot go on to {t_s:g} s")
        n, round_ = len(self._starts_s), int(t_s // self._period_s)
        end = round_ * n + int(np.searchsorted(self._starts_s, t_s - round_ * self._period_s))
        at = np.arange(self._next, max(self._next, end))
        arrivals_s = self._starts_s[at % n] + at // n * self._period_s
        # Rounding may carry a request over the edge of its stretch, by the last bit of a float.
        arrivals_s = np.clip(arrivals_s, self._now_s, np.nextafter(t_s, 0))
        self._now_s, self._next = t_s, max(self._next, end)
        return arrivals_s, self._works[at % n]
