"""From a fleet and what is known of its units to a plan that explains itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from holdfast.model import codec
from holdfast.model.curve import Curve
from holdfast.model.findings import Finding
from holdfast.model.fleet import InferenceFleet, WeightPolicy
from holdfast.model.hardware import InstanceType
from holdfast.model.plan import TOTAL_WEIGHT, VERSION, Plan, PlanPeriod, PlanStatus, PoolPlan, UnitEvidence
from holdfast.model.tables import Table
from holdfast.performance import curve
from holdfast.planning import placing, reasons, supplies, tables, weights
from holdfast.planning.autoscaling import autoscaling
from holdfast.planning.mix import Mix, cheapest_mix
from holdfast.planning.supplies import Offerings, Work

_DAY_GAP = 0.01
"""What a plan hour by hour may lack to the cheapest: a hundredth, far within what a day's rates are known to. A plan of
one rate is exact."""

_TIME_LIMIT_S = 20.0
"""A fleet of a handful of units takes milliseconds, 40 of them hour by hour some seconds; what takes longer, as a day
over many sizes may, is answered with the gap that is left by then."""


def make_plan(
    fleet: InferenceFleet,
    evidence: Sequence[UnitEvidence],
    *,
    findings: Sequence[Finding] = (),
    extra_tables: Mapping[str, Table] | None = None,
    hardware: Mapping[str, InstanceType] | None = None,
    offerings: Offerings | None = None,
    work: Work | None = None,
) -> Plan:
    """The cheapest plan that carries the fleet's planned demand (its peak, or its day by the hour), or why none does.

    An infeasible plan has as many replicas as the limits allow, and is nothing to go by: no pool has a weight, traffic
    or targets to scale at. Units without evidence get no pool, nor do those beyond
    capacity.maxPools. `findings` are carried over; `extra_tables` join those of the plan. By unit name: `hardware` for
    quotas, `offerings` for capacity types that the fleet gives no price of. `work` scales limits to sizes of requests
    that were not measured. Raises InputError where one of them is needed and does not say; ValueError when a unit of
    the evidence is not of the fleet, or one has more than one evidence.
    """
    _refuse_other_units(fleet, evidence)
    evidence = [supplies.by_size(fleet, known, work) for known in evidence]
    candidates = supplies.candidates(fleet, evidence, hardware or {}, offerings or {})
    requirement = supplies.requirement(fleet)
    rates = fleet.spec.demand.periods_per_s
    mix = cheapest_mix(candidates, requirement, gap=_DAY_GAP if len(rates) > 1 else 0.0, time_limit_s=_TIME_LIMIT_S)
    peak = rates.index(max(rates))
    known_units = [placing.as_given(fleet, known, mix, peak) for known in evidence]
    evidence = placing.pools(fleet, [placing.as_bought(known, mix, peak) for known in known_units], mix)
    replicas = {known.unit: mix.replicas(known.unit, peak) for known in evidence}
    weighing = _weigh(fleet, evidence, mix, replicas) if mix.feasible else None
    return Plan(
        version=VERSION,
        fleet=fleet,
        status=PlanStatus.FEASIBLE if mix.feasible else PlanStatus.INFEASIBLE,
        cost_usd_per_h=mix.cost_usd_per_h,
        gap=mix.gap,
        demand_per_s=max(rates),
        pools=tuple(_pool(fleet, evidence, known, replicas[known.unit], weighing, mix) for known in evidence),
        tables={**tables.of_evidence(known_units), **placing.tables(fleet, mix, peak), **(extra_tables or {})},
        findings=tuple(findings),
        reasons=(
            *reasons.of_plan(fleet, known_units, evidence, candidates, requirement, mix, peak),
            *(_of_policy(weighing) if weighing is not None else ()),
        ),
        periods=tuple(map(PlanPeriod, rates, mix.cost_by_period_usd_per_h)),
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
        "periods": [codec.to_jsonable(period) for period in plan.periods],
    }


_POOL_KEYS = (
    "unit", "replicas", "weight", "limit_per_s", "usd_per_million_requests", "tokens_per_usd", "autoscaling", "reason",
    "allotments", "estimate_error", "expected_latency_s", "latency_s", "latency_source", "limits_by_size_per_s",
    "latencies_by_size_s", "traffic_by_size_per_s",
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


def _weigh(
    fleet: InferenceFleet, evidence: Sequence[UnitEvidence], mix: Mix, replicas: Mapping[str, int]
) -> weights.Weighting:
    """The weights at the planned demand: by the fleet's policy, or where traffic goes by size, what each pool gets."""
    pools = [
        weights.Fillable(
            known.unit,
            known.limit_per_s * replicas[known.unit],
            known.usd_per_million_requests,
            max(1, replicas[known.unit]),
        )
        for known in evidence
    ]
    if fleet.spec.routing.by_size:
        shares = placing.traffic_shares(mix, replicas)
        return weights.of_shares(WeightPolicy.MERIT_ORDER, shares, pools, fleet.spec.demand.planned_per_s)
    return weights.weigh(fleet.spec.routing.weights, pools, fleet.spec.demand.planned_per_s, fleet.spec)


