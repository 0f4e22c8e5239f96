"""The cheapest mix, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from holdfast.model.plan import Allotment
from holdfast.planning.mix import binding, shortfall
from holdfast.planning.mix.answer import Mix
from holdfast.planning.mix.day import period_usd
from holdfast.planning.mix.highs import Floats, Ints
from holdfast.planning.mix.problem import Candidate, Problem, Requirement
from holdfast.planning.mix.search import Search
from holdfast.planning.mix.settling import Settling
from holdfast.planning.mix.traffic import cheapest_traffic


def cheapest_mix(
    candidates: Sequence[Candidate], requirement: Requirement, *, gap: float = 0.0, time_limit_s: float = 10.0
) -> Mix:
    """The mix with the least cost. Slots of an instance that is paid for anyway are filled.

    gap: relative gap, 0..1, that ends the search. time_limit_s: seconds of the solver that end it too; the answer has
    the gap that is left by then, and only such an answer may differ from one run to the next. Where there is no mix by
    then, the first that is found is taken.
    An infeasible mix goes as far as the limits allow; to say why takes as long again at most. Raises HoldfastError when
    twice the time has gone by without a mix, or the time without a change that mends an infeasible one.
    """
    if not candidates:
        nothing = "No unit has a limit to plan with, so nothing carries the demand."
        return Mix((), {}, 0.0, (0.0,) * len(requirement.demand_per_s), 1.0, shortfalls=(nothing,))
    problem = Problem(tuple(candidates), requirement)
    found = Search(Settling(problem, time_limit_s), gap).run()
    if found is None:
        most, shortfalls, relaxation = shortfall.explained(problem, time_limit_s)
        replicas = filled(problem, most)
        usd = _usd_per_h(problem, replicas)
        return Mix(
            allotments(problem, replicas), {}, float(usd.mean()), tuple(usd.tolist()), 1.0, (), shortfalls, relaxation
        )
    replicas = filled(problem, found.replicas)
    usd = _usd_per_h(problem, replicas)
    return Mix(
        allotments=allotments(problem, replicas),
        traffic=_traffic(problem, replicas),
        cost_usd_per_h=float(usd.mean()),
        cost_by_period_usd_per_h=tuple(usd.tolist()),
        gap=found.gap,
        binding=binding.of_mix(problem, found, replicas),
    )


def allotments(problem: Problem, replicas: Ints) -> tuple[Allotment, ...]:
    """The supplies that have replicas in any period."""
    return tuple(
        Allotment(
            unit=candidate.unit,
            zone=supply.zone,
            capacity_type=supply.capacity_type,
            instance_usd_per_h=supply.instance_usd_per_h,
            replicas_per_instance=candidate.replicas_per_instance,
            replicas=tuple(column.tolist()),
            instances_per_replica=candidate.instances_per_replica,
        )
        for (candidate, supply), column in zip(problem.supplies, replicas.T, strict=True)
        if column.any()
    )


def filled(problem: Problem, replicas: Ints) -> Ints:
    """The replicas (periods, supplies) and those that fit into the same instances, within the limits of replicas."""
    whole = replicas.copy()
    slots = np.minimum(problem.instances(replicas) * problem.per_instance, problem.max_by_supply)
    for row, room in zip(whole, slots, strict=True):
        free = problem.max_by_unit - problem.by_unit(row).astype(np.int64)
        for supply, unit in enumerate(problem.unit_of):
            more = max(0, min(int(room[supply] - row[supply]), int(free[unit])))
            row[supply] += more
            free[unit] -= more
    return whole


def _usd_per_h(problem: Problem, replicas: Ints) -> Floats:
    return period_usd(problem, replicas) / problem.requirement.period_h


def _traffic(problem: Problem, replicas: Ints) -> dict[str, tuple[tuple[float, ...], ...]]:
    rates = np.stack([cheapest_traffic(problem, index, row) for index, row in enumerate(replicas)], axis=1)
    return {
        candidate.unit: tuple(tuple(period) for period in rates[unit].tolist())
        for unit, candidate in enumerate(problem.candidates)
        if rates[unit].any()
    }
