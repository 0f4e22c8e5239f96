"""A level as a path: how many were in flight when, and what became of who found so many there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from holdfast.model.records import Floats, Ints

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Visit:
    """One level as one criterion sees it, by arrival; the arrays have shape (n,).

    arrivals_s: when each request arrived, also of those before the window: they are in flight at its start.
    leaves_s:   when it left. stays: False for one that was turned away at once and never was in flight.
    values:     what the criterion bounds, NaN where it is not known.
    scores:     1 or 0 for breaking the bound or not, or the value itself where its mean is bounded; NaN where unknown.
    window_s:   start and end of what is looked at.
    """

    arrivals_s: Floats
    leaves_s: Floats
    stays: Bools
    values: Floats
    scores: Floats
    window_s: tuple[float, float]


@dataclass(frozen=True)
class Path:
    """The events of a window in order: when, +1 or -1, how many in flight before, value and score of an arrival.

    An arrival that is turned away is an event of 0.
    """

    times_s: Floats
    steps: Ints
    before: Ints
    values: Floats
    scores: Floats
    end_s: float

    @property
    def most(self) -> int:
        """The most in flight."""
        return int(self.before.max(initial=0)) + 1


@dataclass(frozen=True)
class Counts:
    """Per number in flight n, shape (most + 1,): time spent there, departures from there, arrivals with a score that
    found it, the sum of their scores, all arrivals that found it, and those that were not turned away.
    Per arrival with a score: the number that it found, and its value.
    """

    time_s: Floats
    left: Floats
    found: Floats
    score: Floats
    came: Floats
    entered: Floats
    numbers: Ints
    values: Floats


_NAMES = tuple(field.name for field in fields(Counts))
_SUMS, _JOINED = _NAMES[:6], _NAMES[6:]


def path(visit: Visit) -> Path:
    """The events of the visit's window."""
    start_s, end_s = visit.window_s
    stays = visit.stays
    none = np.full(int(stays.sum()), np.nan)
    steps = np.concatenate([np.full(len(none), -1), stays.astype(int)])
    times_s = np.concatenate([visit.leaves_s[stays], visit.arrivals_s])
    # Of events at the same moment, those who leave go first.
    order = np.lexsort((steps, times_s))
    times_s, steps = times_s[order], steps[order]
    before = np.cumsum(steps) - steps
    values, scores = (np.concatenate([none, each])[order] for each in (visit.values, visit.scores))
    seen = (times_s >= start_s) & (times_s <= end_s)
    return Path(times_s[seen], steps[seen], before[seen], values[seen], scores[seen], end_s)


def pieces(path: Path, cuts: int, most: int) -> list[Counts]:
    """The counts of `cuts` consecutive parts with equally many events each, for 0 to `most` in flight."""
    stays_s = np.diff(path.times_s, append=path.end_s)
    after = np.minimum(path.before + path.steps, most)
    before = np.minimum(path.before, most)
    scored = (path.steps >= 0) & ~np.isnan(path.scores)
    came = path.steps >= 0
    columns = (stays_s, path.steps < 0, scored, scored * np.nan_to_num(path.scores), came, path.steps > 0)
    places = (after, before, before, before, before, before)
    found = list[Counts]()
    for part in np.array_split(np.arange(len(path.times_s)), cuts):
        by_number = (
            np.bincount(at[part], column[part].astype(float), most + 1).astype(float)
            for at, column in zip(places, columns, strict=True)
        )
        kept = part[scored[part]]
        found.append(Counts(*by_number, *(each[kept] for each in (path.before, path.values))))
    return found


def together(parts: Sequence[Counts]) -> Counts:
    """The counts of all parts."""
    sums = (np.sum([getattr(part, name) for part in parts], axis=0) for name in _SUMS)
    joined = (np.concatenate([getattr(part, name) for part in parts]) for name in _JOINED)
    return Counts(*sums, *joined)
