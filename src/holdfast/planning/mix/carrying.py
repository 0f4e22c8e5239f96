"""How much of a demand given replicas can carry, and the proof that it is no more.

Requests of a bucket may go to any unit that serves them. So the most of a demand d that N_u replicas can carry is

    maximise theta  subject to  sum_u x_ub = theta * d_b,   sum_b x_ub / limit_ub <= N_u,   x >= 0.

Its dual puts a price pi_b on a request of each bucket. By weak duality, for *any* prices pi >= 0, replicas that
carry d satisfy

    sum_u mu_u N_u >= sum_b pi_b d_b    with    mu_u = max_b pi_b limit_ub,

which has no x in it: what the replicas earn at these prices is at least what the demand is worth. These rows are how a
program that chooses N says "and after this loss too" without a traffic plan per loss (Benders 1962,
doi:10.1007/BF01386316). They hold for every period, loss and N alike, so that a few price vectors serve all.
"""

from __future__ import annotations

import numpy as np

from holdfast.planning.mix import highs
from holdfast.planning.mix.highs import Floats, Program

ENOUGH = 1 - 3 * highs.FEASIBLE
"""A load factor from which on a demand is carried: what the solver's tolerance can cost a few rows together."""


def load_factor(limits: Floats, demand: Floats, replicas: Floats) -> tuple[float, Floats]:
    """The greatest multiple of `demand` (by bucket) that `replicas` (by unit) carry, and the prices that prove it.

    limits: (units, buckets), requests/s.
    """
    if len(demand) == 1:
        return float(limits[:, 0] @ replicas / demand[0]), np.ones(1)
    units, buckets = limits.shape
    program = Program()
    factor = program.columns(1, cost=-1.0)
    work = np.divide(demand, limits, out=np.zeros_like(limits), where=limits > 0)
    scale = 1 / float(work.max())  # HiGHS drops coefficients below 1e-9: the demand is taken so that the largest is 1
    shares = program.columns(units * buckets, upper=np.where(limits > 0, np.inf, 0.0).ravel()).reshape(units, buckets)
    carried = program.rows(buckets, (np.arange(buckets), shares, 1.0), (np.arange(buckets), factor, -1.0), lower=0.0)
    # Replicas of a relaxed program may be some 1e-12 below none.
    program.rows(units, (np.arange(units)[:, None], shares, work * scale), upper=np.maximum(replicas, 0.0))
    found = highs.solve(program, relaxed=True)
    worth = np.maximum(found.row_worth[carried], 0.0)
    return -found.objective * scale, np.divide(worth, demand, out=np.zeros(buckets), where=demand > 0)


def earnings(limits: Floats, prices: Floats) -> Floats:
    """What one replica of each unit earns at most at prices per request of each bucket."""
    most: Floats = (limits * prices).max(axis=1)
    return most
