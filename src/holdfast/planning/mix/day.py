"""Mixes of single periods as a day: what it costs with the starts between them, and the best choice for each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from holdfast.planning.mix.highs import Floats, Ints
from holdfast.planning.mix.problem import Problem


def day_usd(problem: Problem, replicas: Ints) -> float:
    """US dollars of all periods: instances, and starts where the day has more than one period."""
    return float(period_usd(problem, replicas).sum())


def period_usd(problem: Problem, replicas: Ints) -> Floats:
    """US dollars of each period, its starts against the period before (the first's against the last) included."""
    instances = problem.instances(replicas)
    paid: Floats = instances @ problem.prices * problem.requirement.period_h
    if len(replicas) == 1:
        return paid
    started = np.maximum(instances - np.roll(instances, 1, axis=0), 0)
    whole: Floats = paid + started @ problem.start_usd
    return whole


def cheapest_day(problem: Problem, days: Sequence[Ints]) -> Ints:
    """The cheapest day that has in every period the replicas of some period of the given days.

    A period may take the replicas of another whose demand covers its own in every bucket. The choice is exact: a
    shortest path around the circle of periods, once for every choice of the first.
    """
    count = len(problem.demand)
    options = np.concatenate(list(days))
    meant_for = np.tile(np.arange(count), len(days))
    covers = np.all(problem.demand[meant_for][None, :, :] >= problem.demand[:, None, :], axis=2)
    if problem.demand.shape[1] > 1 and problem.floors.any():
        covers &= meant_for[None, :] == np.arange(count)[:, None]  # least shares need not hold for another demand
    instances = problem.instances(options)
    usd = instances @ problem.prices * problem.requirement.period_h
    started = np.maximum(instances[None, :, :] - instances[:, None, :], 0) @ problem.start_usd
    each = np.where(covers, usd, np.inf)
    best_usd, best_path = np.inf, np.arange(count)
    for first in np.flatnonzero(covers[0]):
        total = np.full(len(options), np.inf)
        total[first] = each[0, first]
        came_from = np.zeros((count, len(options)), dtype=np.int64)
        for period in range(1, count):
            reached = total[:, None] + started
            came_from[period] = reached.argmin(axis=0)
            total = reached.min(axis=0) + each[period]
        closed = total + started[:, first]
        last = int(closed.argmin())
        if closed[last] < best_usd:
            best_usd, best_path = float(closed[last]), _path(came_from, last)
    return options[best_path]


def _path(came_from: Ints, last: int) -> Ints:
    path = [last]
    for period in range(len(came_from) - 1, 0, -1):
        path.append(int(came_from[period, path[-1]]))
    return np.array(path[::-1])
