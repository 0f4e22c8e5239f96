"""The optimum of an instance by SCIP, through OR-tools: prints cost, processor time, and whether it is proved.

A program of its own: OR-tools and highspy each bring a HiGHS, and in one process the second cannot be loaded.
"""

from __future__ import annotations

import sys

from benchmarks.mixes.instances import LIMIT_S, TYPES, Instance, Result, instance, timed
from ortools.linear_solver import pywraplp


def scip(given: Instance) -> Result:
    """The divisible mix, built anew from its formulas."""

    def solve() -> Result:
        solver = pywraplp.Solver.CreateSolver("SCIP")
        types, buckets = range(TYPES), range(len(given.demand_per_s))
        count = [solver.IntVar(0, solver.infinity(), f"n{j}") for j in types]
        rate = [[solver.NumVar(0, solver.infinity(), f"x{j}_{b}") for b in buckets] for j in types]
        for b in buckets:
            solver.Add(sum(rate[j][b] for j in types) >= float(given.demand_per_s[b]))
        for j in types:
            solver.Add(sum(rate[j][b] * float(1 / given.limits_per_s[j, b]) for b in buckets) <= count[j])
        solver.Minimize(sum(count[j] * float(given.usd_per_h[j]) for j in types))
        solver.SetTimeLimit(LIMIT_S * 1000)
        exact = pywraplp.MPSolverParameters()
        exact.SetDoubleParam(pywraplp.MPSolverParameters.RELATIVE_MIP_GAP, 0.0)
        status = solver.Solve(exact)
        return Result(solver.Objective().Value(), 0.0, status == pywraplp.Solver.OPTIMAL)

    return timed(solve)


if __name__ == "__main__":
    found = scip(instance(int(sys.argv[1])))
    print(found.usd_per_h, found.cpu_s, found.proved)
