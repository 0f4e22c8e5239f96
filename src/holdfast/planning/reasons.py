"""Why a plan is what it is, in sentences for the person who has to defend it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from holdfast.model.fleet import DeploymentUnit, InferenceFleet, format_slo
from holdfast.model.plan import UnitEvidence
from holdfast.planning.mix import TOLERANCE, Candidate, Mix, Requirement, cheapest_mix


def of_plan(
    fleet: InferenceFleet,
    evidence: Sequence[UnitEvidence],
    candidates: Sequence[Candidate],
    requirement: Requirement,
    mix: Mix,
) -> tuple[str, ...]:
    """What decided the plan; for an infeasible one first the constraints that fail, and by how much."""
    decided = list(_of_mix(candidates, requirement, mix)) if mix.feasible else list(mix.shortfalls)
    return (*decided, *_left_out(fleet, evidence), *_idle_slots(candidates, mix))


def of_pool(
    fleet: InferenceFleet, evidence: Sequence[UnitEvidence], known: UnitEvidence, replicas: int, expected_per_s: float
) -> str:
    """Why the pool has its replicas and its share of the traffic."""
    cost = f"{_place(evidence, known)} ({known.usd_per_million_requests:,.2f} USD per million requests)"
    if replicas == 0:
        return f"No replicas, {cost}: the other pools meet every constraint for less."
    count = f"{_replicas(replicas)} of {known.limit_per_s:.4g}/s, {cost}{_bound(fleet.unit(known.unit), replicas)}"
    if expected_per_s == 0:
        return f"{count}. No traffic at the planned demand: a reserve."
    busy = math.ceil(expected_per_s / (known.limit_per_s * fleet.spec.capacity.utilization_target) * (1 - TOLERANCE))
    reserve = f"; {_replicas(replicas - busy)} in reserve" if replicas > busy else ""
    share = expected_per_s / (replicas * known.limit_per_s)
    return f"{count}. Carries {expected_per_s:.4g}/s at the planned demand, {share:.0%} of its limit{reserve}."


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


def _of_mix(candidates: Sequence[Candidate], requirement: Requirement, mix: Mix) -> Iterator[str]:
    target = requirement.utilization_target
    whole = math.fsum(c.limit_per_s * mix.replicas[c.unit] for c in candidates)
    yield (
        f"{mix.cost_usd_per_h:.4f} USD/h is the least that meets every constraint, certified to within {mix.gap:.2%}."
    )
    yield (
        f"Filled to {target:.0%} of their limits the pools carry {whole * target:.4g}/s "
        f"for a planned demand of {requirement.demand_per_s:.4g}/s."
    )
    if requirement.survive_one_pool:
        yield from _of_survival(candidates, requirement, mix, whole)


def _of_survival(candidates: Sequence[Candidate], requirement: Requirement, mix: Mix, whole: float) -> Iterator[str]:
    largest = max(candidates, key=lambda c: c.limit_per_s * mix.replicas[c.unit])
    rest = whole - largest.limit_per_s * mix.replicas[largest.unit]
    careless = cheapest_mix(candidates, replace(requirement, survive_one_pool=False))
    yield (
        f"If the largest pool, {largest.unit}, goes, the others carry {rest:.4g}/s at their limits; "
        f"this insurance costs {max(0.0, mix.cost_usd_per_h - careless.cost_usd_per_h):.4f} USD/h."
    )
    yield (
        "The reserve stands only as long as its replicas do: an autoscaler that follows the traffic shrinks a pool "
        "that carries little to minReplicas."
    )


def _left_out(fleet: InferenceFleet, evidence: Sequence[UnitEvidence]) -> Iterator[str]:
    known = {item.unit for item in evidence}
    names = [unit.name for unit in fleet.spec.units if unit.name not in known]
    if names:
        verb = "is" if len(names) == 1 else "are"
        yield f"{', '.join(names)} {verb} left out: nothing shows a load that meets {format_slo(fleet.spec.slo)}."


def _idle_slots(candidates: Sequence[Candidate], mix: Mix) -> Iterator[str]:
    for candidate in candidates:
        replicas = mix.replicas[candidate.unit]
        instances = candidate.instances(replicas)
        idle = instances * candidate.replicas_per_instance - replicas
        if idle:
            yield (
                f"{candidate.unit} pays for whole instances ({instances}) and leaves room for {_replicas(idle)} "
                f"unused, held back by maxReplicas."
            )
