"""How replicas lie on instances: several on one, or one over several.

An instance that holds a whole replica may hold several. A replica that does not fit takes whole instances for itself,
and devices that are left over there are paid for and idle: a server of pipeline stages as many as it needs when none is
split and each has as many of them, a tensor-parallel group that is larger than an instance as many as it fills, and of
a disaggregated replica the servers that fit one instance share it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from holdfast.model.hardware import InstanceType
from holdfast.model.unit import VLLM, DeploymentUnit

NETWORK_GBPS = 400.0
"""Network of an instance that is made to share a replica with others: what EC2's first type for such work (p4d) has."""

_GPU = "nvidia.com/gpu"
"""Resource name of a GPU, one of which is one rank."""


@dataclass(frozen=True)
class Packing:
    """Replicas that one instance holds, and instances that one replica takes; one of the two is 1."""

    replicas_per_instance: int = 1
    instances_per_replica: int = 1

    def __post_init__(self) -> None:
        if min(self.replicas_per_instance, self.instances_per_replica) != 1:
            raise ValueError("replicas share an instance or take several, never both")

    @property
    def spans(self) -> bool:
        """Whether a replica takes several instances."""
        return self.instances_per_replica > 1

    def instances(self, replicas: int) -> int:
        """Whole instances that hold so many replicas."""
        return math.ceil(replicas / self.replicas_per_instance) * self.instances_per_replica

    def replica_usd_per_h(self, instance_usd_per_h: float) -> float:
        """US dollars per hour of one replica, where all that share its instance are used."""
        return instance_usd_per_h / self.replicas_per_instance * self.instances_per_replica


def pack(unit: DeploymentUnit, instance: InstanceType | None) -> Packing:
    """How the unit's replicas lie on its instances, if they can (see `obstacle`); one on each of an unknown type."""
    if instance is None:
        return Packing()
    servers = unit.devices_per_replica // unit.devices_per_server
    if unit.devices_per_server > instance.devices:
        each = instances_per_server(unit.devices_per_stage, unit.pipeline_parallel, instance)
        return Packing(instances_per_replica=servers * each)
    sharing = instance.devices // unit.devices_per_server
    if servers > sharing:
        return Packing(instances_per_replica=math.ceil(servers / sharing))
    return Packing(replicas_per_instance=sharing // servers)


def instances_per_server(devices_per_stage: int, stages: int, instance: InstanceType) -> int:
    """Instances that a server of so many pipeline stages takes; 1 also where one has room for several servers.

    All have the same number of stages: the ranks of a server are counted through, so many on each.
    """
    if devices_per_stage > instance.devices:
        return stages * math.ceil(devices_per_stage / instance.devices)
    room = instance.devices // devices_per_stage
    return stages // max(each for each in range(1, min(room, stages) + 1) if stages % each == 0)


def obstacle(unit: DeploymentUnit, instance: InstanceType) -> str:
    """Why no replica of the unit can be placed on such instances; empty if it can.

    A server goes over several instances by vLLM on GPUs alone: nothing else that is rendered can (manifests.serving).
    """
    devices, stages = unit.devices_per_server, unit.pipeline_parallel
    if devices <= instance.devices:
        return ""
    if unit.framework != VLLM or instance.resource_name != _GPU:
        return "a server goes over several instances by vLLM on GPUs alone"
    if devices % stages:
        return f"{devices} devices are no {stages} pipeline stages of the same size"
    return group_obstacle(unit.devices_per_stage, instance)


def group_obstacle(devices_per_stage: int, instance: InstanceType) -> str:
    """Why no pipeline whose stages have so many devices can be placed on such instances; empty if one can.

    The devices of a stage, which is a tensor-parallel group, exchange at every layer: they stay within an instance, or
    fill several that have Elastic Fabric Adapters. Stages hand over once per pass, and may do so over any network.
    """
    there = instance.devices
    if devices_per_stage <= there:
        return ""
    if devices_per_stage % there:
        return f"a tensor-parallel group of {devices_per_stage} devices fills no whole instances of {there}"
    if not instance.efa_interfaces:
        return "a tensor-parallel group goes over several instances by EFA alone, which this type lacks"
    return ""
