"""Limits that give way at a price: the columns by which the smallest change to an infeasible mix is found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from holdfast.planning.mix.highs import Ints, Program
from holdfast.planning.mix.problem import Problem


@dataclass(frozen=True)
class Give:
    """Columns by which limits give way: by unit, by supply, by quota class, and of the number of pools."""

    units: Ints
    supplies: Ints
    quotas: Mapping[str, int]
    pools: Ints


def give_columns(problem: Problem, program: Program) -> Give:
    """What it costs that a limit gives way: as much as what could then be bought, in US dollars per hour.

    A replica more at the unit's lowest price, a vCPU at the lowest price of one of its class, a pool at the price of
    the cheapest instance.
    """
    each = problem.prices / problem.per_instance
    lowest = np.full(len(problem.candidates), np.inf)
    np.minimum.at(lowest, problem.unit_of, each)
    quotas = {}
    for quota in problem.requirement.quotas:
        per_vcpu = [s.instance_usd_per_h / s.vcpus for _, s in problem.supplies if s.quota == quota and s.vcpus]
        quotas[quota] = int(program.columns(1, cost=min(per_vcpu, default=0.0), integer=True)[0])
    return Give(
        units=program.columns(len(lowest), cost=lowest, integer=True),
        supplies=program.columns(len(each), cost=each, integer=True),
        quotas=quotas,
        pools=program.columns(1, cost=float(problem.prices.min()), integer=True),
    )
