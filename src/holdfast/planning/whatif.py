"""The same fleet under other circumstances: without some of it, on spot, at other rates.

Each of them plans anew; nothing is scaled or interpolated. A fleet is a value, so what-if is a changed
copy of it. Rates are steady: they stand for the demand's usual rate and its peak alike.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from holdfast.model.cost_curve import CostCurve, CostPoint, PoolCost
from holdfast.model.errors import InputError
from holdfast.model.findings import Finding, Severity
from holdfast.model.fleet import CapacityType, Demand, DeploymentUnit, InferenceFleet
from holdfast.model.hardware import Offering
from holdfast.model.measurements import Measurement
from holdfast.model.plan import Plan, PlanStatus, PoolPlan

LEAST_PER_S, MOST_PER_S = 1e-6, 1e7
"""Rates that a demand may have (model.fleet.Demand)."""

Planner = Callable[[InferenceFleet], Plan]
"""Makes the plan of a fleet on the evidence that is known: `make_plan` with the rest of its arguments."""

CURVE_POINTS = 40
"""At most about so many rates make a cost curve: on a page 800 pixels wide a step every 20."""


def without(fleet: InferenceFleet, names: Sequence[str]) -> InferenceFleet:
    """The fleet without the units that the names mean: each a unit, an accelerator or an instance family (`g5`).

    Raises InputError for a name that means nothing in the fleet, and when no unit is left.
    """
    for name in names:
        if not any(_is_meant(unit, name) for unit in fleet.spec.units):
            raise _unknown(fleet, name)
    kept = tuple(unit for unit in fleet.spec.units if not any(_is_meant(unit, name) for name in names))
    if not kept:
        raise InputError(f"without {' and '.join(names)} no unit is left", where="--without", mend="leave one in")
    return with_units(fleet, kept)


def _is_meant(unit: DeploymentUnit, name: str) -> bool:
    return name.strip().lower() in _names(unit)


def _names(unit: DeploymentUnit) -> tuple[str, str, str]:
    return unit.name, unit.accelerator.lower(), unit.instance_type.partition(".")[0].lower()


def _unknown(fleet: InferenceFleet, name: str) -> InputError:
    known = sorted({known for unit in fleet.spec.units for known in _names(unit)})
    near = difflib.get_close_matches(name.lower(), known, n=2, cutoff=0.6)
    mend = f"did you mean {' or '.join(near)}" if near else f"known: {', '.join(known)}"
    return InputError(f"the fleet has no unit, accelerator or family {name!r}", where="--without", mend=mend)


def on_spot(fleet: InferenceFleet, spot: Mapping[str, Offering]) -> tuple[InferenceFleet, tuple[Finding, ...]]:
    """The fleet with each unit on spot alone that has a spot price, and what is to be said of the prices.

    spot: the catalogue's spot offerings by unit name. A spot price of the fleet document goes before it; an on-demand
    price gives way.
    """
    units = tuple(_as_spot(unit, unit.name in spot) for unit in fleet.spec.units)
    lacking = [unit for unit in units if unit.capacity_type is not CapacityType.SPOT]
    taken = {unit.name: spot[unit.name] for unit in units if unit.name in spot and unit.price_usd_per_h is None}
    return with_units(fleet, units), (*_snapshots(fleet, taken), *_without_spot_price(fleet, lacking))


def _as_spot(unit: DeploymentUnit, offered: bool) -> DeploymentUnit:
    stated = unit.price_usd_per_h if unit.capacity_type is CapacityType.SPOT else None
    price = unit.prices_usd_per_h.get(CapacityType.SPOT, stated)
    if price is None and not offered:
        return unit
    return unit.model_copy(
        update={
            "capacity_type": CapacityType.SPOT,
            "price_usd_per_h": price,
            "capacity_types": (),
            "prices_usd_per_h": {},
        }
    )


def _snapshots(fleet: InferenceFleet, spot: Mapping[str, Offering]) -> tuple[Finding, ...]:
    """Per source and date: spot prices move by the hour, and these do not."""
    taken: dict[tuple[str, str], list[str]] = {}
    for unit in fleet.spec.units:
        if unit.name in spot:
            offering = spot[unit.name]
            text = f"{unit.name} {offering.price_usd_per_h:g} USD/h"
            taken.setdefault((offering.source, offering.date), []).append(text)
    return tuple(
        Finding(
            file="",
            row=0,
            check="spot-price",
            severity=Severity.SUSPICIOUS,
            found=f"{source}, {date}",
            expected="the price of today, in each zone",
            message=f"Spot prices are of one moment ({source}, {date}): {', '.join(units)}.",
        )
        for (source, date), units in taken.items()
    )


def _without_spot_price(fleet: InferenceFleet, lacking: Sequence[DeploymentUnit]) -> tuple[Finding, ...]:
    if not lacking:
        return ()
    named = ", ".join(f"{unit.name} ({unit.instance_type})" for unit in lacking)
    return (
        Finding(
            file="",
            row=0,
            check="spot-price",
            severity=Severity.NOTE,
            found="no spot price",
            expected=f"a spot price in {fleet.spec.region}",
            message=f"No spot price is known in {fleet.spec.region}, so planned as declared: {named}.",
        ),
    )


def unpriced(rows: Sequence[Measurement], units: Sequence[str]) -> tuple[Measurement, ...]:
    """The rows, those of the units without their price: it is not what the unit costs under the circumstances."""
    return tuple(replace(row, price_usd_per_h=None) if row.unit in units else row for row in rows)


def at_rate(fleet: InferenceFleet, rate_per_s: float) -> InferenceFleet:
    """The fleet with a steady demand of `rate_per_s`, LEAST_PER_S to MOST_PER_S."""
    demand = Demand.model_validate({"rate": f"{rate_per_s!r}/s"})
    return fleet.model_copy(update={"spec": fleet.spec.model_copy(update={"demand": demand})})


def with_units(fleet: InferenceFleet, units: tuple[DeploymentUnit, ...]) -> InferenceFleet:
    """The fleet with these units instead of its own."""
    return fleet.model_copy(update={"spec": fleet.spec.model_copy(update={"units": units})})


def cost_curve(fleet: InferenceFleet, plan_of: Planner, rates_per_s: Sequence[float]) -> CostCurve:
    """The cheapest plan at each rate, lowest first."""
    points = tuple(_point(plan_of(at_rate(fleet, rate))) for rate in sorted(rates_per_s))
    return CostCurve(fleet.metadata.name, fleet.spec.model.id, points)


def spread(low_per_s: float, high_per_s: float) -> tuple[float, ...]:
    """Some CURVE_POINTS rates from low to high, both included, the others multiples of a round step."""
    if low_per_s == high_per_s:
        return (low_per_s,)
    least = (high_per_s - low_per_s) / CURVE_POINTS
    decade = 10.0 ** math.floor(math.log10(least))
    step = next(factor * decade for factor in (1, 2, 2.5, 5, 10) if factor * decade >= least)
    first, last = math.floor(low_per_s / step) + 1, math.ceil(high_per_s / step)
    return (low_per_s, *(step * n for n in range(first, last)), high_per_s)


def _point(plan: Plan) -> CostPoint:
    if plan.status is PlanStatus.INFEASIBLE:
        return CostPoint(plan.demand_per_s, math.nan, plan.gap, (), plan.reasons[0])
    pools = tuple(PoolCost(pool.unit, pool.replicas, _cost_usd_per_h(pool)) for pool in plan.pools)
    return CostPoint(plan.demand_per_s, plan.cost_usd_per_h, plan.gap, pools)


def _cost_usd_per_h(pool: PoolPlan) -> float:
    """Of the pool's whole instances in a plan of one period."""
    return math.fsum(allotted.instances(0) * allotted.instance_usd_per_h for allotted in pool.allotments)
