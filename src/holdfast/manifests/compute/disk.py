"""A node's root disk: images, logs, and what replicas write where there is no instance store."""

from __future__ import annotations

import math

from holdfast.manifests.compute import nodes
from holdfast.manifests.manifest import Object
from holdfast.manifests.placement import Placement

_IMAGES_GIB = 100
"""Two generations of an image with CUDA or Neuron, tens of GiB each unpacked, with logs and the system: an estimate."""

_SYSTEM_GIB = 50
"""The system alone, where images and pods live on the instance store: an estimate."""

_FAST = {"throughput": 1000, "iops": 16000}
"""MiB/s and IOPS of a gp3 disk for parallel image pulls (github.com/awslabs/amazon-eks-ami, nodeadm/doc/examples.md,
"Enabling fast image pull": 600 MiB/s at least, more up to 1000 MiB/s and 16,000 IOPS)."""

_FAST_PULL_VCPUS = 8
"""From here on parallel pulls are recommended: 2xlarge and larger (same page); they cost CPU and memory."""


def gib(placement: Placement) -> int:
    """Size of a root disk that holds everything, GiB.

    Weights are at most what the node's devices hold, so that disk is counted by their memory: once for the weights,
    on Neuron once more for the compiled model, which has them cut into shards. Rounded up to 100 GiB.
    """
    devices_gib = placement.instance.devices * placement.accelerator.memory_gib
    copies = 1 if nodes.is_nvidia(placement) else 2
    return 100 * math.ceil((_IMAGES_GIB + copies * devices_gib) / 100)


def root_volume(placement: Placement) -> Object:
    """The root disk as Karpenter's EC2NodeClass has it; a plain one where instanceStorePolicy moves images off it."""
    if placement.instance.local_nvme_gb is not None:
        return {"volumeType": "gp3", "volumeSize": f"{_SYSTEM_GIB}Gi", "encrypted": True}
    return {"volumeType": "gp3", "volumeSize": f"{gib(placement)}Gi", "encrypted": True} | _FAST


def ephemeral_storage(placement: Placement) -> Object:
    """The data disk as Auto Mode's NodeClass has it, which encrypts it always."""
    return {"size": f"{gib(placement)}Gi"} | _FAST


def pulls_in_parallel(placement: Placement) -> bool:
    """Whether images are pulled and unpacked in parallel (SOCI's snapshotter), for which disks here are fast enough."""
    return placement.instance.vcpus >= _FAST_PULL_VCPUS
