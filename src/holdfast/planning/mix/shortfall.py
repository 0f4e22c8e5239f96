"""Why there is no mix, how far the limits go, and the smallest change that makes one.

The smallest change is a mixed-integer program too: the same rows, but each limit may give way at the price of what
could then be bought (`giving`), and the sum of that is least. A change that is not proved to be the smallest when the
time is up is not called so. Losses that no number of replicas survives (a unit alone, a single zone) are found
beforehand, by what serves each bucket once they have struck.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from holdfast.model.errors import HoldfastError
from holdfast.model.fleet import CapacityType, Loss
from holdfast.planning.mix import carrying, program
from holdfast.planning.mix.answer import Relaxation
from holdfast.planning.mix.highs import Floats, Ints
from holdfast.planning.mix.losses import Event, events
from holdfast.planning.mix.problem import Problem
from holdfast.planning.mix.settling import Settling

_INSTEAD = {
    Loss.POOL: "add a second unit, or set capacity.survive to none",
    Loss.ZONE: "add a zone, or leave zone out of capacity.survive",
    Loss.ACCELERATOR: "add a unit on another accelerator, or leave accelerator out of capacity.survive",
    Loss.SPOT: "let a unit be bought on demand too, or leave spot out of capacity.survive",
}


def explained(problem: Problem, time_limit_s: float) -> tuple[Ints, tuple[str, ...], Relaxation | None]:
    """How far the limits go as replicas (periods, supplies), why that is not enough and what mends it, in sentences,
    and the mend as values; None where there is none.

    Raises HoldfastError when the time is up before that is known.
    """
    unserved = [
        bucket
        for bucket in range(problem.limits.shape[1])
        if problem.demand[:, bucket].any() and not problem.limits[:, bucket].any()
    ]
    if unserved:
        rate = problem.demand[:, unserved[0]].max()
        nobody = f"No unit serves requests of size {unserved[0] + 1}, of which {rate:.4g}/s come; add one that does."
        return _most(problem, time_limit_s)[0], (nobody,), None
    hopeless = _hopeless(problem)
    change, proved = _smallest(problem, hopeless, time_limit_s / 2)
    relaxation = replace(change, dropped=frozenset(event.kind for event in hopeless))
    replicas, factor = _most(problem, time_limit_s / 2)
    facts = list(_facts(problem)) or [_fact_of_all(problem, factor)]
    mends = list(_mends(problem, relaxation))
    if len(facts) == 1 and proved:
        return replicas, (f"{facts[0]}; {'; '.join(mends)}.",), relaxation
    kind = "The smallest change that mends it" if proved else "A change that mends it, maybe not the smallest"
    return replicas, (*(f"{fact}." for fact in facts), f"{kind}: {'; '.join(mends)}."), relaxation


def _hopeless(problem: Problem) -> list[Event]:
    """Losses after which requests of some size are served by nothing, however many replicas there are."""
    kinds, found = set(problem.requirement.survive), list[Event]()
    while True:
        rest = replace(problem, requirement=replace(problem.requirement, survive=frozenset(kinds)))
        worst = [event for event in events(rest) if not _served(problem, event)]
        if not worst:
            return found
        found += worst
        kinds -= {event.kind for event in worst}


def _served(problem: Problem, event: Event) -> bool:
    left = np.setdiff1d(np.arange(len(problem.prices)), event.supplies)
    serves = (problem.limits[problem.unit_of[left]] > 0).any(axis=0)
    return bool(np.all(serves | ~problem.demand.any(axis=0)))


def _smallest(problem: Problem, hopeless: Sequence[Event], time_limit_s: float) -> tuple[Relaxation, bool]:
    """The limits that give way least so that every loss but the hopeless ones is survived, and whether that is proved:
    else the time was up."""
    survive = problem.requirement.survive - {event.kind for event in hopeless}
    rest = replace(problem, requirement=replace(problem.requirement, survive=survive))
    settling = Settling(rest, time_limit_s)
    hardest = rest.hardest()
    solved = settling.settle(lambda: program.build(rest, settling.cuts, hardest, gives=True), within_s=settling.left_s)
    if solved is None:
        raise HoldfastError("HiGHS says that no limits at all would do, which cannot be.")
    give, values = program.build(rest, settling.cuts, hardest, gives=True).give, solved.values.round().astype(int)
    assert give is not None
    supplies = {
        (candidate.unit, supply.zone, supply.capacity_type): supply.max_replicas + int(values[column])
        for (candidate, supply), column in zip(problem.supplies, give.supplies, strict=True)
        if supply.max_replicas is not None and values[column] > 0
    }
    pools = int(values[give.pools[0]])
    most = problem.requirement.max_pools
    relaxation = Relaxation(
        replicas={
            candidate.unit: candidate.max_replicas + int(values[column])
            for candidate, column in zip(problem.candidates, give.units, strict=True)
            if values[column] > 0
        },
        supplies=supplies,
        quotas={
            quota: problem.requirement.quotas[quota] + int(values[column])
            for quota, column in give.quotas.items()
            if values[column] > 0
        },
        max_pools=None if most is None or not pools else most + pools,
    )
    return relaxation, solved.proved


def _most(problem: Problem, time_limit_s: float) -> tuple[Ints, float | None]:
    """As many replicas as the limits allow, and the multiple of the hardest demand that they carry through every loss:
    NaN where the limits of each by itself are the only ones, None where not even the least replicas keep within them.

    All at their maximum where quotas and the number of pools allow that; else those that carry most.
    """
    periods = len(problem.demand)
    if not _held_back(problem):
        room = problem.max_by_unit.copy()
        row = np.zeros_like(problem.max_by_supply)
        for supply, unit in enumerate(problem.unit_of):
            row[supply] = min(problem.max_by_supply[supply], room[unit])
            room[unit] -= row[supply]
        return np.tile(row, (periods, 1)), math.nan
    index = problem.hardest()[0]
    settling = Settling(problem, time_limit_s)
    solved = settling.settle(
        lambda: program.build(problem, settling.cuts, [index], scaled=True), within_s=settling.left_s
    )
    if solved is None:
        return np.zeros((periods, len(problem.prices)), dtype=np.int64), None
    return np.tile(solved.replicas[0].astype(np.int64), (periods, 1)), abs(solved.bound)


def _held_back(problem: Problem) -> bool:
    """Whether anything but the numbers of replicas keeps all units from their maximum."""
    most = problem.requirement.max_pools
    return bool(problem.requirement.quotas) or (most is not None and most < len(problem.candidates))


def _facts(problem: Problem) -> Iterator[str]:
    """The demand and each loss that fail by themselves though all units are at their maximum."""
    if _held_back(problem):
        return
    target, lost = problem.requirement.utilization_target, list(events(problem))
    for index in problem.hardest():
        rate = problem.demand[index].sum()
        carried = rate * _factor(problem, index, None) * target
        if carried < rate * carrying.ENOUGH:
            yield (
                f"All pools at maxReplicas, filled to {target:.0%} of their limits, carry {carried:.4g}/s of "
                f"{rate:.4g}/s: short by {rate - carried:.3g}/s"
            )
        for event in lost:
            carried = rate * _factor(problem, index, event)
            if not _served(problem, event):
                yield f"If {event.name} goes, nothing is left that serves {_all_of(problem)} of {rate:.4g}/s"
            elif carried < rate * carrying.ENOUGH:
                yield (
                    f"If {event.name} goes, the other pools at maxReplicas, filled to their limits, carry "
                    f"{carried:.4g}/s of {rate:.4g}/s: short by {rate - carried:.3g}/s"
                )


def _all_of(problem: Problem) -> str:
    return "the demand" if problem.demand.shape[1] == 1 else "every size in the demand"


def _factor(problem: Problem, index: int, event: Event | None) -> float:
    """The multiple of a period's demand that all units at their maximum carry at their limits, after a loss if any."""
    left: Floats = problem.max_by_supply.astype(float)
    if event is not None:
        left[list(event.supplies)] = 0.0
    units = np.minimum(problem.by_unit(left), problem.max_by_unit)
    return carrying.load_factor(problem.limits, problem.demand[index], units)[0]


