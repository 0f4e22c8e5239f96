"""Why a plan is what it is, in sentences for the person who has to defend it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np

from holdfast.model.fleet import CapacityType, Demand, DeploymentUnit, InferenceFleet, Loss, format_slo
from holdfast.model.plan import UnitEvidence
from holdfast.model.quantities import format_share
from holdfast.planning.mix import Candidate, Mix, Problem, Requirement, cheapest_mix
from holdfast.planning.mix.carrying import load_factor
from holdfast.planning.mix.highs import TOLERANCE, Floats
from holdfast.planning.mix.losses import Event, events

_ENOUGH_FOR_A_DIFFERENCE = 1e-4
"""Gap to which the mix without insurance is planned at the finest: its cost is only said, to four decimals. A plan that
leaves more itself would not be told from it any better."""

_INSURANCE_LIMIT_S = 5.0
"""For that mix. What it leaves is said: the price of the insurance is then `about` so much."""


def of_plan(
    fleet: InferenceFleet,
    evidence: Sequence[UnitEvidence],
    pools: Sequence[UnitEvidence],
    candidates: Sequence[Candidate],
    requirement: Requirement,
    mix: Mix,
    peak: int,
) -> tuple[str, ...]:
    """What decided the plan; for an infeasible one first the constraints that fail, and by how much.

    pools: those of the evidence that get a pool. peak: the period with the highest demand.
    """
    decided = list(_of_mix(fleet, candidates, requirement, mix, peak)) if mix.feasible else list(mix.shortfalls)
    return (
        *decided,
        *_on_estimates(evidence),
        *_without_pool(evidence, pools),
        *_left_out(fleet, evidence),
        *_idle_slots(candidates, mix, peak),
    )


def of_pool(
    fleet: InferenceFleet,
    evidence: Sequence[UnitEvidence],
    known: UnitEvidence,
    replicas: int,
    expected_per_s: float,
    latency_s: float | None,
) -> str:
    """Why the pool has its replicas and its share of the traffic, and the mean latency that its requests then have."""
    own = " of the sizes that it is given" if fleet.spec.routing.by_size else ""
    cost = f"{_place(evidence, known)} ({known.usd_per_million_requests:,.2f} USD per million requests{own})"
    if replicas == 0:
        return f"No replicas, {cost}: the other pools meet every constraint for less."
    limit = f"{known.limit_per_s:.4g}/s{_estimate(known)}{_other_size(known)}{_spanned(known)}"
    count = f"{_replicas(replicas)} of {limit}, {cost}{_bound(fleet.unit(known.unit), replicas)}"
    if expected_per_s == 0:
        return f"{count}. No traffic at the planned demand: a reserve."
    busy = math.ceil(expected_per_s / (known.limit_per_s * fleet.spec.capacity.utilization_target) * (1 - TOLERANCE))
    reserve = f"; {_replicas(replicas - busy)} in reserve" if replicas > busy else ""
    share = expected_per_s / (replicas * known.limit_per_s)
    carried = f"Carries {expected_per_s:.4g}/s at the planned demand, {share:.0%} of its limit"
    return f"{count}. {carried}{_answered(known, expected_per_s / replicas, latency_s)}{reserve}."


def of_unheld(fleet: InferenceFleet, evidence: Sequence[UnitEvidence], known: UnitEvidence, replicas: int) -> str:
    """What a pool of an infeasible plan has: nothing of it is planned."""
    cost = f"{_place(evidence, known)} ({known.usd_per_million_requests:,.2f} USD per million requests)"
    if replicas == 0:
        return f"No replicas, {cost}: the limits have no room for them beside the others."
    limit = f"{known.limit_per_s:.4g}/s{_estimate(known)}{_spanned(known)}"
    return (
        f"As far as the limits go: {_replicas(replicas)} of {limit}, {cost}{_bound(fleet.unit(known.unit), replicas)}. "
        "No traffic and no targets: it is not enough."
    )


def _answered(known: UnitEvidence, rate_per_s: float, latency_s: float | None) -> str:
    if latency_s is None:
        return ""
    below = rate_per_s < known.levels[0][1]  # of less than the first level nothing is known but that it is no slower
    return f", answered in {latency_s:.3g} s{' or less' if below else ''} on average"


def _estimate(known: UnitEvidence) -> str:
    if known.estimate_error is None:
        return ""
    return f" (an estimate; median error of a step {known.estimate_error:.0%})"


def _spanned(known: UnitEvidence) -> str:
    return f", {known.instances_per_replica} nodes to a replica" if known.instances_per_replica > 1 else ""


def _other_size(known: UnitEvidence) -> str:
    return f" ({known.other_size}; not scaled to it)" if known.other_size else ""


def _on_estimates(evidence: Sequence[UnitEvidence]) -> Iterator[str]:
    names = [known.unit for known in evidence if known.estimate_error is not None]
    if not names:
        return
    if len(names) == len(evidence):
        yield "Every limit here is an estimate, none was measured, and so is this plan. Measure before you buy."
    else:
        limits = "limit of {} is an estimate" if len(names) == 1 else "limits of {} are estimates"
        yield f"The {limits.format(', '.join(names))}, not measured; the plan is no surer than that."


def _replicas(count: int) -> str:
    return f"{count} replica{'s' if count > 1 else ''}"


def _bound(unit: DeploymentUnit, replicas: int) -> str:
    if replicas == unit.max_replicas:
        return ", as many as maxReplicas allows"
    return ", no more than minReplicas asks for" if replicas == unit.min_replicas else ""


def _place(evidence: Sequence[UnitEvidence], known: UnitEvidence) -> str:
    cheaper = sum(other.usd_per_million_requests < known.usd_per_million_requests for other in evidence)
    return (
        "the cheapest per request" if cheaper == 0 else f"number {cheaper + 1} of {len(evidence)} in cost per request"
    )


def _of_mix(
    fleet: InferenceFleet, candidates: Sequence[Candidate], requirement: Requirement, mix: Mix, peak: int
) -> Iterator[str]:
    target, days = requirement.utilization_target, len(requirement.demand_per_s) > 1
    planned = math.fsum(requirement.demand_per_s[peak])
    headroom = fleet.spec.capacity.headroom
    above = f", {format_share(headroom)} headroom included" if headroom else ""
    problem = Problem(tuple(candidates), requirement)
    whole = planned * load_factor(problem.limits, problem.demand[peak], _by_unit(candidates, mix, peak))[0]
    yield (
        f"{mix.cost_usd_per_h:.4f} USD/h{' on average over the day' if days else ''} is the least that meets every "
        f"constraint, certified to within {mix.gap:.2%}."
    )
    yield (
        f"Filled to {target:.0%} of their limits the pools carry {whole * target:.4g}/s "
        f"for a planned demand of {planned:.4g}/s{above}."
    )
    if requirement.survive:
        yield from _of_survival(problem, mix, peak)
        yield _of_reserve(fleet.spec.demand)
    yield from (binding.words for binding in mix.binding)


def _of_survival(problem: Problem, mix: Mix, peak: int) -> Iterator[str]:
    demand = problem.demand[peak]
    left = {event: _carried_after(problem, event, mix, peak) for event in events(problem)}
    if not left:
        kinds = ", ".join(kind.value for kind in Loss if kind in problem.requirement.survive)
        yield f"No loss of the kinds that must be survived ({kinds}) can strike this fleet."
        return
    worst, rest = min(left.items(), key=lambda item: item[1])
    largest = f"the largest pool, {worst.name}," if worst.kind is Loss.POOL else worst.name
    careless = cheapest_mix(
        problem.candidates,
        replace(problem.requirement, survive=frozenset()),
        gap=max(_ENOUGH_FOR_A_DIFFERENCE, mix.gap),
        time_limit_s=_INSURANCE_LIMIT_S,
    )
    exact = max(mix.gap, careless.gap) <= _ENOUGH_FOR_A_DIFFERENCE
    premium = max(0.0, mix.cost_usd_per_h - careless.cost_usd_per_h)
    yield (
        f"If {largest} goes, the others carry {rest * demand.sum():.4g}/s at their limits; this insurance costs "
        f"{f'{premium:.4f}' if exact else f'about {premium:.2f}'} USD/h."
    )


def _of_reserve(demand: Demand) -> str:
    """What keeps the replicas that wait for a loss; the floors are those of `manifests.scaling.bounds`."""
    lowest_per_s = min(demand.day_per_s, default=demand.rate_per_s)
    if lowest_per_s >= demand.planned_per_s:
        return "The scalers that `holdfast render` writes keep this reserve: they go no lower than these replicas."
    return (
        f"The scalers that `holdfast render` writes keep the reserve for {lowest_per_s:.4g}/s, the lowest demand; "
        "above that they follow the traffic, and part of the reserve for more may be missing."
    )


def _carried_after(problem: Problem, event: Event, mix: Mix, period: int) -> float:
    """The multiple of the period's demand that is carried at the limits once the event has struck."""
    lost = {
        (problem.supplies[index][0].unit, problem.supplies[index][1].zone, problem.supplies[index][1].capacity_type)
        for index in event.supplies
    }
    units = _by_unit(problem.candidates, mix, period, lost)
    return load_factor(problem.limits, problem.demand[period], units)[0]


