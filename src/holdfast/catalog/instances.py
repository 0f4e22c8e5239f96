"""The instance types of the catalogue."""

from __future__ import annotations

import functools

from holdfast.catalog import devices, lookup, rows
from holdfast.model.hardware import InstanceType


@functools.cache
def _all() -> tuple[InstanceType, ...]:
    return tuple(_instance_type(row) for row in rows.read("instances.csv"))


def instance_types(accelerator: str | None = None) -> tuple[InstanceType, ...]:
    """The instance types, or those with the accelerator of that name. Raises InputError if it is unknown."""
    if accelerator is None:
        return _all()
    name = devices.accelerator(accelerator).name
    return tuple(kind for kind in _all() if kind.accelerator == name)


def instance_type(name: str) -> InstanceType:
    """The instance type of that name, e.g. `g5.xlarge`. Raises InputError with the nearest names."""
    return lookup.find("instance type", name, {kind.name: kind for kind in _all()})


def _instance_type(row: dict[str, str]) -> InstanceType:
    return InstanceType(
        name=row["name"],
        family=row["family"],
        accelerator=row["accelerator"],
        devices=int(row["devices"]),
        vcpus=int(row["vcpus"]),
        memory_gib=float(row["memory_gib"]),
        network_gbps=rows.number(row["network_gbps"]),
        allocatable_cpu=rows.number(row["allocatable_cpu"]),
        allocatable_memory_gib=rows.number(row["allocatable_memory_gib"]),
        resource_name=row["resource_name"],
        resource_count=int(row["resource_count"]),
        local_nvme_gb=rows.number(row["local_nvme_gb"]),
        efa_interfaces=int(row["efa_interfaces"]),
    )
