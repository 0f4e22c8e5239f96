"""What the catalogue knows of a fleet's units."""

from __future__ import annotations

from holdfast.catalog.devices import accelerator
from holdfast.catalog.instances import instance_type
from holdfast.catalog.prices import offerings
from holdfast.model.fleet import InferenceFleet
from holdfast.model.hardware import Accelerator, InstanceType, Offering


def hardware_of(fleet: InferenceFleet) -> dict[str, InstanceType]:
    """The instance type of each unit, by unit name. Raises InputError for one that is not known."""
    return {unit.name: instance_type(unit.instance_type) for unit in fleet.spec.units}


def devices_of(fleet: InferenceFleet) -> dict[str, Accelerator]:
    """The accelerator of each unit, by unit name. Raises InputError for one that is not known."""
    return {unit.name: accelerator(unit.accelerator) for unit in fleet.spec.units}


def offerings_of(fleet: InferenceFleet) -> dict[str, Offering]:
    """The offering of each unit in the fleet's region, by unit name; a unit without a known price is left out."""
    known = {(o.instance_type, o.capacity_type): o for o in offerings(region=fleet.spec.region)}
    keys = {unit.name: (unit.instance_type, unit.capacity_type) for unit in fleet.spec.units}
    return {name: known[key] for name, key in keys.items() if key in known}
