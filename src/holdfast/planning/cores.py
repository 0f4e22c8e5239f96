"""The devices of a server whose tensor-parallel ranks are parts of one: on Neuron a rank is a logical core."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from holdfast.model.findings import Finding, Severity
from holdfast.model.fleet import DeploymentUnit, InferenceFleet
from holdfast.model.hardware import Accelerator, InstanceType
from holdfast.planning import whatif


def with_devices(
    fleet: InferenceFleet,
    equipment: Mapping[str, tuple[InstanceType, Accelerator]],
    auto: Mapping[str, Collection[str]],
) -> tuple[InferenceFleet, tuple[Finding, ...]]:
    """The fleet with the devices of each unit that states none and takes fewer of them than ranks, and a note of each.

    auto: by unit name, what it leaves to the plan; with a TP of its own the plan settles the devices too.
    """
    units = {unit.name: unit for unit in fleet.spec.units}
    for unit in fleet.spec.units:
        devices = math.ceil(unit.devices_per_server / equipment[unit.name][1].ranks_per_device)
        if (
            unit.devices is None
            and devices < unit.devices_per_server
            and "tensorParallel" not in auto.get(unit.name, ())
        ):
            units[unit.name] = unit.model_copy(update={"devices": devices})
    settled = [unit for unit in units.values() if unit.devices != fleet.unit(unit.name).devices]
    found = tuple(_said(unit, equipment[unit.name][1]) for unit in settled)
    return whatif.with_units(fleet, tuple(units.values())), found


def _said(unit: DeploymentUnit, device: Accelerator) -> Finding:
    ranks = unit.tensor_parallel * unit.pipeline_parallel
    taken = f"{unit.devices} device{'' if unit.devices == 1 else 's'}"
    return Finding(
        file="",
        row=0,
        check="devices",
        severity=Severity.NOTE,
        found=f"no devices, {ranks} ranks",
        expected=taken,
        message=f"Unit {unit.name!r} states no devices; its {ranks} ranks take {taken} of {device.name}, "
        f"{device.ranks_per_device} ranks each.",
    )
