"""What one replica of a unit costs: instances are bought whole, replicas share them or take several.

The instance price is taken from the first that states it: the fleet document, the measurement row, the
catalogue's offering. A row that was measured with several replicas states the price of the instances that
hold all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from holdfast import catalog
from holdfast.model.errors import InputError
from holdfast.model.fleet import DeploymentUnit, InferenceFleet
from holdfast.model.hardware import InstanceType, Offering
from holdfast.model.measurements import Measurement
from holdfast.model.packing import Packing, obstacle, pack


@dataclass(frozen=True)
class ReplicaPrice:
    """The price of one replica in US dollars per hour, by the price of an instance and how replicas lie on it."""

    usd_per_h: float
    packing: Packing
    source: str


def packing(unit: DeploymentUnit, instance: InstanceType | None) -> Packing:
    """How the unit's replicas lie on instances; one on each where the type is not known.

    Raises InputError when not even one replica can be placed.
    """
    why_not = "" if instance is None else obstacle(unit, instance)
    if instance is not None and why_not:
        raise InputError(
            f"one replica of unit {unit.name!r} needs {unit.devices_per_replica} devices and {instance.name} has "
            f"{instance.devices}; {why_not}",
            where=f"spec.units.{unit.name}",
            mend="take a larger instance type, or lower tensorParallel, pipelineParallel or devices",
        )
    return pack(unit, instance)


def replica_price(
    unit: DeploymentUnit, row: Measurement | None, offering: Offering | None, instance: InstanceType | None
) -> ReplicaPrice:
    """The price of one replica of the unit and where it comes from.

    Raises InputError when neither the fleet, the row nor the offering states a price.
    """
    packed = packing(unit, instance)
    priced = _instance_price(unit, row, offering, packed)
    if priced is None:
        raise InputError(
            f"unit {unit.name!r} has no price",
            where=f"spec.units.{unit.name}",
            mend=f"give its price, e.g. price: $1.006/h, or price_usd_per_h in the measurements "
            f"(the catalogue has none for {unit.instance_type})",
        )
    usd_per_h, source = priced
    return ReplicaPrice(packed.replica_usd_per_h(usd_per_h), packed, f"{source}{_shared(unit, instance, packed)}")


def instance_price(
    unit: DeploymentUnit, row: Measurement | None, offering: Offering | None, instance: InstanceType
) -> float | None:
    """US dollars per hour of one instance; None when neither the fleet, the row nor the offering states a price."""
    priced = _instance_price(unit, row, offering, packing(unit, instance))
    return None if priced is None else priced[0]


def priced_rows(
    fleet: InferenceFleet,
    rows: Sequence[Measurement],
    offerings: Mapping[str, Offering],
    hardware: Mapping[str, InstanceType],
) -> tuple[Measurement, ...]:
    """The rows of the fleet's units, each with the price of the instances that hold its replicas.

    `offerings` and `hardware` are keyed by unit name. A row keeps None where no price is known.
    """
    units = {unit.name: unit for unit in fleet.spec.units}
    return tuple(
        _with_price(row, units[row.unit], offerings.get(row.unit), hardware.get(row.unit))
        for row in rows
        if row.unit in units
    )


def _with_price(
    row: Measurement, unit: DeploymentUnit, offering: Offering | None, instance: InstanceType | None
) -> Measurement:
    packed = packing(unit, instance)
    priced = _instance_price(unit, row, offering, packed)
    return row if priced is None else replace(row, price_usd_per_h=priced[0] * packed.instances(row.replicas or 1))


def _instance_price(
    unit: DeploymentUnit, row: Measurement | None, offering: Offering | None, packed: Packing
) -> tuple[float, str] | None:
    if unit.price_usd_per_h is not None:
        return unit.price_usd_per_h, "price of the fleet document"
    if row is not None and row.price_usd_per_h is not None:
        return row.price_usd_per_h / packed.instances(row.replicas or 1), f"line {row.row} of the measurements"
    if offering is not None:
        return offering.price_usd_per_h, catalog.citation(offering)
    return None


def _shared(unit: DeploymentUnit, instance: InstanceType | None, packed: Packing) -> str:
    if instance is None:
        return f"; {unit.instance_type} is not in the catalogue, so one replica per instance is assumed"
    there = packed.instances_per_replica * instance.devices
    wasted = there - packed.replicas_per_instance * unit.devices_per_replica
    waste = f", {wasted} of {'their' if packed.spans else 'its'} {there} devices unused" if wasted else ""
    if packed.spans:
        return f"; {packed.instances_per_replica} {instance.name} to a replica{waste}"
    several = packed.replicas_per_instance > 1
    return f"; {packed.replicas_per_instance} replicas share one {instance.name}{waste}" if several or wasted else ""
