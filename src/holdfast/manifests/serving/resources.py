"""What one pod asks of its node: devices, CPU, memory and disk."""

from __future__ import annotations

import math

from holdfast.manifests.manifest import Object
from holdfast.manifests.placement import Placement
from holdfast.manifests.serving import claims, fabric, model_files

_POD_SHARE = 0.8
"""Share of a node's allocatable CPU and memory for replicas; the rest is for daemon sets (CNI, device plugin,
exporters) and a routing proxy, whose requests only the cluster knows."""

_FILES_PER_WEIGHTS = 1.25
_SCRATCH_MIB = 10 * 1024
"""Assumptions: a quarter on top of the weights for tokenizer and compiled artifacts, 10 GiB for compile caches and
logs. Where an instance has NVMe disks, the node counts these (instanceStorePolicy RAID0)."""


def cpu_millicores(placement: Placement) -> int:
    """CPU of one pod: its devices' share of the node."""
    instance = placement.instance
    return int(_share(placement) * (instance.allocatable_cpu or instance.vcpus) * 1000)


def memory_mib(placement: Placement) -> int:
    """Main memory of one pod: its devices' share of the node, MiB."""
    instance = placement.instance
    return int(_share(placement) * (instance.allocatable_memory_gib or instance.memory_gib) * 1024)


def requirements(placement: Placement) -> Object:
    """Requests and limits. Memory is not overcommitted; CPU may burst, as throttling would show up as latency."""
    devices = fabric.resources(placement)
    if not placement.unit.dra:
        devices[placement.accelerator.resource_name] = str(placement.devices_per_pod)
    memory = {"memory": f"{memory_mib(placement)}Mi"}
    claimed = {"claims": [{"name": claims.NAME}]} if placement.unit.dra else {}
    return claimed | {
        "requests": devices | memory | {"cpu": f"{cpu_millicores(placement)}m"} | disk(placement),
        "limits": devices | memory,
    }


def of_download(placement: Placement) -> Object:
    """CPU and memory of the init container: the server's own, which are not in use yet and so cost nothing."""
    memory = {"memory": f"{memory_mib(placement)}Mi"}
    return {"requests": memory | {"cpu": f"{cpu_millicores(placement)}m"}, "limits": memory}


def disk(placement: Placement) -> dict[str, str]:
    """Disk for the model's files, so that a node without room for them is not chosen; none if unknown."""
    weights = model_files.weight_bytes(placement)
    if weights is None:
        return {}
    return {"ephemeral-storage": f"{math.ceil(weights * _FILES_PER_WEIGHTS / 2**20) + _SCRATCH_MIB}Mi"}


def _share(placement: Placement) -> float:
    return _POD_SHARE * placement.devices_per_pod / placement.instance.resource_count
