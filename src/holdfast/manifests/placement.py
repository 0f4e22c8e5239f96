"""One pool of a plan and the hardware that its replicas run on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from holdfast.manifests import names
from holdfast.manifests.manifest import BASE
from holdfast.model.errors import InputError
from holdfast.model.fleet import DeploymentUnit, InferenceFleet
from holdfast.model.hardware import Accelerator, InstanceType
from holdfast.model.plan import Plan, PoolPlan


@dataclass(frozen=True)
class Placement:
    """A pool, its unit, and the instance type and accelerator of one node.

    Raises InputError when the hardware is not the unit's, or one replica needs more devices than a node has.
    """

    fleet: InferenceFleet
    unit: DeploymentUnit
    pool: PoolPlan
    instance: InstanceType
    accelerator: Accelerator

    def __post_init__(self) -> None:
        if self.instance.name != self.unit.instance_type:
            raise InputError(
                f"unit {self.unit.name} runs on {self.unit.instance_type}, but {self.instance.name} was given for it"
            )
        if self.replicas_per_node < 1:
            raise self._too_large()

    def _too_large(self) -> InputError:
        asked, there = self.unit.devices_per_replica, self.instance.resource_count
        cores = self.accelerator.cores_per_device
        mend = "choose a larger instanceType; a replica over several nodes is not rendered yet"
        if cores > 1 and self.unit.devices is None:
            mend = f"one device has {cores} cores: give `devices:` in the unit, the devices of one replica"
        return InputError(
            f"one replica of unit {self.unit.name} needs {asked} devices, and {self.instance.name} has {there}",
            mend=mend,
        )

    @property
    def name(self) -> str:
        """The name of the pool's objects in the fleet's namespace."""
        return names.label(self.fleet.metadata.name, self.unit.name)

    @property
    def node_pool(self) -> str:
        """The name of the pool's objects that are cluster-wide, and so carry the namespace."""
        return names.label(self.fleet.metadata.namespace, self.fleet.metadata.name, self.unit.name)

    @property
    def folder(self) -> str:
        return f"{BASE}/pools/{self.unit.name}"

    @property
    def replicas_per_node(self) -> int:
        return self.instance.resource_count // self.unit.devices_per_replica

    @property
    def most_nodes(self) -> int:
        """Nodes that the largest number of replicas needs."""
        return self.nodes_for(self.pool.autoscaling.max_replicas)

    def nodes_for(self, replicas: int) -> int:
        """Nodes that so many replicas need."""
        return math.ceil(replicas / self.replicas_per_node)


def placements(plan: Plan, hardware: Mapping[str, tuple[InstanceType, Accelerator]]) -> tuple[Placement, ...]:
    """The plan's pools with their hardware, by unit name. Raises InputError where a pool has no unit or hardware."""
    return tuple(_placement(plan, pool, hardware) for pool in sorted(plan.pools, key=lambda pool: pool.unit))


def _placement(plan: Plan, pool: PoolPlan, hardware: Mapping[str, tuple[InstanceType, Accelerator]]) -> Placement:
    units = {unit.name: unit for unit in plan.fleet.spec.units}
    if pool.unit not in units:
        raise InputError(f"the plan has a pool {pool.unit} that its fleet does not declare", mend="plan anew")
    if pool.unit not in hardware:
        raise InputError(f"no instance type and accelerator were given for unit {pool.unit}")
    instance, accelerator = hardware[pool.unit]
    return Placement(plan.fleet, units[pool.unit], pool, instance, accelerator)
