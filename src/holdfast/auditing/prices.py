"""Printed prices against the catalogue's."""

from __future__ import annotations

import math
from collections.abc import Sequence

from holdfast import catalog
from holdfast.auditing import equipment
from holdfast.auditing.equipment import same_price
from holdfast.model.findings import Checked, Finding, Severity
from holdfast.model.fleet import CapacityType
from holdfast.model.hardware import Offering
from holdfast.model.measurements import Measurement


def price(rows: Sequence[Measurement], region: str | None, where: str) -> Checked:
    """Units whose price is no whole number of instances at a price of the catalogue, one finding each.

    region: where the prices are from; any region of the catalogue when None. On-demand and spot prices both count.
    Never impossible: prices change, and are negotiated.
    """
    judged = [row for row in rows if row.price_usd_per_h and _offers(row, region)]
    firsts = {(row.unit, row.price_usd_per_h): row for row in reversed(judged)}
    ordered = sorted(firsts.values(), key=lambda row: row.row)
    found = (_judge(row, _offers(row, region), region, where) for row in ordered)
    return Checked("price", len(judged), tuple(finding for finding in found if finding is not None))


def _offers(row: Measurement, region: str | None) -> list[Offering]:
    instance = equipment.known_instance(row.instance_type)
    if instance is None:
        return []
    return [offer for offer in catalog.offerings(region) if offer.instance_type == instance.name]


def _judge(row: Measurement, offers: Sequence[Offering], region: str | None, where: str) -> Finding | None:
    printed = row.price_usd_per_h
    assert printed is not None
    instance = equipment.known_instance(row.instance_type)
    most = 1 if instance is None else equipment.most_instances(row, instance)
    if any(same_price(printed, times * offer.price_usd_per_h) for offer in offers for times in range(1, most + 1)):
        return None
    other = _of_another_type(printed, offers[0].instance_type, region)
    listed = _nearest(offers, printed, other.region if other else region)
    known = f"{listed.price_usd_per_h:g} USD/h ({listed.capacity_type.value}, {listed.region}, read {listed.date})"
    return Finding(
        where,
        row.row,
        "price",
        Severity.SUSPICIOUS,
        f"{printed:g} USD/h",
        known,
        f"{row.unit}: {printed:g} USD/h is printed for {listed.instance_type}, which the catalogue has at {known}.",
        _why(row, listed, other, region),
    )


def _nearest(offers: Sequence[Offering], printed: float, region: str | None) -> Offering:
    """The on-demand offer in the region where there is one, else the nearest by price; read ones before estimates."""
    on_demand = [offer for offer in offers if offer.capacity_type is CapacityType.ON_DEMAND] or offers
    there = [offer for offer in on_demand if offer.region == region] or on_demand
    return min(there, key=lambda offer: (abs(offer.price_usd_per_h - printed), offer.estimated))


def _of_another_type(printed: float, own: str, region: str | None) -> Offering | None:
    """The on-demand offer of another instance type that has exactly this price, of the same size if there is one."""
    exact = [
        offer
        for offer in catalog.offerings(region)
        if offer.capacity_type is CapacityType.ON_DEMAND
        and offer.instance_type != own
        and math.isclose(offer.price_usd_per_h, printed, rel_tol=1e-4)
    ]
    return min(exact, key=lambda offer: (_size(offer.instance_type) != _size(own), offer.estimated), default=None)


def _why(row: Measurement, listed: Offering, other: Offering | None, region: str | None) -> str:
    printed = row.price_usd_per_h
    assert printed is not None
    elsewhere = [offer for offer in _offers(row, None) if same_price(printed, offer.price_usd_per_h)] if region else []
    if elsewhere:
        return f"It is the {elsewhere[0].capacity_type.value} price of {elsewhere[0].region}."
    if other is not None:
        return f"It is the price of {other.instance_type} ({other.region})."
    factor = printed / listed.price_usd_per_h
    for times, said in ((0.5, "half"), (2.0, "twice")):
        if same_price(factor, times):
            return f"It is {said} the listed price: of another number of instances, or discounted."
    return "It is out of date, a spot, reserved or negotiated price, or of another region."


def _size(instance_type: str) -> str:
    return instance_type.partition(".")[2]