def _of_policy(weighing: weights.Weighting) -> tuple[str, ...]:
    """Which policy shared the traffic out, where it is not the usual one."""
    return () if weighing.policy is WeightPolicy.MERIT_ORDER else (weighing.sentence,)


def _pool(
    fleet: InferenceFleet,
    evidence: Sequence[UnitEvidence],
    known: UnitEvidence,
    replicas: int,
    weighing: weights.Weighting | None,
    mix: Mix,
) -> PoolPlan:
    """weighing: None of an infeasible plan."""
    unit = fleet.unit(known.unit)
    weight = 0 if weighing is None else weighing.weights[known.unit]
    scaling = autoscaling(
        unit, known.limit_per_s, fleet.spec.capacity, known.latency_s, latency_source=known.latency_source
    )
    expected_per_s = fleet.spec.demand.planned_per_s * weight / TOTAL_WEIGHT
    utilization = expected_per_s / (replicas * known.limit_per_s) if replicas else 0.0
    expected_latency_s = _latency_s(known, expected_per_s / replicas) if replicas and expected_per_s else None
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
        autoscaling=scaling if weighing is not None else replace(scaling, targets=()),
        reason=reasons.of_pool(fleet, evidence, known, replicas, expected_per_s, expected_latency_s)
        if weighing is not None
        else reasons.of_unheld(fleet, evidence, known, replicas),
        limit_source=known.limit_source,
        price_source=known.price_source,
        allotments=tuple(allotment for allotment in mix.allotments if allotment.unit == known.unit),
        latency_s=known.latency_s,
        estimate_error=known.estimate_error,
        expected_latency_s=expected_latency_s,
        latency_source=known.latency_source,
        limits_by_size_per_s=known.limits_by_size_per_s,
        latencies_by_size_s=known.latencies_by_size_s,
        traffic_by_size_per_s=mix.traffic.get(known.unit, ()) if fleet.spec.routing.by_size else (),
        curve=_curve(known, known.levels),
        held=_curve(known, known.held),
    )


def _curve(known: UnitEvidence, levels: Sequence[tuple[float, float, float]]) -> Curve | None:
    """The load curve through the levels; None without any."""
    error = known.estimate_error
    measured = "one measured level" if len(levels) == 1 else f"{len(levels)} measured levels"
    source = measured if error is None else f"an estimate, off by {error:.0%} in the median of a step"
    return curve.of_levels(levels, "avg", error is not None, source)


def _latency_s(known: UnitEvidence, rate_per_s: float) -> float | None:
    """Mean latency of a replica at that rate by its load curve; None without one, and beyond its end."""
    load = _curve(known, known.levels)
    return None if load is None or rate_per_s > load.plateau_per_s else load.latency_s(rate_per_s)
