"""Mélange's formulation (Griggs et al. 2024, arXiv:2404.14527, section 5.4.3) in PuLP, solved by CBC."""

from __future__ import annotations

import numpy as np
import pulp
from benchmarks.mixes.instances import LIMIT_S, SLICES, TYPES, Instance, Result, timed


def melange(given: Instance) -> Result:
    def solve() -> Result:
        types, slices = range(TYPES), range(len(given.demand_per_s) * SLICES)
        load = np.repeat(given.demand_per_s / SLICES / given.limits_per_s, SLICES, axis=1)
        problem = pulp.LpProblem("melange", pulp.LpMinimize)
        goes = [[pulp.LpVariable(f"x_{i}_{j}", cat=pulp.LpBinary) for j in types] for i in slices]
        count = [pulp.LpVariable(f"n_{j}", lowBound=0, cat=pulp.LpInteger) for j in types]
        problem += pulp.lpSum(count[j] * float(given.usd_per_h[j]) for j in types)
        for i in slices:
            problem += pulp.lpSum(goes[i]) == 1
        for j in types:
            problem += pulp.lpSum(goes[i][j] * float(load[j, i]) for i in slices) <= count[j]
        problem.solve(pulp.PULP_CBC_CMD(msg=False, threads=1, timeLimit=LIMIT_S))
        return Result(float(pulp.value(problem.objective)), 0.0, problem.sol_status == pulp.LpSolutionOptimal)

    return timed(solve)
