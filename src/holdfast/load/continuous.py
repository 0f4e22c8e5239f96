"""Load without end, to one target or to many: arrival times as they are needed, and a wave for each target.

A schedule that is made beforehand is exact and grows with its length. Here the same inversion (see `load.pacers`) goes
on block by block from where the last one ended, so a week of load takes no more memory than a minute.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from holdfast.load.pacers import Shape
from holdfast.model.records import Floats
from holdfast.model.stages import Arrivals

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


def arrivals(shape: Shape, kind: Arrivals, seed: int) -> Iterator[float]:
    """Intended start times in seconds, ascending, without end as long as the shape has none.

    POISSON draws its gaps freely: unlike a level of a set length, it does not come out at its mean number exactly.
    """
    generator = np.random.default_rng(seed)
    mark, low_s = (-0.5 if kind is Arrivals.CONSTANT else 0.0), 0.0
    while True:
        gaps = np.ones(_BLOCK) if kind is Arrivals.CONSTANT else generator.exponential(size=_BLOCK)
        marks = mark + np.cumsum(gaps)
        high_s = _reaches(shape, float(marks[-1]), low_s)
        if high_s is None:
            return
        times_s = _invert(shape, marks, low_s, high_s)
        yield from times_s.tolist()
        mark, low_s = float(marks[-1]), float(times_s[-1])


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
