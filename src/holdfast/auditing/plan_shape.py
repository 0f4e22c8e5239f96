"""What must be so for anything else of a plan to be worked out, and what the other checks of plans share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from holdfast.auditing import equipment
from holdfast.model.findings import Checked, Finding, Severity
from holdfast.model.packing import Packing, obstacle, pack
from holdfast.model.plan import Allotment, Plan, PlanStatus, PoolPlan

SAME = 1e-6
"""Relative: sums of floats in another order."""

ENOUGH = 1e-5
"""Relative: what a demand may lack. The solver's own tolerance is a millionth in each of a few rows."""


MOST = 1e12
"""Above any count or rate of a fleet."""


def shape(plan: Plan, where: str) -> Checked:
    """The periods are the demand's, pools are units of the fleet, and each has replicas for every period, a limit and
    prices above 0."""
    found = [*_periods(plan, where), *_units(plan, where)]
    if not found:
        found = [finding for pool in plan.pools for finding in _pool(plan, pool, where)]
    return Checked("shape", len(plan.pools), tuple(found))


def differ(one: float, other: float) -> bool:
    """Whether two figures that should be equal are not."""
    if max(abs(one), abs(other)) > MOST:  # whole numbers of a file may be too large for a float
        return one != other
    return not math.isclose(one, other, rel_tol=SAME, abs_tol=1e-9)


def impossible(where: str, check: str, found: str, expected: str, message: str) -> Finding:
    return Finding(where, 0, check, Severity.IMPOSSIBLE, found, expected, message, "It was changed by hand.")


def figure(where: str, check: str, name: str, found: float, expected: float, unit: str = "") -> Finding | None:
    """A finding where a figure is not what the rest of the plan makes it; name: what it is, with its pool."""
    if not differ(found, expected):
        return None
    said, right = f"{found:.6g}{unit}", f"{expected:.6g}{unit}"
    return impossible(where, check, said, right, f"{name} is {said} and should be {right}.")


def peak(plan: Plan) -> int:
    """The period with the highest demand, the first of equals: the one that the pools' own figures are of."""
    rates = [period.demand_per_s for period in plan.periods]
    return rates.index(max(rates))


def allotments(plan: Plan) -> list[Allotment]:
    return [allotment for pool in plan.pools for allotment in pool.allotments]


def packing(plan: Plan, pool: PoolPlan) -> Packing:
    """How replicas of the pool's unit lie on instances; one on each where the catalogue does not know the type."""
    unit = plan.fleet.unit(pool.unit)
    return pack(unit, equipment.known_instance(unit.instance_type))


def at_hour(plan: Plan, period: int) -> str:
    """` at hour 12`; empty for a plan of one rate."""
    return f" at hour {period}" if len(plan.periods) > 1 else ""


def and_more(hours: int) -> str:
    """What is to be said of the worst of several hours."""
    return f"; so in {hours} hours, this is the worst" if hours > 1 else ""


def _periods(plan: Plan, where: str) -> Iterator[Finding]:
    asked = plan.fleet.spec.demand.periods_per_s
    if len(plan.periods) != len(asked):
        message = f"The plan has {len(plan.periods)} periods, and its fleet's demand has {len(asked)}."
        yield impossible(where, "shape", f"{len(plan.periods)} periods", f"{len(asked)} periods", message)
        return
    for index, (period, rate) in enumerate(zip(plan.periods, asked, strict=True)):
        if differ(period.demand_per_s, rate):
            message = f"The plan is for {period.demand_per_s:.6g}/s{at_hour(plan, index)}, and its fleet asks for "
            yield impossible(where, "shape", f"{period.demand_per_s:.6g}/s", f"{rate:.6g}/s", f"{message}{rate:.6g}/s.")
    if differ(plan.demand_per_s, max(asked)):
        message = (
            f"The plan's demand is {plan.demand_per_s:.6g}/s, and the highest of its periods is {max(asked):.6g}/s."
        )
        yield impossible(where, "shape", f"{plan.demand_per_s:.6g}/s", f"{max(asked):.6g}/s", message)
    # What the certificate is cannot be worked out without solving; that it is one can.
    if not 0 <= plan.gap <= 1 or (plan.status is PlanStatus.INFEASIBLE and plan.gap < 1):
        expected = "0 to 1" if plan.status is PlanStatus.FEASIBLE else "1 (nothing is certified)"
        yield impossible(where, "shape", f"{plan.gap:g}", expected, f"The plan's gap is {plan.gap:g}, not {expected}.")


