"""Where a criterion meets its bound, from how the unit behaves at each number in flight.

Near its limit a unit remembers: a queue, once long, stays long for tens of requests, so that the share of late
requests at one rate says little for its number of requests. How fast requests *leave* when n are in flight, and what
becomes of a request that finds n there, says far more: every rate visits many n, and each visit is evidence for all
rates. `unit` is made of both, and the limit is the rate at which it expects the bound.

This is the flow-equivalent server of queueing networks, estimated from requests. Fed at the rate at which it was
seen it is exact for every server (as many leave n for n - 1 as come back), and near that rate it is off by a per cent
or two. How far off is measured: the same process is run over the *actual* arrivals, and the difference between what
it expects there and what was seen shifts the curve. As the arrivals are the same on both sides, their luck cancels (a
control variate).

Sources: K. M. Chandy, U. Herzog, L. Woo, "Parametric analysis of queueing networks", IBM J. Res. Dev. 19(1), 1975;
for the interval: B. Efron, R. J. Tibshirani, An Introduction to the Bootstrap (1993), chapter 11 (jackknife).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from holdfast.limits import paths, unit
from holdfast.limits.paths import Counts, Path, Visit
from holdfast.limits.unit import Unit
from holdfast.model.records import Floats

BLOCKS = 16
"""The levels are cut into about this many pieces for the jackknife; with many more they depend on each other."""

_OFF = 0.01
"""How far off in rate the model is believed to be before the data speak (standard deviation of the logarithm)."""

_OFF_SCORE = 0.15
"""And how far off in what it expects, on the scale of the link: where that hardly depends on the rate, this is more."""

_FEW = 3
"""Fewer scores of one kind say nothing of how far the model is off."""

_SATURATED = 0.02
"""Share of the departures that must have left a saturated unit for its capacity to count as seen."""

_STEP = 0.4
"""Longest step of the death process, in departures; the second-order step is then exact to about a per cent."""

_EDGE = 1e-9


@dataclass(frozen=True)
class Bound:
    """What a criterion asks of the scores.

    value: what their mean may be. share: they are 0 or 1 for values above `limit`; else they are the values themselves.
    waits: the value grows with the number that a request finds, however many they are.
    """

    value: float
    limit: float
    share: bool
    waits: bool

    @property
    def link(self) -> _Link:
        """The scale on which means are compared."""
        return _SHARE if self.share else _MEAN


@dataclass(frozen=True)
class Crossing:
    """Where the expected score meets its bound: the rate and the standard error of its logarithm."""

    rate_per_s: float
    error: float


@dataclass(frozen=True)
class Flow:
    """How requests leave, whatever becomes of them: what all criteria have in common.

    speeds: departures per second by number in flight, shape (most + 1,); others: the same without each piece of the
    levels in turn. saturated: whether many left a unit that gets no faster.
    """

    speeds: Floats
    others: tuple[Floats, ...]
    saturated: bool

    @property
    def capacity(self) -> Crossing | None:
        """The rate above which the queue has no bound: departures with many in flight; None when that was not seen."""
        if not self.saturated:
            return None
        return Crossing(float(self.speeds[-1]), _jackknife_error(np.log([each[-1] for each in self.others])))


def flow(visits: Sequence[Visit]) -> Flow:
    """How requests leave, from all visits together."""
    parts = _parts([paths.path(visit) for visit in visits])
    whole = paths.together(parts)
    likely = unit.knees(whole)
    speeds = unit.departures(whole, likely)
    others = tuple(unit.departures(each, likely, speeds) for each in _leaving_one_out(parts))
    return Flow(speeds, others, bool(whole.left[likely[0] :].sum() >= _SATURATED * whole.left.sum()))


def crossing(visits: Sequence[Visit], flow: Flow, bound: Bound) -> Crossing | None:
    """Where the mean score meets its bound; None when the visits do not tell."""
    tracks = [paths.path(visit) for visit in visits]
    parts = _parts(tracks)
    known = _unit(paths.together(parts), flow.speeds, bound)
    link = bound.link
    bare = known.solve(link.of(bound.value), link.of)
    if bare is None:
        return None
    prior = math.hypot(_OFF * bare[1], _OFF_SCORE)
    shift, shift_error = _shift(_tallies(known, tracks), link, prior)
    target = link.of(bound.value) - shift
    found = known.solve(target, link.of)
    if found is None:
        return None
    rate, slope = found
    rest = zip(_leaving_one_out(parts), flow.others, strict=True)
    others = [_unit(counts, speeds, bound).solve(target, link.of) for counts, speeds in rest]
    logs = np.array([math.log(other[0]) for other in others if other is not None])
    if len(logs) < 0.75 * len(parts):
        return None
    return Crossing(rate, math.hypot(_jackknife_error(logs), shift_error / slope))


def glance(visits: Sequence[Visit], speeds: Floats, bound: Bound) -> float | None:
    """About where the mean score meets its bound; None when the visits do not tell."""
    counts = paths.together(_parts([paths.path(visit) for visit in visits]))
    return solve(_unit(counts, speeds, bound), bound)


def speeds(visits: Sequence[Visit]) -> Floats:
    """How fast requests leave, from all visits together, without how sure that is."""
    counts = paths.together(_parts([paths.path(visit) for visit in visits]))
    return unit.departures(counts, unit.knees(counts))


def solve(known: Unit, bound: Bound) -> float | None:
    """The rate at which a known unit meets the bound; None when it does at none."""
    found = known.solve(bound.link.of(bound.value), bound.link.of)
    return None if found is None else found[0]


def _unit(counts: Counts, speeds: Floats, bound: Bound) -> Unit:
    return unit.fit(counts, speeds, bound.limit, share=bound.share, waits=bound.waits)


def _leaving_one_out(parts: Sequence[Counts]) -> Iterator[Counts]:
    return (paths.together([*parts[:n], *parts[n + 1 :]]) for n in range(len(parts)))


def _cuts(tracks: Sequence[Path]) -> int:
    return math.ceil(BLOCKS / len(tracks))


def _parts(tracks: Sequence[Path]) -> list[Counts]:
    most = 2 * max(track.most for track in tracks) + 8
    return [counts for track in tracks for counts in paths.pieces(track, _cuts(tracks), most)]


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
class _Tallies:
    """Per piece: the sum of the scores, the mean expected on the same arrivals, and how many; shape (pieces,)."""

    seen: Floats
    expected: Floats
    n: Floats


def _tallies(known: Unit, tracks: Sequence[Path]) -> _Tallies:
    rows = list[tuple[float, float, int]]()
    for track, means in zip(tracks, _on_arrivals(known, tracks), strict=True):
        scores = track.scores[track.steps >= 0]
        for part in np.array_split(np.arange(len(scores)), _cuts(tracks)):
            kept = part[~np.isnan(scores[part])]
            rows.append((float(scores[kept].sum()), float(means[kept].mean()) if len(kept) else 0.5, len(kept)))
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


def _on_arrivals(known: Unit, tracks: Sequence[Path]) -> list[Floats]:
    """The expected score of each arrival, by the unit's death process between the actual ones; all paths at once."""
    times = [track.times_s[track.steps >= 0] for track in tracks]
    n, states = max(len(t) for t in times), len(known.departures)
    gaps_s = np.zeros((len(tracks), n))
    present = np.zeros((len(tracks), states))
    for row, (track, t) in enumerate(zip(tracks, times, strict=True)):
        gaps_s[row, : len(t)] = np.diff(t, prepend=track.times_s[0])
        present[row, min(int(track.before[0]), states - 1)] = 1.0
    means = np.zeros((len(tracks), n))
    fastest = float(known.departures.max())
    for i in range(n):
        steps = max(1, math.ceil(fastest * float(gaps_s[:, i].max()) / _STEP))
        _thin(present, known.departures * (gaps_s[:, i, None] / steps), steps)
        means[:, i] = present @ known.risk
        entering = present * known.admitted
        present -= entering
        present[:, 1:] += entering[:, :-1]
        present[:, -1] += entering[:, -1]
    return [means[row, : len(t)] for row, t in enumerate(times)]


def _thin(present: Floats, departures: Floats, steps: int) -> None:
    """Lets departures change distributions over numbers in flight, in place, by steps of the second order.

    departures: per step. Searches spend a third of their time here, so the loop makes no arrays.
    """
    halved, change = departures / 2, np.empty_like(present)
    # Nothing comes down into the last number from above it.
    flows = np.zeros((len(present), present.shape[1] + 1))
    leaving, coming = flows[:, :-1], flows[:, 1:]
    for _ in range(steps):
        np.multiply(present, departures, out=leaving)
        np.subtract(coming, leaving, out=change)
        present += change
        np.multiply(change, halved, out=leaving)
        np.subtract(coming, leaving, out=change)
        present += change
