"""From a fleet and what is known of its units to a plan that explains itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.model import codec
from holdfast.model.findings import Finding
from holdfast.model.fleet import InferenceFleet, WeightPolicy
from holdfast.model.plan import TOTAL_WEIGHT, VERSION, Plan, PlanStatus, PoolPlan, UnitEvidence
from holdfast.model.tables import Table
from holdfast.planning import reasons, tables, weights
from holdfast.planning.autoscaling import autoscaling
from holdfast.planning.mix import Candidate, Mix, Requirement, cheapest_mix


def make_plan(
    fleet: InferenceFleet,
    evidence: Sequence[UnitEvidence],
    *,
    findings: Sequence[Finding] = (),
    extra_tables: Mapping[str, Table] | None = None,
) -> Plan:
    """The cheapest plan that carries the fleet's planned demand (its peak), or why there is none.

    An infeasible plan has every known pool at maxReplicas. Units without evidence get no pool. `findings` are
    carried over; `extra_tables` join the tables `cost` and `adjusted_throughput`. Raises ValueError when a unit
    of the evidence is not of the fleet, or one has more than one evidence.
    """
    _refuse_other_units(fleet, evidence)
    candidates = [_candidate(fleet, known) for known in evidence]
    requirement = _requirement(fleet)
    mix = cheapest_mix(candidates, requirement)
    weighing = _weigh(fleet, evidence, mix)
    return Plan(
        version=VERSION,
        fleet=fleet,
        status=PlanStatus.FEASIBLE if mix.feasible else PlanStatus.INFEASIBLE,
        cost_usd_per_h=mix.cost_usd_per_h,
        gap=mix.gap,
        demand_per_s=requirement.demand_per_s,
        pools=tuple(_pool(fleet, evidence, known, mix, weighing.weights[known.unit]) for known in evidence),
        tables={**tables.of_evidence(evidence), **(extra_tables or {})},
        findings=tuple(findings),
        reasons=(*reasons.of_plan(fleet, evidence, candidates, requirement, mix), *_of_policy(weighing)),
    )


def plan_json(plan: Plan) -> dict[str, Any]:
    """The plan in the shape of `holdfast plan --json`, with the plan's `demand_per_s` and `reasons` added."""
    return {
        "status": plan.status.value,
        "cost_usd_per_h": plan.cost_usd_per_h,
        "gap": plan.gap,
        "demand_per_s": plan.demand_per_s,
        "pools": [_pool_json(pool) for pool in plan.pools],
        "tables": {name: codec.to_jsonable(table) for name, table in plan.tables.items()},
        "findings": [codec.to_jsonable(finding) for finding in plan.findings],
        "reasons": list(plan.reasons),
    }


_POOL_KEYS = (
    "unit", "replicas", "weight", "limit_per_s", "usd_per_million_requests", "tokens_per_usd", "autoscaling", "reason",
)  # fmt: skip


def _pool_json(pool: PoolPlan) -> dict[str, Any]:
    whole: dict[str, Any] = codec.to_jsonable(pool)
    return {key: whole[key] for key in _POOL_KEYS}


def _refuse_other_units(fleet: InferenceFleet, evidence: Sequence[UnitEvidence]) -> None:
    names = [known.unit for known in evidence]
    if len(set(names)) < len(names):
        raise ValueError("a unit has more than one evidence")
    others = set(names) - {unit.name for unit in fleet.spec.units}
    if others:
        raise ValueError(f"the evidence is of units that the fleet does not have: {sorted(others)}")


def _candidate(fleet: InferenceFleet, known: UnitEvidence) -> Candidate:
    unit = fleet.unit(known.unit)
    return Candidate(
        unit=known.unit,
        limit_per_s=known.limit_per_s,
        instance_usd_per_h=known.price_usd_per_h * known.replicas_per_instance,
        replicas_per_instance=known.replicas_per_instance,
        min_replicas=unit.min_replicas,
        max_replicas=unit.max_replicas,
    )


def _requirement(fleet: InferenceFleet) -> Requirement:
    capacity = fleet.spec.capacity
    return Requirement(
        demand_per_s=fleet.spec.demand.planned_per_s,
        utilization_target=capacity.utilization_target,
        survive_one_pool=capacity.survive == "one-pool",
    )


def _weigh(fleet: InferenceFleet, evidence: Sequence[UnitEvidence], mix: Mix) -> weights.Weighting:
    """The weights at the planned demand, by the policy of the fleet."""
    pools = [
        weights.Fillable(
            known.unit,
            known.limit_per_s * mix.replicas[known.unit],
            known.usd_per_million_requests,
            max(1, mix.replicas[known.unit]),
        )
        for known in evidence
    ]
    return weights.weigh(fleet.spec.routing.weights, pools, fleet.spec.demand.planned_per_s, fleet.spec)


def _of_policy(weighing: weights.Weighting) -> tuple[str, ...]:
    """Which policy shared the traffic out, where it is not the usual one."""
    return () if weighing.policy is WeightPolicy.MERIT_ORDER else (weighing.sentence,)


def _pool(
    fleet: InferenceFleet, evidence: Sequence[UnitEvidence], known: UnitEvidence, mix: Mix, weight: int
) -> PoolPlan:
    unit = fleet.unit(known.unit)
    replicas = mix.replicas[known.unit]
    expected_per_s = fleet.spec.demand.planned_per_s * weight / TOTAL_WEIGHT
    utilization = expected_per_s / (replicas * known.limit_per_s) if replicas else 0.0
    return PoolPlan(
        unit=known.unit,
        replicas=replicas,
        weight=weight,
        limit_per_s=known.limit_per_s,
        price_usd_per_h=known.price_usd_per_h,
        usd_per_million_requests=known.usd_per_million_requests,
        tokens_per_usd=known.tokens_per_usd,
        expected_per_s=expected_per_s,
        utilization=utilization,
        autoscaling=autoscaling(unit, known.limit_per_s, fleet.spec.capacity, known.latency_s),
        reason=reasons.of_pool(fleet, evidence, known, replicas, expected_per_s),
        limit_source=known.limit_source,
        price_source=known.price_source,
    )
