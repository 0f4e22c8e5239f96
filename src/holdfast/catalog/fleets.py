"""What the catalogue knows of a fleet's units."""

from __future__ import annotations

from holdfast.catalog.devices import accelerator
from holdfast.catalog.instances import instance_type
from holdfast.catalog.prices import offerings
from holdfast.model.errors import InputError
from holdfast.model.fleet import CapacityType, InferenceFleet
from holdfast.model.hardware import Accelerator, InstanceType, Offering


def hardware_of(fleet: InferenceFleet) -> dict[str, InstanceType]:
    """The instance type of each unit, by unit name.

    Raises InputError for one that is not known, or that does not carry the unit's accelerator.
    """
    found = {}
    for unit in fleet.spec.units:
        instance, wanted = instance_type(unit.instance_type), accelerator(unit.accelerator).name
        if instance.accelerator != wanted:
            raise InputError(
                f"unit {unit.name!r} wants {wanted} and {instance.name} carries {instance.accelerator}",
                where=f"spec.units.{unit.name}",
                mend="mend accelerator or instanceType",
            )
        found[unit.name] = instance
    return found


def equipment_of(fleet: InferenceFleet) -> dict[str, tuple[InstanceType, Accelerator]]:
    """The instance type of each unit and its accelerator, by unit name. Raises InputError as `hardware_of` does."""
    return {name: (instance, accelerator(instance.accelerator)) for name, instance in hardware_of(fleet).items()}


def offerings_of(fleet: InferenceFleet) -> dict[str, Offering]:
    """The offering of each unit in the fleet's region, by unit name; a unit without a known price is left out."""
    known = {(o.instance_type, o.capacity_type): o for o in offerings(region=fleet.spec.region)}
    keys = {unit.name: (unit.instance_type, unit.capacity_type) for unit in fleet.spec.units}
    return {name: known[key] for name, key in keys.items() if key in known}


def offerings_by_way(fleet: InferenceFleet) -> dict[str, dict[CapacityType, Offering]]:
    """The offerings of each unit in the fleet's region, by unit name and capacity type; without a known price, none."""
    known = {(o.instance_type, o.capacity_type): o for o in offerings(region=fleet.spec.region)}
    return {
        unit.name: {way: known[unit.instance_type, way] for way in unit.ways if (unit.instance_type, way) in known}
        for unit in fleet.spec.units
    }
