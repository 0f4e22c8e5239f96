"""Prices of the catalogue that are too old to plan with, or of no known age."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence

from holdfast import catalog
from holdfast.model.findings import Finding, Severity
from holdfast.model.fleet import CapacityType, DeploymentUnit, InferenceFleet
from holdfast.model.hardware import Offering
from holdfast.model.measurements import Measurement
from holdfast.planning.supplies import Offerings


def check_prices(
    fleet: InferenceFleet, rows: Sequence[Measurement], offerings: Offerings, today: datetime.date
) -> tuple[Finding, ...]:
    """A finding for all prices of one age that are older than STALE_AFTER_DAYS, and for those without a date.

    Only prices that the plan takes from the catalogue: what neither the fleet document nor, for a unit's main capacity
    type, a row of the measurements states.
    """
    measured = {row.unit for row in rows if row.price_usd_per_h is not None}
    old: dict[str, list[str]] = {}
    for unit in fleet.spec.units:
        for offering in _taken(unit, offerings.get(unit.name, {}), unit.name in measured):
            if catalog.stale(offering, today):
                old.setdefault(_age(offering, today), []).append(unit.name)
    return tuple(_finding(age, dict.fromkeys(units)) for age, units in old.items())


def _taken(unit: DeploymentUnit, offered: Mapping[CapacityType, Offering], measured: bool) -> Iterator[Offering]:
    """The offerings of the unit whose price nobody else states."""
    stated = set(unit.prices_usd_per_h)
    if unit.price_usd_per_h is not None or measured:
        stated.add(unit.capacity_type)
    yield from (offered[way] for way in unit.ways if way in offered and way not in stated)


def _age(offering: Offering, today: datetime.date) -> str:
    days = catalog.age_days(offering, today)
    if days is None:
        return f"of no known date ({offering.date})"
    return f"{days} days old (read {offering.date}, today is {today.isoformat()})"


def _finding(age: str, units: Iterable[str]) -> Finding:
    return Finding(
        file="",
        row=0,
        check="price-age",
        severity=Severity.SUSPICIOUS,
        found=age,
        expected=f"prices read within {catalog.STALE_AFTER_DAYS} days",
        message=f"The catalogue's prices of {', '.join(units)} are {age}; give price: in the unit, or refresh them "
        "with `holdfast prices refresh`.",
    )
