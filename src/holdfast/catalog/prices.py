"""The offerings of the catalogue: instance types at a price, by region and capacity type."""

from __future__ import annotations

import functools

from holdfast.catalog import instances, lookup, rows
from holdfast.model.errors import InputError
from holdfast.model.fleet import CapacityType
from holdfast.model.hardware import Offering


@functools.cache
def _all() -> tuple[Offering, ...]:
    return tuple(_offering(row) for row in rows.read("prices.csv"))


def regions() -> tuple[str, ...]:
    """The regions that the catalogue has prices for, by name."""
    return tuple(sorted({offering.region for offering in _all()}))


def offerings(region: str | None = None, accelerator: str | None = None) -> tuple[Offering, ...]:
    """On-demand and median spot offerings, all or of one region, of one accelerator.

    Raises InputError for a region or an accelerator that the catalogue does not have.
    """
    if region is not None:
        region = lookup.find("region", region, {name: name for name in regions()})
    carriers = {kind.name for kind in instances.instance_types(accelerator)}
    return tuple(
        offering
        for offering in _all()
        if offering.instance_type in carriers and (region is None or offering.region == region)
    )


def price(instance_type: str, region: str, capacity_type: CapacityType) -> Offering:
    """The offering of that instance type in that region and capacity type.

    Raises InputError when the instance type is unknown, or when no source states the price: then it says
    which regions have one, and that `price:` in the unit stands in for the catalogue.
    """
    name = instances.instance_type(instance_type).name
    alike = [offer for offer in _all() if offer.instance_type == name and offer.capacity_type is capacity_type]
    for offer in alike:
        if offer.region == region:
            return offer
    known = ", ".join(offer.region for offer in alike)
    raise InputError(
        f"the catalogue has no {capacity_type.value} price of {name} in {region} "
        f"({f'it has one in {known}' if known else 'nor in any other region'})",
        mend="set `price:` in the unit, e.g. price: $1.006/h",
    )


def _offering(row: dict[str, str]) -> Offering:
    return Offering(
        instance_type=row["instance_type"],
        region=row["region"],
        capacity_type=CapacityType(row["capacity_type"]),
        price_usd_per_h=float(row["price_usd_per_h"]),
        source=row["source"],
        date=row["date"],
        estimated=row["source"].startswith("DERIVED"),
    )
