"""Accelerators and the instance types that carry them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from holdfast.model.fleet import CapacityType


@dataclass(frozen=True)
class Accelerator:
    """One accelerator device kind, e.g. A10G or Inferentia2. Figures are per device.

    name:              catalogue key, lower case: `a10g`, `inferentia2`.
    memory_gib:        device memory, GiB.
    memory_gb_per_s:   memory bandwidth, 1e9 bytes/s; None where no source states it.
    bf16_dense_tflops: dense (not sparse) bf16 or fp16 peak, 1e12 FLOP/s; None where unsupported or unstated.
    cores_per_device:  physical NeuronCores per device; 1 for GPUs.
    cores_per_rank:    of them, what one tensor-parallel rank drives as shipped: on Neuron a logical core.
    link_gb_per_s:     device-to-device bandwidth in a node, 1e9 bytes/s per direction; None where unstated.
    resource_name:     what its device plugin advertises, e.g. `nvidia.com/gpu`.
    source, confidence: where the figures come from, and `high`, `medium` or `low`.
    """

    name: str
    vendor: str
    memory_gib: float
    memory_gb_per_s: float | None
    bf16_dense_tflops: float | None
    cores_per_device: int
    cores_per_rank: int
    link_gb_per_s: float | None
    resource_name: str
    karpenter_label: str
    families: tuple[str, ...]
    source: str
    confidence: str

    @property
    def ranks_per_device(self) -> int:
        """Tensor-parallel ranks that one device carries, each with its equal share of the device: 1 on a GPU, 2 on
        Inferentia2, 4 on Trainium2."""
        return self.cores_per_device // self.cores_per_rank

    @property
    def rank_name(self) -> str:
        """What one rank runs on: `device`, `core` or `logical core`."""
        if self.ranks_per_device == 1:
            return "device"
        return "core" if self.cores_per_rank == 1 else "logical core"


@dataclass(frozen=True)
class InstanceType:
    """An instance type and what it holds. Memory in GiB, network in Gbit/s.

    local_nvme_gb:  instance store, 1e9 bytes; None without.
    efa_interfaces: the most Elastic Fabric Adapter interfaces that it takes; 0 without.
    """

    name: str
    family: str
    accelerator: str
    devices: int
    vcpus: int
    memory_gib: float
    network_gbps: float | None
    allocatable_cpu: float | None
    allocatable_memory_gib: float | None
    resource_name: str
    resource_count: int
    local_nvme_gb: float | None = None
    efa_interfaces: int = 0

    @property
    def quota_class(self) -> str:
        """The class of EC2's vCPU quotas that it counts against: `G` (with VT), `P`, `Inf`, `Trn`, `DL` and so on.

        Quotas are one per class, on demand and as spot apart (docs.aws.amazon.com/ec2/latest/instancetypes,
        "Amazon EC2 instance type quotas"); classes are named by the letters that their families begin with.
        """
        letters = re.match(r"[a-z]*", self.family)
        name = letters[0] if letters else ""
        return {"g": "G", "gr": "G", "vt": "G", "dl": "DL"}.get(name, name.capitalize())


@dataclass(frozen=True)
class Offering:
    """An instance type in a region and capacity type at a price.

    price_usd_per_h: US dollars per instance hour.
    source, date:    where and when the price was read; `estimated` when it was derived, not read.
    """

    instance_type: str
    region: str
    capacity_type: CapacityType
    price_usd_per_h: float
    source: str
    date: str
    estimated: bool
