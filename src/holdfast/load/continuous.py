"""Load without end, to one target or to many: arrival times as they are needed, and a wave for each target.

A schedule that is made beforehand is exact and grows with its length. Here the same inversion (see `load.pacers`) goes
on block by block from where the last one ended, so a week of load takes no more memory than a minute.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from holdfast.load.journal import NoJournal
from holdfast.load.pacers import GammaPoints, Paced, Points, Shape, even_points
from holdfast.model.records import Floats
from holdfast.model.server import Point
from holdfast.model.stages import Level

_BLOCK = 64
"""Arrivals inverted at once: half a millisecond."""

_FAR_S = 1e9
"""A shape that sends nothing for so long has ended."""


@dataclass(frozen=True)
class Behind:
    """A shape that repeats itself, `by_s` later than it is."""

    shape: Shape
    by_s: float

    def cumulative(self, t_s: Floats) -> Floats:
        return self.shape.cumulative(t_s - self.by_s) - self.shape.cumulative(np.array([-self.by_s]))

    def rate_per_s(self, t_s: float) -> float:
        return self.shape.rate_per_s(t_s - self.by_s)


class Unrecorded:
    """The log of a load whose rows nobody keeps; see bench.Log."""

    def __init__(self) -> None:
        self.zero_s = time.perf_counter()
        self.journal = NoJournal()

    def begin(self, index: int, level: Level, began_s: float) -> None:
        """It has no levels."""

    def observe(self, points: Sequence[Point]) -> None:
        """It is not kept."""


def arrivals(paced: Paced, seed: int) -> Iterator[float]:
    """Intended start times in seconds, ascending, without end as long as the shape has none.

    Random gaps are drawn freely: unlike a level of a set length, it does not come out at its mean number exactly.
    """
    chance = np.random.default_rng(seed)
    mark, low_s = (-0.5 if paced.points is even_points else 0.0), 0.0
    while True:
        marks = mark + np.cumsum(_gaps(paced.points, chance))
        high_s = _reaches(paced.shape, float(marks[-1]), low_s)
        if high_s is None:
            return
        times_s = _invert(paced.shape, marks, low_s, high_s)
        yield from times_s.tolist()
        mark, low_s = float(marks[-1]), float(times_s[-1])


def _gaps(points: Points, chance: np.random.Generator) -> Floats:
    """The next gaps of a process of rate 1."""
    if points is even_points:
        return np.ones(_BLOCK)
    burstiness = points.burstiness if isinstance(points, GammaPoints) else 1.0
    return chance.gamma(burstiness, 1 / burstiness, size=_BLOCK)


def _reaches(shape: Shape, mark: float, low_s: float) -> float | None:
    """A time by which `mark` arrivals are expected; None when they never are."""
    step_s = 1.0
    while float(shape.cumulative(np.array([low_s + step_s]))[0]) < mark:
        step_s *= 2
        if step_s > _FAR_S:
            return None
    return low_s + step_s


def _invert(shape: Shape, marks: Floats, low_s: float, high_s: float) -> Floats:
    """When the cumulative number reaches each of `marks`, all of them between the two times."""
    low, high = np.full_like(marks, low_s), np.full_like(marks, high_s)
    # Halvings to the resolution of a double, as in pacers.schedule.
    for _ in range(60):
        middle = (low + high) / 2
        before = shape.cumulative(middle) < marks
        low, high = np.where(before, middle, low), np.where(before, high, middle)
    return np.asarray(high)