def _units(plan: Plan, where: str) -> Iterator[Finding]:
    names = [unit.name for unit in plan.fleet.spec.units]
    for name, times in Counter(pool.unit for pool in plan.pools).items():
        if name not in names:
            known = ", ".join(names)
            yield impossible(where, "shape", name, known, f"The plan has a pool {name!r}, and its fleet has {known}.")
        elif times > 1:
            yield impossible(where, "shape", f"{times} pools", "1 pool", f"The plan has {times} pools of {name}.")


def _pool(plan: Plan, pool: PoolPlan, where: str) -> Iterator[Finding]:
    prices = [("a price", pool.price_usd_per_h)]
    prices += [(f"an instance price in {a.zone or 'no zone'}", a.instance_usd_per_h) for a in pool.allotments]
    for name, value in (("a limit", pool.limit_per_s), *prices):
        if not 0 < value < math.inf:
            message = f"{pool.unit} has {name} of {value:g}: nothing follows from that."
            yield impossible(where, "shape", f"{value:g}", "above 0", message)
    if pool.latency_s is not None and not 0 < pool.latency_s < math.inf:
        message = f"{pool.unit} has a latency of {pool.latency_s:g} s at its limit: nothing follows from that."
        yield impossible(where, "shape", f"{pool.latency_s:g} s", "above 0", message)
    counts = (pool.replicas, pool.weight, pool.autoscaling.min_replicas, pool.autoscaling.max_replicas)
    if any(abs(count) > MOST for count in (*counts, *(n for one in pool.allotments for n in one.replicas))):
        message = f"{pool.unit} has a count above {MOST:g}: nothing follows from that."
        yield impossible(where, "shape", f"above {MOST:g}", "a count", message)
    places = Counter((one.zone, one.capacity_type) for one in pool.allotments)
    for (zone, way), times in places.items():
        if times > 1:
            message = f"{pool.unit} has {times} allotments in {zone or 'no zone'} as {way.value}."
            yield impossible(where, "shape", f"{times} allotments", "1 allotment", message)
    for one in pool.allotments:
        if one.unit != pool.unit:
            message = f"The pool of {pool.unit} has replicas of {one.unit}."
            yield impossible(where, "shape", one.unit, pool.unit, message)
        if len(one.replicas) != len(plan.periods) or min(one.replicas, default=-1) < 0:
            message = f"{pool.unit} has replicas of {list(one.replicas)} in {len(plan.periods)} periods."
            expected = f"{len(plan.periods)} numbers, 0 or more"
            yield impossible(where, "shape", f"{len(one.replicas)} numbers", expected, message)
        yield from _packed(plan, pool, one, where)


def _packed(plan: Plan, pool: PoolPlan, one: Allotment, where: str) -> Iterator[Finding]:
    """Replicas lie on instances as their devices make them; of types that nobody knows the counts are at least 1."""
    unit, packed = plan.fleet.unit(pool.unit), packing(plan, pool)
    instance = equipment.known_instance(unit.instance_type)
    why_not = "" if instance is None else obstacle(unit, instance)
    if why_not:
        message = f"A replica of {pool.unit} cannot be placed on {unit.instance_type}: {why_not}."
        yield impossible(where, "shape", f"{unit.devices_per_replica} devices", "a replica that can be placed", message)
        return
    said = (one.replicas_per_instance, one.instances_per_replica)
    right = (packed.replicas_per_instance, packed.instances_per_replica)
    if said != right and (instance is not None or min(said) != 1):
        message = f"{pool.unit} has {_places(*said)}, and by its devices it has {_places(*right)}."
        yield impossible(where, "shape", _places(*said), _places(*right), message)


def _places(replicas_per_instance: int, instances_per_replica: int) -> str:
    if replicas_per_instance == 1 and instances_per_replica != 1:
        return f"{instances_per_replica} instances to a replica"
    several = f", {instances_per_replica} instances to a replica" if instances_per_replica != 1 else ""
    return f"{replicas_per_instance} replicas to an instance{several}"
