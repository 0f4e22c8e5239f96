"""The accelerators of the catalogue."""

from __future__ import annotations

import functools

from holdfast.catalog import lookup, rows
from holdfast.model.hardware import Accelerator


@functools.cache
def accelerators() -> tuple[Accelerator, ...]:
    """Every accelerator, in the order of `data/accelerators.csv`."""
    return tuple(_accelerator(row) for row in rows.read("accelerators.csv"))


def accelerator(name: str) -> Accelerator:
    """The accelerator of that name, whatever its case: `a10g`, `L4`, `inferentia2`.

    The A100 comes with 40 or 80 GB and is `a100-40gb` or `a100-80gb`. Raises InputError with the nearest names.
    """
    return lookup.find("accelerator", name, {device.name: device for device in accelerators()})


def _accelerator(row: dict[str, str]) -> Accelerator:
    return Accelerator(
        name=row["name"],
        vendor=row["vendor"],
        memory_gib=float(row["memory_gib"]),
        memory_gb_per_s=rows.number(row["memory_gb_per_s"]),
        bf16_dense_tflops=rows.number(row["bf16_dense_tflops"]),
        cores_per_device=int(row["cores_per_device"]),
        cores_per_rank=int(row["cores_per_rank"]),
        link_gb_per_s=rows.number(row["link_gb_per_s"]),
        resource_name=row["resource_name"],
        karpenter_label=row["karpenter_label"],
        families=tuple(row["families"].split()),
        source=row["source"],
        confidence=row["confidence"],
    )
