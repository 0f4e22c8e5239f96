"""The accelerators that the measurements were made on: the catalogue's, and some that EC2 does not have."""

from __future__ import annotations

from holdfast import catalog
from holdfast.model.hardware import Accelerator


def _other(name: str, vendor: str, gib: float, gb_per_s: float, tflops: float, link: float, source: str) -> Accelerator:
    return Accelerator(
        name=name,
        vendor=vendor,
        memory_gib=gib,
        memory_gb_per_s=gb_per_s,
        bf16_dense_tflops=tflops,
        cores_per_device=1,
        cores_per_rank=1,
        link_gb_per_s=link,
        resource_name="",
        karpenter_label="",
        families=(),
        source=source,
        confidence="medium",
    )


ACCELERATORS: dict[str, Accelerator] = {
    # 40 GB, for the rows behave so: 64 sequences of Llama-3-8B at 2 x 2048 tokens take twice as long as half of them.
    "Nvidia A100 GPU": catalog.accelerator("a100-40gb"),
    "Nvidia H100 GPU": catalog.accelerator("h100"),
    "Nvidia GH200 GPU": _other("gh200", "nvidia", 89.4, 4000, 989, 450, "NVIDIA GH200 data sheet, 96 GB HBM3"),
    "AMD MI300X GPU": _other("mi300x", "amd", 178.8, 5300, 1307.4, 448, "AMD data sheet; seven links of 64 GB/s"),
    # Both dies, for Llama-2-70B's 138 GB ran on two.
    "AMD MI250 GPU": _other("mi250", "amd", 119.2, 3276.8, 362.1, 100, "AMD data sheet; both dies"),
    "Habana Gaudi2": _other("gaudi2", "intel", 89.4, 2450, 432, 262.5, "Intel data sheet; 21 links of 100 Gbit/s"),
    "Intel Max 1550": _other("max-1550", "intel", 119.2, 3276.8, 839, 53, "Intel data sheet"),
    # The same device by another name, and by other figures: it stands by itself.
    "Intel PVC GPU": _other("pvc", "intel", 119.2, 3276.8, 839, 53, "Intel data sheet of Max 1550"),
    "SambaNova SN40L": _other("sn40l", "sambanova", 59.6, 2000, 638, 50, "SambaNova, Hot Chips 2024"),
    "a100-80gb": catalog.accelerator("a100-80gb"),
    "h100-80gb": catalog.accelerator("h100"),
}

MODELS = {"llama2-70b": "meta-llama/Llama-2-70b-hf", "bloom-176b": "bigscience/bloom"}
"""Names of models that are not those of Hugging Face."""
