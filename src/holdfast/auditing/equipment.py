"""What the catalogue knows of a row: its instance, its devices, its model."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

from holdfast import catalog
from holdfast.catalog import models
from holdfast.model.architecture import FixedWork, ModelArchitecture
from holdfast.model.fleet import CapacityType
from holdfast.model.hardware import Accelerator, InstanceType
from holdfast.model.measurements import Measurement

Models = Callable[[str], ModelArchitecture | FixedWork | None]
"""What finds the architecture of a name, None where it is not known: `known_model`."""

PRICE_TOLERANCE = 0.005
"""Relative. Two prices within it are one, printed to other digits."""


@dataclass(frozen=True)
class Equipment:
    """What stands behind one row; None where the row does not say or the catalogue does not know.

    instances: of the instance type, that the replicas need or the price pays for.
    devices_of_replica: that one replica computes with; a part of a device where ranks are cores.
    """

    instance: InstanceType | None
    accelerator: Accelerator | None
    model: ModelArchitecture | FixedWork | None
    replicas: int
    instances: int
    devices_of_replica: float | None

    @property
    def devices(self) -> float | None:
        """That all replicas compute with."""
        return None if self.devices_of_replica is None else self.devices_of_replica * self.replicas


def of(row: Measurement, model: ModelArchitecture | FixedWork | None) -> Equipment:
    """The equipment of a row that ran `model`.

    Where the row states no parallelism the replicas are taken to share all devices, which is the most they can have.
    """
    instance = known_instance(row.instance_type)
    device = known_accelerator(row.accelerator or (instance.accelerator if instance else None))
    replicas = row.replicas or 1
    of_replica = _devices_of_replica(row, device)
    instances = paid_instances(row, instance) or _needed(replicas, of_replica, instance)
    if of_replica is None and instance is not None:
        of_replica = instance.devices * instances / replicas
    return Equipment(instance, device, model, replicas, instances, of_replica)


def known_instance(name: str | None) -> InstanceType | None:
    """The instance type of that name, whatever its case."""
    return {kind.name: kind for kind in catalog.instance_types()}.get((name or "").lower())


def known_accelerator(name: str | None) -> Accelerator | None:
    """The accelerator of that name, whatever its case."""
    return {device.name: device for device in catalog.accelerators()}.get((name or "").lower())


@functools.cache
def known_model(name: str) -> ModelArchitecture | FixedWork | None:
    """The built-in architecture of that name, with or without its organisation, whatever its case.

    Never a folder: what a measurement file names is text of somebody else's.
    """
    wanted = name.strip().lower()
    for entry in models.entries():
        if wanted == entry.id.lower():
            return entry.architecture()
    short = wanted.rpartition("/")[2]
    return next((e.architecture() for e in models.entries() if e.id.lower().rpartition("/")[2] == short), None)


def paid_instances(row: Measurement, instance: InstanceType | None) -> int | None:
    """How many instances the row's price pays for, on demand in some region; None when it is no multiple of a price."""
    if instance is None or row.price_usd_per_h is None:
        return None
    most = most_instances(row, instance)
    for offer in catalog.offerings():
        if offer.instance_type == instance.name and offer.capacity_type is CapacityType.ON_DEMAND:
            times = max(1, round(row.price_usd_per_h / offer.price_usd_per_h))
            if times <= most and same_price(row.price_usd_per_h, times * offer.price_usd_per_h):
                return times
    return None


def most_instances(row: Measurement, instance: InstanceType) -> int:
    """The most instances that the row's replicas can take: one each, or more where a replica spans several."""
    replicas = row.replicas or 1
    return max(replicas, _needed(replicas, _devices_of_replica(row, known_accelerator(instance.accelerator)), instance))


def same_price(one_usd_per_h: float, other_usd_per_h: float) -> bool:
    """Whether two prices differ by no more than their printed digits."""
    return math.isclose(one_usd_per_h, other_usd_per_h, rel_tol=PRICE_TOLERANCE)


def _devices_of_replica(row: Measurement, device: Accelerator | None) -> float | None:
    if row.tensor_parallel is None or device is None:
        return None
    return row.tensor_parallel * (row.pipeline_parallel or 1) / device.ranks_per_device


def _needed(replicas: int, of_replica: float | None, instance: InstanceType | None) -> int:
    if of_replica is None or instance is None:
        return replicas
    return max(1, math.ceil(replicas * math.ceil(of_replica) / instance.devices))
