"""What one replica of a unit costs: instances are bought whole, replicas share them.

The instance price is taken from the first that states it: the fleet document, the measurement row, the
catalogue's offering. A row that was measured with several replicas states the price of the instances that
hold all of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from holdfast import catalog
from holdfast.model.errors import InputError
from holdfast.model.fleet import DeploymentUnit, InferenceFleet
from holdfast.model.hardware import InstanceType, Offering
from holdfast.model.measurements import Measurement


@dataclass(frozen=True)
class ReplicaPrice:
    """The price of one replica in US dollars per hour: instance price / replicas per instance."""

    usd_per_h: float
    replicas_per_instance: int
    source: str


def replicas_per_instance(unit: DeploymentUnit, instance: InstanceType | None) -> int:
    """Devices of the instance // devices of a replica; 1 where the instance type is not known.

    Raises InputError when not even one replica fits.
    """
    if instance is None:
        return 1
    fitting = instance.devices // unit.devices_per_replica
    if fitting < 1:
        raise InputError(
            f"one replica of unit {unit.name!r} needs {unit.devices_per_replica} devices "
            f"and {instance.name} has {instance.devices}",
            where=f"spec.units.{unit.name}",
            mend="take a larger instance type, or lower tensorParallel, pipelineParallel or devices",
        )
    return fitting


def replica_price(
    unit: DeploymentUnit, row: Measurement | None, offering: Offering | None, instance: InstanceType | None
) -> ReplicaPrice:
    """The price of one replica of the unit and where it comes from.

    Raises InputError when neither the fleet, the row nor the offering states a price.
    """
    fitting = replicas_per_instance(unit, instance)
    priced = _instance_price(unit, row, offering, fitting)
    if priced is None:
        raise InputError(
            f"unit {unit.name!r} has no price",
            where=f"spec.units.{unit.name}",
            mend=f"give its price, e.g. price: $1.006/h, or price_usd_per_h in the measurements "
            f"(the catalogue has none for {unit.instance_type})",
        )
    usd_per_h, source = priced
    return ReplicaPrice(usd_per_h / fitting, fitting, f"{source}{_shared(unit, instance, fitting)}")


def instance_price(
    unit: DeploymentUnit, row: Measurement | None, offering: Offering | None, instance: InstanceType
) -> float | None:
    """US dollars per hour of one instance; None when neither the fleet, the row nor the offering states a price."""
    priced = _instance_price(unit, row, offering, replicas_per_instance(unit, instance))
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
    fitting = replicas_per_instance(unit, instance)
    priced = _instance_price(unit, row, offering, fitting)
    return row if priced is None else replace(row, price_usd_per_h=priced[0] * _instances(row, fitting))


def _instance_price(
    unit: DeploymentUnit, row: Measurement | None, offering: Offering | None, fitting: int
) -> tuple[float, str] | None:
    if unit.price_usd_per_h is not None:
        return unit.price_usd_per_h, "price of the fleet document"
    if row is not None and row.price_usd_per_h is not None:
        return row.price_usd_per_h / _instances(row, fitting), f"line {row.row} of the measurements"
    if offering is not None:
        return offering.price_usd_per_h, catalog.citation(offering)
    return None


def _instances(row: Measurement, fitting: int) -> int:
    return math.ceil((row.replicas or 1) / fitting)


def _shared(unit: DeploymentUnit, instance: InstanceType | None, fitting: int) -> str:
    if instance is None:
        return f"; {unit.instance_type} is not in the catalogue, so one replica per instance is assumed"
    wasted = instance.devices - fitting * unit.devices_per_replica
    waste = f", {wasted} of its {instance.devices} devices unused" if wasted else ""
    return f"; {fitting} replicas share one {instance.name}{waste}" if fitting > 1 or wasted else ""
