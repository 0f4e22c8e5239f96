"""Which constraints decide what a mix costs.

A demand or a loss binds where no instance can be taken away without breaking it. A limit binds where not one instance
more fits and the linear relaxation, which rounds nothing, would pay for it: what it would pay is said as such.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from holdfast.planning.mix import carrying
from holdfast.planning.mix.answer import Binding
from holdfast.planning.mix.highs import Floats, Ints
from holdfast.planning.mix.losses import events
from holdfast.planning.mix.problem import Problem
from holdfast.planning.mix.search import Found

_WORTH_SAYING = 5e-5
"""US dollars per hour, below which four decimals show nothing."""


def of_mix(problem: Problem, found: Found, replicas: Ints) -> tuple[Binding, ...]:
    """The constraints that bind, those of traffic first. replicas: (periods, supplies), slots filled."""
    return (
        *_demand(problem, replicas),
        *_losses(problem, replicas),
        *_replicas(problem, found, replicas),
        *_quotas(problem, found, replicas),
        *_pools(problem, replicas),
    )


def _demand(problem: Problem, replicas: Ints) -> Iterator[Binding]:
    target = problem.requirement.utilization_target
    rooms = {
        index: room
        for index, row in enumerate(replicas)
        if (room := _room(problem, index, row.astype(float) * target, row, target)) is not None
    }
    if rooms:
        index, room = _tightest(problem, rooms)
        yield Binding(
            "demand",
            f"The demand binds{_periods(len(rooms), replicas)}: filled to {target:.0%} of their limits the pools have "
            f"{_little(problem, index, room)}.",
            None,
        )


def _losses(problem: Problem, replicas: Ints) -> Iterator[Binding]:
    for event in events(problem):
        rooms = {}
        for index, row in enumerate(replicas):
            left = row.astype(float)
            left[list(event.supplies)] = 0.0
            room = _room(problem, index, left, left, 1.0) if row[list(event.supplies)].any() else None
            if room is not None:
                rooms[index] = room
        if rooms:
            index, room = _tightest(problem, rooms)
            yield Binding(
                "loss",
                f"The loss of {event.name} binds{_periods(len(rooms), replicas)}: the rest, filled to their limits, "
                f"have {_little(problem, index, room)}.",
                None,
            )


def _room(problem: Problem, index: int, usable: Floats, replicas: Floats | Ints, per_replica: float) -> float | None:
    """Requests/s, in the demand's sizes, that `usable` replicas could carry beyond the demand; None where one of the
    instances that hold `replicas` can surely, or may, be spared."""
    demand = problem.demand[index]
    factor, prices = carrying.load_factor(problem.limits, demand, problem.by_unit(usable))
    worth = float(prices @ demand)
    earns = carrying.earnings(problem.limits, prices)[problem.unit_of] * per_replica
    last = np.asarray(replicas) - (problem.instances(np.asarray(replicas)) - 1) * problem.per_instance
    brings = (earns * last)[np.asarray(replicas) > 0]
    if worth <= 0 or not len(brings) or (factor - brings / worth >= carrying.ENOUGH).any():
        return None
    return float((factor - 1) * demand.sum())


def _little(problem: Problem, index: int, room: float) -> str:
    rate = problem.demand[index].sum()
    return f"room for {max(room, 0.0):.3g}/s beyond {rate:.4g}/s, less than any instance brings"


def _tightest(problem: Problem, rooms: dict[int, float]) -> tuple[int, float]:
    return min(rooms.items(), key=lambda item: (item[1] / problem.demand[item[0]].sum(), item[0]))


def _periods(count: int, replicas: Ints) -> str:
    return f" in {count} of {len(replicas)} periods" if len(replicas) > 1 else ""


def _replicas(problem: Problem, found: Found, replicas: Ints) -> Iterator[Binding]:
    rows = np.stack([period.unit_rows for period in found.layout.periods])
    worth = found.relaxation.row_worth[rows] / _hours(problem, replicas)
    held = np.stack([problem.by_unit(row) for row in replicas])
    for unit, candidate in enumerate(problem.candidates):
        full = held[:, unit] + candidate.replicas_per_instance > candidate.max_replicas
        saved = float(np.maximum(-worth[:, unit], 0.0)[full].sum())
        if saved > _WORTH_SAYING:
            yield Binding(
                "replicas",
                f"maxReplicas of {candidate.unit} ({candidate.max_replicas}) binds"
                f"{_periods(int(full.sum()), replicas)}: {_relaxed('one replica more', saved)}.",
                saved,
            )
        least = held[:, unit] < candidate.min_replicas + candidate.replicas_per_instance
        saved = float(np.maximum(worth[:, unit], 0.0)[least].sum()) if candidate.min_replicas else 0.0
        if saved > _WORTH_SAYING:
            yield Binding(
                "replicas",
                f"minReplicas of {candidate.unit} ({candidate.min_replicas}) binds"
                f"{_periods(int(least.sum()), replicas)}: {_relaxed('one replica less', saved)}.",
                saved,
            )


def _quotas(problem: Problem, found: Found, replicas: Ints) -> Iterator[Binding]:
    for quota, vcpus in problem.requirement.quotas.items():
        each = problem.vcpus(quota)
        if not each.any():
            continue
        used = np.stack([problem.instances(row) for row in replicas]) @ each
        full = used + each[each > 0].min() > vcpus
        rows = np.array([period.quota_rows[quota] for period in found.layout.periods])
        worth = np.maximum(-found.relaxation.row_worth[rows], 0.0)[full] / _hours(problem, replicas)
        saved = float(worth.sum())
        if saved > _WORTH_SAYING:
            yield Binding(
                "quota",
                f"The {quota} quota ({vcpus} vCPU, {int(used.max())} used) binds{_periods(int(full.sum()), replicas)}: "
                f"{_relaxed('one vCPU more', saved)}.",
                saved,
            )


def _pools(problem: Problem, replicas: Ints) -> Iterator[Binding]:
    most = problem.requirement.max_pools
    opened = int((problem.by_unit(replicas.sum(axis=0)) > 0).sum())
    if most is not None and opened == most < len(problem.candidates):
        yield Binding(
            "pools",
            f"All pools that capacity.maxPools allows ({most}) are in use; whether one more would save money shows "
            f"only a plan with {most + 1}.",
            None,
        )


def _relaxed(change: str, usd_per_h: float) -> str:
    return f"{change} would save about {usd_per_h:.4f} USD/h by the linear relaxation, which rounds nothing"


def _hours(problem: Problem, replicas: Ints) -> float:
    return len(replicas) * problem.requirement.period_h
