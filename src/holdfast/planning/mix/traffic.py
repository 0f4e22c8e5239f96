"""Where requests go once the replicas are known: to the pool that serves them for least, within its limits."""

from __future__ import annotations

import numpy as np

from holdfast.planning.mix import highs
from holdfast.planning.mix.highs import FEASIBLE, TOLERANCE, Floats, Ints, Program
from holdfast.planning.mix.problem import Problem

_DEAR = 1000.0
"""Times the highest price of an instance: what a replica beyond the target costs, so that none is used without need."""


def cheapest_traffic(problem: Problem, index: int, replicas: Ints) -> Floats:
    """Requests/s by unit and bucket in that period: least cost at the utilisation target, least shares kept.

    replicas: by supply, enough for the period's demand. Cost is the price of the replicas' time that requests take.
    """
    demand, limits = problem.demand[index], problem.limits
    units, buckets = np.arange(limits.shape[0]), np.arange(limits.shape[1])
    held = problem.by_unit(replicas)
    paid = problem.by_unit(replicas * problem.prices / problem.per_instance)
    price = np.divide(paid, held, out=np.zeros_like(held), where=held > 0)
    work = np.divide(demand, limits, out=np.zeros_like(limits), where=limits > 0)
    served = (limits > 0) & (held > 0)[:, None]
    program = Program()
    shares = program.columns(
        limits.size, cost=(price[:, None] * work).ravel(), upper=np.where(served, 1.0, 0.0).ravel()
    ).reshape(limits.shape)
    program.rows(len(buckets), (buckets, shares, 1.0), lower=1 - TOLERANCE, upper=1.0)
    room = held * problem.requirement.utilization_target
    # The replicas may lack what the solver's tolerance allows: so much may be filled beyond the target, at a price.
    beyond = program.columns(
        len(units), cost=_DEAR * float(problem.prices.max()), upper=5 * FEASIBLE * np.maximum(room, 1.0)
    )
    program.rows(len(units), (units[:, None], shares, work), (units, beyond, -1.0), upper=room)
    rate = demand.sum()
    floors = np.where(held > 0, problem.floors[index], 0.0) / rate * (1 - 10 * FEASIBLE)
    program.rows(len(units), (units[:, None], shares, np.broadcast_to(demand / rate, limits.shape)), lower=floors)
    found = highs.solve(program, relaxed=True)
    assert found.found, "the replicas do not carry the demand that they were chosen for"
    given = np.maximum(found.values[shares], 0.0)
    rates: Floats = given / given.sum(axis=0) * demand
    return rates
