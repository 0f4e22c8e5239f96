"""Where a criterion meets its bound, from how the unit behaves at each number in flight.

Near its limit a unit remembers: a queue, once long, stays long for tens of requests, so that the share of late
requests at one rate says little for its number of requests. How fast requests *leave* when n are in flight, and what
becomes of a request that finds n there, says far more: every rate visits many n, and each visit is evidence for all
rates.

    departures  mu(n)   completions per second while n are in flight: rising, constant from some n on
    risk        h(n)    mean score of a request that finds n in flight (1 or 0 for breaking the bound, or its latency)
    admitted    a(n)    share of the requests that find n in flight and are not turned away
    occupancy   pi(n)   of a birth-death process fed at rate r: pi(n) = pi(0) * prod r a(k - 1) / mu(k)
    expected    Q(r) = sum pi(n) h(n)      (Poisson arrivals see time averages)

The limit solves Q(r) = bound. This is the flow-equivalent server of queueing networks, estimated from requests; it is
exact for exponential and for processor-sharing servers, and off by a few per cent for others. How far off is measured:
the same process is run over the *actual* arrivals, and the difference between what it expects there and what was seen
shifts the curve. As the arrivals are the same on both sides, their luck cancels (a control variate).

Sources: K. M. Chandy, U. Herzog, L. Woo, "Parametric analysis of queueing networks", IBM J. Res. Dev. 19(1), 1975;
R. W. Wolff, "Poisson arrivals see time averages", Operations Research 30(2), 1982; for the interval: B. Efron,
R. J. Tibshirani, An Introduction to the Bootstrap (1993), chapter 11 (jackknife).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from holdfast.limits import statistics
from holdfast.model.records import Floats, Ints

Bools = npt.NDArray[np.bool_]

BLOCKS = 16
"""The levels are cut into about this many pieces for the jackknife; with many more they depend on each other."""

PRIOR = 0.04
"""How far off in rate the model is believed to be before the data speak (standard deviation of the logarithm): about
its error over servers from deterministic to hyperexponential."""

_FEW = 3
"""Fewer scores of one kind say nothing of how far the model is off."""

_SATURATED = 0.02
"""Share of the departures that must have left a saturated unit for its capacity to count as seen."""

_STEP = 0.4
"""Longest step of the death process, in departures; the second-order step is then exact to about a per cent."""

_EDGE = 1e-9


@dataclass(frozen=True)
class Visit:
    """One level as one criterion sees it, by arrival; the arrays have shape (n,).

    arrivals_s: when each request arrived, also of those before the window: they are in flight at its start.
    leaves_s:   when it left. stays: False for one that was turned away at once and never was in flight.
    scores:     1 or 0 for breaking the bound or not, or the value itself; NaN where it is not known.
    window_s:   start and end of what is looked at.
    """

    arrivals_s: Floats
    leaves_s: Floats
    stays: Bools
    scores: Floats
    window_s: tuple[float, float]


@dataclass(frozen=True)
class Crossing:
    """Where the expected score meets its bound: the rate and the standard error of its logarithm."""

    rate_per_s: float
    error: float


@dataclass(frozen=True)
class _Counts:
    """Per number in flight n: time spent there, departures from there, arrivals with a score that found it, the sum of
    their scores, all arrivals that found it, and those that were not turned away.
    """

    time_s: Floats
    left: Floats
    found: Floats
    score: Floats
    came: Floats
    entered: Floats

    def __sub__(self, other: _Counts) -> _Counts:
        return _Counts(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(self)))


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


def crossing(visits: Sequence[Visit], bound: float, *, share: bool) -> Crossing | None:
    """Where the mean score meets `bound`; None when the visits do not tell.

    share: the scores are 0 or 1 and the bound is a share; otherwise they are positive and the bound is a mean.
    """
    paths = [_path(visit) for visit in visits]
    cuts = math.ceil(BLOCKS / len(paths))
    most = 2 * max(path.most for path in paths) + 8
    pieces = [counts for path in paths for counts in _pieces(path, cuts, most)]
    whole = _sum(pieces)
    link = _SHARE if share else _MEAN
    unit = _unit(whole, share=share)
    bare = _solve(unit, link.of(bound), link.of)
    if bare is None:
        return None
    shift, shift_error = _shift(_tallies(unit, paths, cuts), link, PRIOR * bare[1])
    target = link.of(bound) - shift
    found = _solve(unit, target, link.of)
    if found is None:
        return None
    rate, slope = found
    others = [_solve(_unit(whole - piece, share=share), target, link.of) for piece in pieces]
    logs = np.array([math.log(other[0]) for other in others if other is not None])
    if len(logs) < 0.75 * len(pieces):
        return None
    return Crossing(rate, math.hypot(_jackknife_error(logs), shift_error / slope))


def solve(unit: Unit, bound: float, *, share: bool) -> float | None:
    """The rate at which a known unit meets the bound; None when it does at none."""
    link = _SHARE if share else _MEAN
    found = _solve(unit, link.of(bound), link.of)
    return None if found is None else found[0]


def capacity(visits: Sequence[Visit]) -> Crossing | None:
    """The rate above which the queue has no bound: departures with many in flight; None when that was not seen."""
    paths = [_path(visit) for visit in visits]
    most = max(path.most for path in paths) + 1
    pieces = [counts for path in paths for counts in _pieces(path, math.ceil(BLOCKS / len(paths)), most)]
    whole = _sum(pieces)
    departures, saturated = _departures(whole)
    if whole.left[saturated:].sum() < _SATURATED * whole.left.sum():
        return None
    others = np.array([_departures(whole - piece)[0][-1] for piece in pieces])
    return Crossing(float(departures[-1]), _jackknife_error(np.log(others)))


def _jackknife_error(values: Floats) -> float:
    return math.sqrt(float(((values - values.mean()) ** 2).sum()) * (len(values) - 1) / len(values))


@dataclass(frozen=True)
class _Link:
    """The scale on which scores are compared, and the way back from it."""

    of: Callable[[float], float]
    back: Callable[[Floats], Floats]


def _logit(share: float) -> float:
    kept = min(max(share, _EDGE), 1 - _EDGE)
    return math.log(kept / (1 - kept))


_SHARE = _Link(_logit, lambda linked: np.asarray(1 / (1 + np.exp(-linked))))
_MEAN = _Link(lambda mean: math.log(max(mean, _EDGE)), np.exp)


@dataclass(frozen=True)
class _Path:
    """The events of a window in order: when, +1 or -1, how many in flight before, and the score of an arrival.

    An arrival that is turned away is an event of 0.
    """

    times_s: Floats
    steps: Ints
    before: Ints
    scores: Floats
    end_s: float

    @property
    def most(self) -> int:
        return int(self.before.max(initial=0)) + 1


def _path(visit: Visit) -> _Path:
    start_s, end_s = visit.window_s
    stays = visit.stays
    steps = np.concatenate([np.full(int(stays.sum()), -1), stays.astype(int)])
    times_s = np.concatenate([visit.leaves_s[stays], visit.arrivals_s])
    scores = np.concatenate([np.full(int(stays.sum()), np.nan), visit.scores])
    # Of events at the same moment, those who leave go first.
    order = np.lexsort((steps, times_s))
    times_s, steps, scores = times_s[order], steps[order], scores[order]
    before = np.cumsum(steps) - steps
    seen = (times_s >= start_s) & (times_s <= end_s)
    return _Path(times_s[seen], steps[seen], before[seen], scores[seen], end_s)


def _pieces(path: _Path, cuts: int, most: int) -> list[_Counts]:
    """The counts of `cuts` consecutive parts with equally many events each."""
    stays_s = np.diff(path.times_s, append=path.end_s)
    after = np.minimum(path.before + path.steps, most)
    before = np.minimum(path.before, most)
    arrived = (path.steps >= 0) & ~np.isnan(path.scores)
    scores = np.nan_to_num(path.scores)
    came = path.steps >= 0
    columns = (stays_s, path.steps < 0, arrived, arrived * scores, came, path.steps > 0)
    places = (after, before, before, before, before, before)
    return [
        _Counts(*(_by_number(at[part], column[part], most) for at, column in zip(places, columns, strict=True)))
        for part in np.array_split(np.arange(len(path.times_s)), cuts)
    ]


def _by_number(numbers: Ints, weights: npt.NDArray[np.generic], most: int) -> Floats:
    return np.bincount(numbers, weights.astype(float), most + 1).astype(float)


def _sum(pieces: Sequence[_Counts]) -> _Counts:
    return _Counts(*(np.sum([getattr(piece, f.name) for piece in pieces], axis=0) for f in fields(_Counts)))


def _unit(counts: _Counts, *, share: bool) -> Unit:
    departures, _ = _departures(counts)
    risk = statistics.rising(counts.score, counts.found)
    last = int(np.flatnonzero(counts.found > 0)[-1])
    if not share:
        # A mean grows with the queue; a share that was never seen higher is not assumed to be.
        risk[last:] += np.arange(len(risk) - last) / departures[-1]
    turned_away = statistics.rising(counts.came - counts.entered, counts.came)
    return Unit(departures, risk, 1 - turned_away)


def _departures(counts: _Counts) -> tuple[Floats, int]:
    """Departure rate by number in flight, and from which number on it is constant.

    Up to there it is the rising curve of highest likelihood (Poisson); where it becomes constant is chosen by the
    Bayesian information criterion. A rising fit alone would follow the noise of rare states upwards.
    """
    time_s, left = counts.time_s, counts.left
    last = int(np.flatnonzero(time_s > 0)[-1])
    best = (math.inf, np.zeros(0), 1)
    for start in sorted({min(round(2 ** (power / 2)), last) for power in range(24)} - {0}):
        constant = (float(left[start:].sum()) + 0.5) / (float(time_s[start:].sum()) + _EDGE)
        below = np.minimum(statistics.rising(left[:start], time_s[:start]), constant)
        rates = np.maximum(np.concatenate([below, np.full(len(left) - start, constant)]), _EDGE)
        likelihood = float((left * np.log(rates) - rates * time_s)[1:].sum())
        # A curve this smooth has about a parameter for every doubling.
        score = (math.log2(start) + 1) * math.log(left.sum() + 1) - 2 * likelihood
        if score < best[0]:
            best = (score, rates, start)
    return best[1], best[2]


def _solve(unit: Unit, target: float, link: Callable[[float], float]) -> tuple[float, float] | None:
    """The rate at which the linked expectation is `target`, and its slope there by the logarithm of the rate."""
    low, high = unit.capacity_per_s * 1e-3, unit.capacity_per_s * (1 - 1e-4)
    if link(unit.expected(low)) > target or link(unit.expected(high)) < target:
        return None
    for _ in range(40):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if link(unit.expected(middle)) < target else (low, middle)
    step = min(1.01, unit.capacity_per_s * (1 - 1e-5) / high)
    rise = link(unit.expected(high * step)) - link(unit.expected(high / 1.01))
    return high, max(rise / (math.log(step) + math.log(1.01)), 1e-3)


@dataclass(frozen=True)
class _Tallies:
    """Per piece: the sum of the scores, the mean expected on the same arrivals, and how many; shape (pieces,)."""

    seen: Floats
    expected: Floats
    n: Floats


def _tallies(unit: Unit, paths: Sequence[_Path], cuts: int) -> _Tallies:
    rows = list[tuple[float, float, int]]()
    for path, means in zip(paths, _on_arrivals(unit, paths), strict=True):
        scores = path.scores[path.steps >= 0]
        for part in np.array_split(np.arange(len(scores)), cuts):
            known = part[~np.isnan(scores[part])]
            rows.append((float(scores[known].sum()), float(means[known].mean()) if len(known) else 0.5, len(known)))
    seen, expected, n = np.array(rows).T
    return _Tallies(seen, expected, n)


def _shift(tallies: _Tallies, link: _Link, prior: float) -> tuple[float, float]:
    """How much higher the linked mean score was than the unit's process expects on the very same arrivals; its error.

    An estimating equation over the pieces with a sandwich variance (pieces as clusters), shrunk towards none by a
    prior of this width.
    """
    n, seen = tallies.n, tallies.seen
    expected = float((n * tallies.expected).sum())
    if max(seen.sum(), expected) < _FEW or max((n - seen).sum(), n.sum() - expected) < _FEW:
        return 0.0, prior  # as good as nothing was seen of one kind, nor expected
    # Half a score more and less keeps the linked mean finite where all were alike.
    total = min(max(float(seen.sum()), 0.5), float(n.sum()) - 0.5) if link is _SHARE else float(seen.sum())
    linked = np.array([link.of(value) for value in tallies.expected])
    low, high = -8.0, 8.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if (n * link.back(linked + middle)).sum() < total else (low, middle)
    residual = seen - n * link.back(linked + high)
    steepness = float((n * (link.back(linked + high + 1e-3) - link.back(linked + high - 1e-3))).sum()) / 2e-3
    variance = float((residual**2).sum()) * len(n) / (len(n) - 1) / steepness**2
    if link is _SHARE:
        variance = max(variance, 1 / total)  # no fewer than as many independent scores as there were
    trust = prior**2 / (prior**2 + variance)
    return trust * high, math.sqrt(trust * variance)


def _on_arrivals(unit: Unit, paths: Sequence[_Path]) -> list[Floats]:
    """The expected score of each arrival, by the unit's death process between the actual ones; all paths at once."""
    times = [path.times_s[path.steps >= 0] for path in paths]
    n, states = max(len(t) for t in times), len(unit.departures)
    gaps_s = np.zeros((len(paths), n))
    present = np.zeros((len(paths), states))
    for row, (path, t) in enumerate(zip(paths, times, strict=True)):
        gaps_s[row, : len(t)] = np.diff(t, prepend=path.times_s[0])
        present[row, min(int(path.before[0]), states - 1)] = 1.0
    means = np.zeros((len(paths), n))
    fastest = float(unit.departures.max())
    for i in range(n):
        steps = max(1, math.ceil(fastest * float(gaps_s[:, i].max()) / _STEP))
        step_s = gaps_s[:, i, None] / steps
        for _ in range(steps):
            once = _deaths(present, unit.departures) * step_s
            present = present + once + _deaths(once, unit.departures) * step_s / 2
        means[:, i] = present @ unit.risk
        entering = present * unit.admitted
        present = present - entering
        present[:, 1:] += entering[:, :-1]
        present[:, -1] += entering[:, -1]
    return [means[row, : len(t)] for row, t in enumerate(times)]


def _deaths(present: Floats, departures: Floats) -> Floats:
    """Change per second of a distribution over numbers in flight by departures."""
    leaving = present * departures
    change = -leaving
    change[:, :-1] += leaving[:, 1:]
    return change
