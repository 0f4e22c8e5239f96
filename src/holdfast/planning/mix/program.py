"""The mix as a mixed-integer program: of one period, of several together, or with limits that give way at a price.

For every period t, unit u, supply o of it, bucket b (formulas in docs/planning.md):

    n_o    replicas, whole            m_o   instances, whole; r (m_o - 1) < n_o <= r m_o, r replicas per instance
    x_ub   share of the bucket's requests that goes to the unit; sum_u x_ub >= 1
    sum_b (d_b / limit_ub) x_ub <= utilization_target * sum_{o of u} n_o
    W_pi - sum_{o lost} mu_u n_o >= pi d     after each loss, W_pi = sum_o mu_u n_o, at price vectors pi (`carrying`)
    s_o >= m_ot - m_o(t-1)                   instances that start, each of which costs its start-up time

and the limits: replicas of units and supplies, quotas in vCPUs, the number of units with replicas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from holdfast.planning.mix.cuts import Cut, earning_rows
from holdfast.planning.mix.giving import Give, give_columns
from holdfast.planning.mix.highs import TOLERANCE, Floats, Ints, Program
from holdfast.planning.mix.pools import open_rows, pool_columns
from holdfast.planning.mix.problem import Problem


@dataclass(frozen=True)
class Period:
    """The columns of one period, and those of its rows that say what a limit is worth.

    replicas, instances, starts: columns by supply (starts empty without a period before). shares: (units, buckets).
    opened: which units have replicas, where least shares need to know it; else empty.
    demand_rows: rows of the demand by bucket. unit_rows: of maxReplicas by unit. quota_rows: by class.
    """

    index: int
    replicas: Ints
    instances: Ints
    starts: Ints
    shares: Ints
    opened: Ints
    demand_rows: Ints
    unit_rows: Ints
    quota_rows: Mapping[str, int]


@dataclass(frozen=True)
class Layout:
    """A program and where its columns are. start_rows: (periods, supplies), empty where starts are not linked.

    pools: which units have replicas in any period; empty where their number is not bounded.
    prices: US dollars of one instance in a period, (periods, supplies). most: replicas by unit.
    """

    program: Program
    periods: tuple[Period, ...]
    prices: Floats
    most: Ints
    pools: Ints
    start_rows: Ints
    give: Give | None


def build(
    problem: Problem,
    cuts: Sequence[Cut],
    periods: Sequence[int],
    *,
    vectors: Sequence[tuple[float, ...]] = (),
    prices: Floats | None = None,
    before: Ints | None = None,
    circle: bool = False,
    most: Ints | None = None,
    gives: bool = False,
    scaled: bool = False,
) -> Layout:
    """The program of those periods.

    vectors: prices per request at which the whole fleet must earn enough too, beside those of the cuts.
    prices: US dollars of one instance in one of the periods, (periods, supplies); the plain price if not given.
    before: instances by supply that run before the first period; starts against them are paid.
    circle: starts are paid in every period, in the first against the last.
    most:   replicas by unit that stand for the problem's maximum.
    gives:  limits give way, and nothing but that costs.
    scaled: the multiple of the demand that is carried is to be as great as it can be; nothing else counts, nor do least
            shares.
    """
    program = Program()
    give = give_columns(problem, program) if gives else None
    scale = program.columns(1, cost=-1.0) if scaled else None
    pools = pool_columns(problem, program, give)
    hours = problem.requirement.period_h
    cost = np.tile(problem.prices * hours, (len(periods), 1)) if prices is None else prices
    most = problem.max_by_unit if most is None else most
    blocks = []
    for position, index in enumerate(periods):
        paid = np.zeros_like(problem.prices) if gives or scaled else cost[position]
        starts = circle or (before is not None and position == 0)
        blocks.append(_period(problem, program, cuts, vectors, index, paid, starts, most, pools, give, scale))
    start_rows = np.empty((0, len(problem.prices)), dtype=np.int64)
    if circle:
        start_rows = np.stack(
            [_start_rows(program, block, blocks[position - 1]) for position, block in enumerate(blocks)]
        )
    elif before is not None:
        own, supplies = blocks[0], np.arange(len(problem.prices))
        program.rows(
            len(supplies), (supplies, own.starts, 1.0), (supplies, own.instances, -1.0), lower=-before.astype(float)
        )
    return Layout(program, tuple(blocks), cost, most, pools, start_rows, give)


def _start_rows(program: Program, block: Period, last: Period) -> Ints:
    supplies = np.arange(len(block.instances))
    terms = [(supplies, block.starts, 1.0), (supplies, block.instances, -1.0), (supplies, last.instances, 1.0)]
    return program.rows(len(supplies), *terms, lower=0.0)


def _period(
    problem: Problem,
    program: Program,
    cuts: Sequence[Cut],
    vectors: Sequence[tuple[float, ...]],
    index: int,
    cost: Floats,
    starts: bool,
    most: Ints,
    pools: Ints,
    give: Give | None,
    scale: Ints | None,
) -> Period:
    demand, limits, units = problem.demand[index], problem.planned_limits[index], np.arange(len(problem.candidates))
    supplies, buckets = np.arange(len(cost)), np.arange(len(demand))
    # Bounds that no mix misses keep the solver's arithmetic small. The unit's own maximum is a row and nothing else:
    # what it is worth would else be said of the column.
    alone = _largest(problem)
    largest = alone if give else np.minimum(np.minimum(problem.max_by_supply, most[problem.unit_of]), alone)
    shared = problem.per_instance > 1
    bounds = alone if give else np.where(problem.has_own_max, np.minimum(problem.max_by_supply, alone), alone)
    replicas = program.columns(
        len(supplies), cost=np.where(shared, 0.0, cost), upper=bounds.astype(float), integer=True
    )
    instances = replicas.copy()
    instances[shared] = program.columns(
        int(shared.sum()), cost=cost[shared], upper=problem.instances(bounds)[shared].astype(float), integer=True
    )
    program.rows(
        int(shared.sum()),
        (np.arange(shared.sum()), replicas[shared], 1.0),
        (np.arange(shared.sum()), instances[shared], -problem.per_instance[shared].astype(float)),
        lower=1.0 - problem.per_instance[shared].astype(float),  # no instance is kept empty to save a start
        upper=0.0,
    )
    started = program.columns(len(supplies) if starts else 0, cost=problem.start_usd if starts else 0.0)
    work = np.divide(demand, limits, out=np.zeros_like(limits), where=limits > 0)
    whole = 1.0 if scale is None else np.inf
    shares = program.columns(limits.size, upper=np.where(limits > 0, whole, 0.0).ravel()).reshape(limits.shape)
    carried = [] if scale is None else [(buckets, scale, -1.0)]
    least = 1 - TOLERANCE if scale is None else 0.0
    demand_rows = program.rows(len(buckets), (buckets, shares, 1.0), *carried, lower=least)
    target = problem.requirement.utilization_target
    program.rows(
        len(units), (units[:, None], shares, work), (problem.unit_of, replicas, -target), upper=0.0
    )  # traffic within the utilisation target
    given = [(units, give.units, -1.0)] if give else []
    unit_rows = program.rows(
        len(units),
        (problem.unit_of, replicas, 1.0),
        *given,
        lower=-np.inf if give else problem.min_by_unit.astype(float),
        upper=most.astype(float),
    )
    if give:
        program.rows(len(units), (problem.unit_of, replicas, 1.0), lower=problem.min_by_unit.astype(float))
        own = problem.has_own_max
        at = np.arange(own.sum())
        program.rows(
            len(at),
            (at, replicas[own], 1.0),
            (at, give.supplies[own], -1.0),
            upper=problem.max_by_supply[own].astype(float),
        )
    quota_rows = _quota_rows(problem, program, instances, give)
    floors = problem.floors[index] if scale is None else np.zeros(len(units))
    opened = open_rows(problem, program, demand, floors, replicas, shares, largest, pools)
    earning_rows(problem, program, cuts, vectors, index, replicas, scale)
    return Period(index, replicas, instances, started, shares, opened, demand_rows, unit_rows, quota_rows)


def _quota_rows(problem: Problem, program: Program, instances: Ints, give: Give | None) -> dict[str, int]:
    rows = {}
    for quota, vcpus in problem.requirement.quotas.items():
        counted = np.array([index for index, (_, supply) in enumerate(problem.supplies) if supply.quota == quota])
        if len(counted):
            each = problem.vcpus(quota)[counted].astype(float)
            given = [(0, np.array([give.quotas[quota]]), -1.0)] if give else []
            rows[quota] = int(program.rows(1, (0, instances[counted], each), *given, upper=float(vcpus))[0])
    return rows


def _largest(problem: Problem) -> Ints:
    """Replicas by supply that no mix needs more of: they alone carry all that their unit serves, in any period."""
    limits = problem.limits
    slowness = np.divide(1.0, limits, out=np.zeros_like(limits), where=limits > 0)
    work = (problem.demand @ slowness.T).max(axis=0)
    alone = np.ceil(work / problem.requirement.utilization_target).astype(np.int64)
    largest: Ints = np.maximum(alone, problem.min_by_unit)[problem.unit_of] + problem.per_instance
    return largest
