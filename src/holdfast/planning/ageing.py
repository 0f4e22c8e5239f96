"""Prices of the catalogue that are too old to plan with, or of no known age."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence

from holdfast.model.findings import Finding, Severity
from holdfast.model.fleet import InferenceFleet
from holdfast.model.hardware import Offering
from holdfast.model.measurements import Measurement

OLDEST_DAYS = 90
"""On-demand prices change a few times a year; spot prices within the hour."""


def check_prices(
    fleet: InferenceFleet, rows: Sequence[Measurement], offerings: Mapping[str, Offering], today: datetime.date
) -> tuple[Finding, ...]:
    """A finding for all prices of one date that are older than OLDEST_DAYS, and for those without a date.

    Only prices that the plan takes from the catalogue: those of units whose price neither the fleet document nor a row
    of the measurements states. offerings: by unit name.
    """
    stated = {row.unit for row in rows if row.price_usd_per_h is not None}
    used: dict[str, list[str]] = {}
    for unit in fleet.spec.units:
        if unit.price_usd_per_h is None and unit.name not in stated and unit.name in offerings:
            used.setdefault(offerings[unit.name].date, []).append(unit.name)
    aged = ((date, _age(date, today), units) for date, units in used.items())
    return tuple(_finding(date, age, units, today) for date, age, units in aged if age is None or age > OLDEST_DAYS)


def _age(date: str, today: datetime.date) -> int | None:
    """Days since an ISO date; None for anything else that stands where the date should."""
    try:
        return (today - datetime.date.fromisoformat(date)).days
    except ValueError:
        return None


def _finding(date: str, age: int | None, units: Sequence[str], today: datetime.date) -> Finding:
    known = f"{age} days old (read {date}, today is {today.isoformat()})" if age is not None else f"of no date ({date})"
    return Finding(
        file="",
        row=0,
        check="price-age",
        severity=Severity.SUSPICIOUS,
        found=date,
        expected=f"prices read within {OLDEST_DAYS} days",
        message=f"The catalogue's prices of {', '.join(units)} are {known}; give price: in the unit, or refresh them "
        "with `holdfast prices refresh`.",
    )
