"""When each pool grows, against its limit: target = limit x utilisation target, in the unit and period of its metric.

completed   rate per second                     received   rate x period, a sum over it
in flight   rate x latency (Little's law)       waiting    what of these the batch does not hold, 1 at least
KV cache    the utilisation target
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.auditing.plan_shape import figure, impossible
from holdfast.model.findings import Checked, Finding
from holdfast.model.plan import Plan, PlanStatus, PoolPlan, ScalingTarget

_STATISTICS = {
    "completed": ("rate", "requests/s"),
    "received": ("sum", "requests/min"),
    "in flight": ("average", "requests"),
    "waiting": ("average", "requests"),
    "KV cache": ("average", "of 1"),
}
"""Statistic and unit of each target; a sum over another period than a minute has another unit."""


def autoscaling(plan: Plan, where: str) -> Checked:
    """Targets that do not follow from the breaking point, or are in another unit or period than their metric."""
    found = [finding for pool in plan.pools for finding in _pool(plan, pool, where)]
    return Checked("autoscaling", len(plan.pools), tuple(found))


def _pool(plan: Plan, pool: PoolPlan, where: str) -> Iterator[Finding]:
    scaling, unit = pool.autoscaling, plan.fleet.unit(pool.unit)
    rate_per_s = pool.limit_per_s * plan.fleet.spec.capacity.utilization_target
    bounds = ((scaling.min_replicas, unit.min_replicas), (scaling.max_replicas, unit.max_replicas))
    figures = [
        figure(where, "autoscaling", f"The target of {pool.unit}", scaling.target, rate_per_s, " requests/s"),
        *(
            figure(where, "autoscaling", f"The {name} number of replicas of {pool.unit}'s autoscaler", found, right)
            for name, (found, right) in zip(("least", "greatest"), bounds, strict=True)
        ),
    ]
    if scaling.unit != "requests/s":
        message = f"The target of {pool.unit} is in {scaling.unit} and should be in requests/s."
        figures.append(impossible(where, "autoscaling", scaling.unit, "requests/s", message))
    if plan.status is PlanStatus.INFEASIBLE and scaling.targets:
        message = f"The plan is infeasible, and {pool.unit} has targets to scale at."
        figures.append(impossible(where, "autoscaling", f"{len(scaling.targets)} targets", "none", message))
    for target in scaling.targets:
        figures += _target(plan, pool, target, rate_per_s, where)
    yield from (finding for finding in figures if finding is not None)


def _target(
    plan: Plan, pool: PoolPlan, target: ScalingTarget, rate_per_s: float, where: str
) -> Iterator[Finding | None]:
    name = f"The target `{target.name}` of {pool.unit}"
    if target.name not in _STATISTICS:
        known = ", ".join(_STATISTICS)
        yield impossible(where, "autoscaling", target.name, known, f"{name} is none of {known}.")
        return
    period_s = pool.autoscaling.targets[0].period_s
    if target.period_s <= 0 or target.period_s != period_s:
        message = f"{name} is over {target.period_s:g} s, and the first of them over {period_s:g} s."
        yield impossible(where, "autoscaling", f"{target.period_s:g} s", f"{period_s:g} s", message)
    statistic, unit = _STATISTICS[target.name]
    if target.name == "received" and target.period_s != 60:
        unit = f"requests per {target.period_s:g} s"
    if (target.statistic, target.unit) != (statistic, unit):
        message = f"{name} is the {target.statistic} in {target.unit}, and should be the {statistic} in {unit}."
        yield impossible(where, "autoscaling", f"{target.statistic}, {target.unit}", f"{statistic}, {unit}", message)
    right = _value(plan, pool, target, rate_per_s)
    if right is not None:
        yield figure(where, "autoscaling", name, target.value, right, f" {target.unit}")


def _value(plan: Plan, pool: PoolPlan, target: ScalingTarget, rate_per_s: float) -> float | None:
    """What the target should be; None for what is in flight where no latency is known."""
    if target.name == "completed":
        return rate_per_s
    if target.name == "received":
        return rate_per_s * target.period_s
    if target.name == "KV cache":
        return plan.fleet.spec.capacity.utilization_target
    if target.name == "in flight":
        return None if pool.latency_s is None else rate_per_s * pool.latency_s
    batch = plan.fleet.unit(pool.unit).max_num_seqs
    in_flight = next((other.value for other in pool.autoscaling.targets if other.name == "in flight"), None)
    return None if batch is None or in_flight is None else max(1.0, in_flight - batch)