def _fact_of_all(problem: Problem, factor: float | None) -> str:
    survives = " and survives every loss" if problem.requirement.survive else ""
    rate = problem.demand[problem.hardest()[0]].sum()
    if factor is None:
        return "minReplicas alone go beyond what the limits allow"
    if not factor < carrying.ENOUGH:
        return f"No replicas within the limits carry {rate:.4g}/s{survives and ' and survive every loss'}"
    return (
        f"The most that the limits allow carries {rate * factor:.4g}/s of {rate:.4g}/s{survives}: short by "
        f"{rate * (1 - factor):.3g}/s"
    )


def _mends(problem: Problem, relaxation: Relaxation) -> Iterator[str]:
    for candidate in problem.candidates:
        if candidate.unit in relaxation.replicas:
            raised = relaxation.replicas[candidate.unit]
            yield f"raise maxReplicas of {candidate.unit} from {candidate.max_replicas} to {raised}"
        for supply in candidate.supplies:
            key = (candidate.unit, supply.zone, supply.capacity_type)
            if key in relaxation.supplies:
                place = " in ".join(filter(None, (_bought(supply.capacity_type), supply.zone)))
                more = relaxation.supplies[key]
                yield f"get {more} replicas of {candidate.unit} {place} instead of {supply.max_replicas}"
    for quota, vcpus in relaxation.quotas.items():
        before = problem.requirement.quotas[quota]
        yield f"raise the {quota} quota, which lacks {vcpus - before} vCPU, from {before} to {vcpus}"
    if relaxation.max_pools is not None:
        yield f"allow {relaxation.max_pools} pools instead of {problem.requirement.max_pools}"
    for kind in Loss:
        if kind in relaxation.dropped:
            yield _INSTEAD[kind]


def _bought(capacity_type: CapacityType) -> str:
    return {"on-demand": "on demand", "spot": "as spot", "reserved": "as reserved"}[capacity_type.value]
