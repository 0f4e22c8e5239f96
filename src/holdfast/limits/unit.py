"""A unit by its number in flight: how fast requests leave, and what becomes of one that comes.

    departures  mu(n)   completions per second while n are in flight
    risk        h(n)    mean score of a request that finds n in flight (1 or 0 for breaking the bound, or its value)
    admitted    a(n)    share of the requests that find n in flight and are not turned away
    occupancy   pi(n)   of a birth-death process fed at rate r: pi(n) = pi(0) * prod r a(k - 1) / mu(k)
    expected    Q(r) = sum pi(n) h(n)      (Poisson arrivals see time averages)

States that were rarely seen decide about the limit. So departures are a sum of ramps min(n, k), each a server of k
slots: such a curve rises, ever less steeply, and is constant from its last knee on; a free fit would follow the luck
of rare states. Where the last knee is, is not decided but averaged over, by Akaike weights. And the risk at n is taken
from the values of all who found about as many, shifted by how much longer one waits at n.

Sources: R. W. Wolff, "Poisson arrivals see time averages", Operations Research 30(2), 1982; averaging: K. P. Burnham,
D. R. Anderson, Model Selection and Multimodel Inference (2002), section 2.9.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from holdfast.limits import statistics
from holdfast.limits.paths import Counts
from holdfast.model.records import Floats, Ints

_EDGE = 1e-9

_SEEN = 20
"""Departures that must have left a number in flight, or more, for a knee to be looked for there."""

_LIKELY = 0.05
"""Knees less likely than this share of the likeliest do not count."""

_ROUNDS = 3
"""Of weighted least squares; the weights then change by less than what they are known to."""

_SMOOTH = 0.003
"""Ridge on the ramps: of curves that fit alike, one of many small bends is likelier than one of few sharp ones."""

_NEIGHBOURS = 300
"""Requests whose values say what the risk at a number in flight is, as far as those who found just that are fewer."""


@dataclass(frozen=True)
class Unit:
    """departures[n]: per second with n in flight; risk[n]: mean score of a request that finds n; admitted[n]: the
    share of those that are not turned away. Shape (most + 1,).
    """

    departures: Floats
    risk: Floats
    admitted: Floats

    @property
    def capacity_per_s(self) -> float:
        """Departures per second however many are in flight."""
        return float(self.departures[-1])

    def occupancy(self, rate_per_s: float) -> Floats:
        """Share of the time with n in flight at a Poisson rate; beyond the largest n, at the largest n."""
        births = np.log(rate_per_s * np.maximum(self.admitted[:-1], _EDGE))
        log_weights = np.concatenate([[0.0], np.cumsum(births - np.log(self.departures[1:]))])
        weights = np.exp(log_weights - log_weights.max())
        ratio = rate_per_s * self.admitted[-1] / self.capacity_per_s
        # The states beyond the table are a geometric series; without bound when the rate is above the capacity.
        weights[-1] = weights[-1] / (1 - ratio) if ratio < 1 else weights[-1] * len(weights) + weights.sum() * 1e9
        return np.asarray(weights / weights.sum())

    def expected(self, rate_per_s: float) -> float:
        """Mean score at a Poisson rate."""
        return float(self.occupancy(rate_per_s) @ self.risk)

    def solve(self, target: float, link: Callable[[float], float]) -> tuple[float, float] | None:
        """The rate at which the linked expectation is `target`, and its slope there by the logarithm of the rate.

        None when it is so at no rate below the capacity.
        """
        low, high = self.capacity_per_s * 1e-3, self.capacity_per_s * (1 - 1e-4)
        if link(self.expected(low)) > target or link(self.expected(high)) < target:
            return None
        for _ in range(40):
            middle = math.sqrt(low * high)
            low, high = (middle, high) if link(self.expected(middle)) < target else (low, middle)
        step = min(1.01, self.capacity_per_s * (1 - 1e-5) / high)
        rise = link(self.expected(high * step)) - link(self.expected(high / 1.01))
        return high, max(rise / (math.log(step) + math.log(1.01)), 1e-3)


def knees(counts: Counts) -> tuple[int, ...]:
    """From which numbers in flight on departures may be constant."""
    last = _last(counts.time_s)
    above = counts.left[::-1].cumsum()[::-1]
    numbers = [knee for knee in _grid(last) if knee == 1 or above[knee] >= _SEEN]
    weights = _weights(counts, [_fit(counts, knee) for knee in numbers], numbers)
    return tuple(knee for knee, weight in zip(numbers, weights.tolist(), strict=True) if weight > _LIKELY)


def departures(counts: Counts, likely: Sequence[int], near: Floats | None = None) -> Floats:
    """Departures per second by number in flight: the geometric mean of the fits with each of these last knees.

    near: what almost the same counts gave.
    """
    fits = [_fit(counts, knee, near) for knee in likely]
    return np.asarray(np.exp(np.average(np.log(fits), axis=0, weights=_weights(counts, fits, likely))))


def fit(counts: Counts, speeds: Floats, bound: float, *, share: bool, waits: bool) -> Unit:
    """The unit that the counts show, whose departures are `speeds`.

    share: the scores are 0 or 1 for being above the bound; otherwise they are the values, and their mean is bounded.
    waits: who finds one more in flight waits for one departure more, however many there are.
    """
    beyond_s = 1 / speeds[-1] if waits else 0.0
    turned_away = statistics.rising(counts.came - counts.entered, counts.came)
    if not share:
        risk = _rising(counts.score, counts.found, beyond_s)
    elif waits:
        risk = _shifted(counts, bound, beyond_s)
    else:
        risk = statistics.rising(counts.score, counts.found)
    return Unit(speeds, risk, 1 - turned_away)


def _last(seen: Floats) -> int:
    return int(np.flatnonzero(seen > 0)[-1])


def _grid(last: int) -> list[int]:
    """1 to `last`, three to a doubling."""
    return sorted({min(round(2 ** (power / 3)), last) for power in range(3 * last.bit_length() + 1)} - {0})


def _weights(counts: Counts, fits: Sequence[Floats], numbers: Sequence[int]) -> Floats:
    """How likely each fit is; a curve up to a knee has about two parameters for every doubling."""
    scores = np.array(
        [
            float((counts.left * np.log(rates) - rates * counts.time_s)[1:].sum()) - 2 * math.log2(knee)
            for rates, knee in zip(fits, numbers, strict=True)
        ]
    )
    weights = np.exp(scores - scores.max())
    return np.asarray(weights / weights.sum())


def _fit(counts: Counts, knee: int, near: Floats | None = None) -> Floats:
    """The sum of ramps up to `knee` that is likeliest (Poisson), by iterated weighted least squares."""
    last = _last(counts.time_s)
    numbers = np.arange(1, last + 1)
    ramps = np.minimum(numbers[:, None], np.array(_grid(knee))[None, :]).astype(float)
    time_s, left = counts.time_s[1 : last + 1], counts.left[1 : last + 1]
    rates = ramps[:, -1] * left.sum() / float(ramps[:, -1] @ time_s) if near is None else near[1 : last + 1]
    for _ in range(_ROUNDS if near is None else 1):
        weights = 1 / np.maximum(rates, _EDGE)
        gram = ramps.T @ (ramps * (time_s * weights)[:, None])
        gram += _SMOOTH * np.diag(np.diag(gram))
        shares = statistics.nonnegative(gram, ramps.T @ (left * weights))
        rates = ramps @ shares
    whole = np.concatenate([[0.0], rates, np.full(len(counts.left) - last - 1, rates[-1])])
    return np.asarray(np.maximum(whole, _EDGE))


def _rising(totals: Floats, weights: Floats, beyond: float) -> Floats:
    """A rising mean by number in flight, which goes on rising by `beyond` where nothing was seen any more."""
    means = statistics.rising(totals, weights)
    last = _last(weights)
    means[last:] += np.arange(len(means) - last) * beyond
    return means


def _shifted(counts: Counts, bound: float, beyond: float) -> Floats:
    """The share of values above the bound by number in flight, from those of neighbours as if they had found it."""
    order = np.argsort(counts.numbers, kind="stable")
    numbers, values = counts.numbers[order], counts.values[order]
    states = len(counts.found)
    means = _rising(_sums(numbers, values, states), counts.found, beyond)
    excess = values - means[numbers]
    begins, ends = (np.searchsorted(numbers, np.arange(states), side) for side in ("left", "right"))
    shares = [
        np.count_nonzero(excess[_around(begin, end, len(values))] > bound - mean) / _width(begin, end, len(values))
        for begin, end, mean in zip(begins.tolist(), ends.tolist(), means.tolist(), strict=True)
    ]
    return np.asarray(np.maximum.accumulate(shares))


def _sums(numbers: Ints, values: Floats, states: int) -> Floats:
    return np.bincount(numbers, values, states).astype(float)


def _around(begin: int, end: int, n: int) -> slice:
    """From `begin` to `end`, widened to at least _NEIGHBOURS of n where there are so many."""
    lacking = max(0, _NEIGHBOURS - (end - begin))
    start = max(0, min(begin - lacking // 2, n - _NEIGHBOURS))
    return slice(start, min(n, max(end, start + _NEIGHBOURS)))


def _width(begin: int, end: int, n: int) -> int:
    part = _around(begin, end, n)
    return int(part.stop - part.start)