def _by_unit(
    candidates: Sequence[Candidate],
    mix: Mix,
    period: int,
    lost: Collection[tuple[str, str, CapacityType]] = (),
) -> Floats:
    held = dict.fromkeys((candidate.unit for candidate in candidates), 0.0)
    for allotment in mix.allotments:
        if (allotment.unit, allotment.zone, allotment.capacity_type) not in lost:
            held[allotment.unit] += allotment.replicas[period]
    return np.array(list(held.values()))


def _without_pool(evidence: Sequence[UnitEvidence], pools: Sequence[UnitEvidence]) -> Iterator[str]:
    names = {known.unit for known in pools}
    closed = [known.unit for known in evidence if known.unit not in names]
    if closed:
        verb = "is" if len(closed) == 1 else "are"
        most = len(pools)
        yield f"{', '.join(closed)} {verb} not among the pools: capacity.maxPools leaves {most}, others do for less."


def _left_out(fleet: InferenceFleet, evidence: Sequence[UnitEvidence]) -> Iterator[str]:
    known = {item.unit for item in evidence}
    names = [unit.name for unit in fleet.spec.units if unit.name not in known]
    if names:
        verb = "is" if len(names) == 1 else "are"
        yield f"{', '.join(names)} {verb} left out: nothing to plan with is known to meet {format_slo(fleet.spec.slo)}."


def _idle_slots(candidates: Sequence[Candidate], mix: Mix, peak: int) -> Iterator[str]:
    for candidate in candidates:
        replicas = mix.replicas(candidate.unit, peak)
        instances = sum(a.instances(peak) for a in mix.allotments if a.unit == candidate.unit)
        idle = instances * candidate.replicas_per_instance - replicas
        if idle and not candidate.packing.spans:
            yield (
                f"{candidate.unit} pays for whole instances ({instances}) and leaves room for {_replicas(idle)} "
                f"unused, held back by maxReplicas."
            )
