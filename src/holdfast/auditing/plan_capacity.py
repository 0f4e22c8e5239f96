"""What a plan holds hour by hour, whole and after each loss that it must survive, and what bounds it.

A loss takes all replicas of a zone, of an accelerator, of the spot instances of one type in one zone, or of a unit;
what is left, filled to its limits, must carry the demand with its headroom (`capacity.survive`, model.fleet).

Where traffic goes by size of request (`routing.bySize`), what replicas hold of several sizes together is worked out by
`plan_carried`, and the demand by the traffic that each pool is given (`plan_sizes`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from holdfast.auditing import equipment, plan_shape, plan_sizes
from holdfast.auditing.plan_shape import at_hour, impossible
from holdfast.model.findings import Checked, Finding
from holdfast.model.fleet import CapacityType, Loss
from holdfast.model.plan import Allotment, Plan, PlanStatus, PoolPlan


def demand(plan: Plan, where: str) -> Checked:
    """Filled to the utilisation target, the replicas of every period carry its demand and headroom."""
    if plan.fleet.spec.routing.by_size:
        return plan_sizes.demand(plan, where)
    target = plan.fleet.spec.capacity.utilization_target
    short = []
    for period in range(len(plan.periods)):
        asked = _asked_per_s(plan, period)
        carried = target * _sum_of_limits(plan)(plan_shape.allotments(plan), period, asked)
        if carried < asked * (1 - plan_shape.ENOUGH):
            short.append((carried / asked, carried, asked, period))
    if not short:
        return Checked("demand", len(plan.periods), ())
    _, carried, asked, period = min(short)
    message = f"Filled to {target:.0%} of their limits the pools carry {carried:.4g}/s{at_hour(plan, period)}, and the "
    message += f"plan is called feasible for {asked:.4g}/s, headroom included{plan_shape.and_more(len(short))}."
    finding = impossible(where, "demand", f"{carried:.4g}/s", f"at least {asked:.4g}/s", message)
    return Checked("demand", len(plan.periods), (finding,))


def survival(plan: Plan, where: str) -> Checked:
    """Each loss that the fleet asks to survive leaves what carries the demand and headroom of every period."""
    losses = _losses(plan)
    holds = plan_sizes.holding(plan) if plan.fleet.spec.routing.by_size else _sum_of_limits(plan)
    found = (_lost(plan, kind, name, gone, holds, where) for (kind, name), gone in losses.items())
    judged = len(losses) * len(plan.periods)
    return Checked("survival", judged, tuple(finding for finding in found if finding is not None))


def limits(plan: Plan, where: str) -> Checked:
    """Replicas within the bounds of their units and where these may be, and pools within `capacity.maxPools`."""
    found = [finding for pool in plan.pools for finding in _bounds(plan, pool, where)]
    most = plan.fleet.spec.capacity.max_pools
    used = sum(any(any(one.replicas) for one in pool.allotments) for pool in plan.pools)
    if most is not None and used > most:
        message = f"{used} pools have replicas, and the fleet allows {most} (capacity.maxPools)."
        found.append(impossible(where, "limits", f"{used} pools", f"at most {most}", message))
    return Checked("limits", len(plan.pools), tuple(found))


def quotas(plan: Plan, where: str) -> Checked:
    """The vCPUs of all instances of a class are within its quota, in every period."""
    used: dict[str, list[int]] = {quota: [0] * len(plan.periods) for quota in plan.fleet.spec.capacity.quotas}
    for one in plan_shape.allotments(plan):
        instance = equipment.known_instance(plan.fleet.unit(one.unit).instance_type)
        spot = " spot" if one.capacity_type is CapacityType.SPOT else ""
        name = f"{instance.quota_class}{spot}" if instance is not None else ""
        if instance is not None and name in used:
            for period in range(len(plan.periods)):
                used[name][period] += instance.vcpus * one.instances(period)
    found = []
    for name, most in ((str(quota), vcpus) for quota, vcpus in plan.fleet.spec.capacity.quotas.items()):
        period = max(range(len(plan.periods)), key=lambda index: used[name][index])
        if used[name][period] > most:
            message = f"The plan takes {used[name][period]} vCPU of the class {name}{at_hour(plan, period)}, and its "
            message += f"quota is {most}."
            found.append(impossible(where, "quotas", f"{used[name][period]} vCPU", f"at most {most} vCPU", message))
    return Checked("quotas", len(used), tuple(found))


def _asked_per_s(plan: Plan, period: int) -> float:
    return plan.periods[period].demand_per_s * (1 + plan.fleet.spec.capacity.headroom)


Holds = Callable[[Sequence[Allotment], int, float], float]
"""What the replicas of allotments hold in a period, at least what is asked where they hold that; requests/s."""


def _sum_of_limits(plan: Plan) -> Holds:
    limits = {pool.unit: pool.limit_per_s for pool in plan.pools}
    return lambda allotments, period, _: math.fsum(one.replicas[period] * limits[one.unit] for one in allotments)


def _losses(plan: Plan) -> dict[tuple[Loss, str], list[Allotment]]:
    """What goes with each loss of the kinds that must be survived."""
    groups: dict[tuple[Loss, str], list[Allotment]] = defaultdict(list)
    for one in plan_shape.allotments(plan):
        unit = plan.fleet.unit(one.unit)
        names = {Loss.ACCELERATOR: f"every {unit.accelerator.lower()}", Loss.POOL: one.unit}
        if one.zone:
            names[Loss.ZONE] = f"zone {one.zone}"
        if one.capacity_type is CapacityType.SPOT:
            names[Loss.SPOT] = f"spot {unit.instance_type}{f' in {one.zone}' if one.zone else ''}"
        for kind in plan.fleet.spec.capacity.survive:
            if kind in names:
                groups[kind, names[kind]].append(one)
    return groups


def _lost(plan: Plan, kind: Loss, name: str, gone: list[Allotment], holds: Holds, where: str) -> Finding | None:
    rest = [one for one in plan_shape.allotments(plan) if one not in gone]
    short = []
    for period in range(len(plan.periods)):
        asked = _asked_per_s(plan, period)
        enough = asked * (1 - plan_shape.ENOUGH)
        left = holds(rest, period, enough)
        if left < enough:
            short.append((left / asked, left, asked, period))
    if not short:
        return None
    _, left, asked, period = min(short)
    message = (
        f"Without {name} the rest hold {left:.4g}/s of {asked:.4g}/s{at_hour(plan, period)}, and the fleet asks to "
    )
    message += f"survive the loss of any one {kind.value}{plan_shape.and_more(len(short))}."
    return impossible(where, "survival", f"{left:.4g}/s", f"at least {asked:.4g}/s", message)


def _bounds(plan: Plan, pool: PoolPlan, where: str) -> Iterator[Finding]:
    unit = plan.fleet.unit(pool.unit)
    held = [sum(one.replicas[period] for one in pool.allotments) for period in range(len(plan.periods))]
    at = plan_shape.peak(plan)
    if pool.replicas != held[at]:
        message = f"{pool.unit} is said to have {pool.replicas} replicas, and has {held[at]} by its zones and types"
        message += f"{at_hour(plan, at)}."
        yield impossible(where, "limits", f"{pool.replicas} replicas", f"{held[at]} replicas", message)
    most, least = held.index(max(held)), held.index(min(held))
    if held[most] > unit.max_replicas:
        message = (
            f"{pool.unit} has {held[most]} replicas{at_hour(plan, most)}, and its fleet allows {unit.max_replicas}."
        )
        yield impossible(where, "limits", f"{held[most]} replicas", f"at most {unit.max_replicas}", message)
    if held[least] < unit.min_replicas and plan.status is PlanStatus.FEASIBLE:
        message = f"{pool.unit} has {held[least]} replicas{at_hour(plan, least)}, and its fleet asks for "
        message += f"{unit.min_replicas}."
        yield impossible(where, "limits", f"{held[least]} replicas", f"at least {unit.min_replicas}", message)
    zones = unit.zones or plan.fleet.spec.zones or ("",)
    ways = [way.value for way in unit.ways]
    for one in pool.allotments:
        if one.zone not in zones or one.capacity_type not in unit.ways:
            found, allowed = f"{one.zone} {one.capacity_type.value}".strip(), f"{', '.join(zones)} {' or '.join(ways)}"
            message = f"{pool.unit} has replicas in {found}, and its fleet has it in {allowed.strip()}."
            yield impossible(where, "limits", found, allowed.strip(), message)
