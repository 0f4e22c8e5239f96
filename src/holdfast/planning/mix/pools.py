"""Rows of a program that say which units have replicas: how many may, and the least share that each of them gets."""

from __future__ import annotations

import numpy as np

from holdfast.planning.mix.giving import Give
from holdfast.planning.mix.highs import Floats, Ints, Program
from holdfast.planning.mix.problem import Problem


def pool_columns(problem: Problem, program: Program, give: Give | None) -> Ints:
    """Columns that say which units have replicas at all; empty where their number is not bounded."""
    most, units = problem.requirement.max_pools, len(problem.candidates)
    if most is None or most >= units:
        return np.empty(0, dtype=np.int64)
    pools = program.columns(units, lower=(problem.min_by_unit > 0).astype(float), upper=1.0, integer=True)
    program.rows(1, (0, pools, 1.0), *([(0, give.pools, -1.0)] if give else []), upper=float(most))
    return pools


def open_rows(
    problem: Problem,
    program: Program,
    demand: Floats,
    floors: Floats,
    replicas: Ints,
    shares: Ints,
    largest: Ints,
    pools: Ints,
) -> Ints:
    """Units with replicas are pools, and each of them gets its least share; the columns that say which have replicas.

    Requests of one bucket need no rows for the least shares: whatever the replicas, traffic can be moved until all
    are kept, since the shares are within what one replica carries.
    """
    units = np.arange(len(problem.candidates))
    warm = len(demand) > 1 and bool(floors.any())
    most = np.maximum(problem.by_unit(largest), 1.0)
    opened = program.columns(len(units) if warm else 0, upper=1.0, integer=True)
    if warm or len(pools):
        bounds = opened if warm else pools
        program.rows(len(units), (problem.unit_of, replicas, 1.0), (units, bounds, -most), upper=0.0)
    if warm:
        if len(pools):
            program.rows(len(units), (units, opened, 1.0), (units, pools, -1.0), upper=0.0)
        rate = demand.sum()
        weights = np.broadcast_to(demand / rate, shares.shape)
        program.rows(len(units), (units[:, None], shares, weights), (units, opened, -floors / rate), lower=0.0)
    return opened
