"""What one replica asks of its node: devices, CPU and memory."""

from __future__ import annotations

from holdfast.manifests.manifest import Object
from holdfast.manifests.placement import Placement

_POD_SHARE = 0.8
"""Share of a node's allocatable CPU and memory for replicas; the rest is for daemon sets (CNI, device plugin,
exporters), whose requests only the cluster knows."""


def cpu_millicores(placement: Placement) -> int:
    """CPU of one replica: its devices' share of the node."""
    instance = placement.instance
    return int(_share(placement) * (instance.allocatable_cpu or instance.vcpus) * 1000)


def memory_mib(placement: Placement) -> int:
    """Main memory of one replica: its devices' share of the node, MiB."""
    instance = placement.instance
    return int(_share(placement) * (instance.allocatable_memory_gib or instance.memory_gib) * 1024)


def requirements(placement: Placement) -> Object:
    """Requests and limits. Memory is not overcommitted; CPU may burst, as throttling would show up as latency."""
    devices = {placement.accelerator.resource_name: str(placement.unit.devices_per_replica)}
    memory = {"memory": f"{memory_mib(placement)}Mi"}
    return {
        "requests": devices | memory | {"cpu": f"{cpu_millicores(placement)}m"},
        "limits": devices | memory,
    }


def _share(placement: Placement) -> float:
    return _POD_SHARE * placement.unit.devices_per_replica / placement.instance.resource_count
