"""What a serving engine takes of a device's memory besides weights and KV cache, with its settings as shipped."""

from __future__ import annotations

from dataclasses import dataclass, replace

from holdfast.model.hardware import Accelerator


@dataclass(frozen=True)
class Engine:
    """One engine on one kind of device.

    share:          of the device's memory, what the engine uses altogether.
    batched_tokens: most tokens in one forward pass; None where a whole sequence is one pass.
    max_sequences:  most sequences in a batch, for whose logits room is kept.
    logits_bytes:   bytes per sequence and word of the vocabulary while tokens are drawn.
    own_gib:        what the engine holds on every rank; link_gib: more of it where ranks talk to each other.
    source:         where these figures come from.
    """

    share: float
    batched_tokens: int | None
    max_sequences: int
    logits_bytes: float
    own_gib: float
    link_gib: float
    source: str


_LOGITS_BYTES = 2 + 4 + 4 + 8
"""As computed, as float32, sorted for top-p, and where they stood (int64)."""

VLLM = Engine(
    share=0.92,
    batched_tokens=2048,
    max_sequences=256,
    logits_bytes=_LOGITS_BYTES,
    own_gib=0.6,
    link_gib=0.2,
    source="vLLM, mid 2026: gpu_memory_utilization 0.92 (vllm/config/cache.py), in which CUDA graphs are counted since "
    "0.21; tokens and sequences of its server (EngineArgs.get_batch_defaults); its own 0.1 GiB outside of torch and "
    "0.5 of graphs, 0.2 for NCCL: from start-up logs in its issues 12330, 13061, 15815 and 52872",
)
VLLM_LARGE = replace(VLLM, batched_tokens=8192, max_sequences=1024)
NEURON = Engine(
    share=1.0,
    batched_tokens=None,
    max_sequences=32,
    logits_bytes=_LOGITS_BYTES,
    own_gib=1.0,
    link_gib=0.0,
    source="an estimate: the runtime counts code (96 MB of micro-code, and the programs), scratchpad, DMA rings and "
    "collectives, and gives a figure for the first alone (Neuron SDK 2.33, device-memory.rst)",
)


def engine(device: Accelerator) -> Engine:
    """The engine that serves on the device, as shipped: vLLM on GPUs, NxD Inference on Neuron.

    vLLM takes more tokens and sequences at a time on devices of 70 GiB and more, other than the A100.
    """
    if device.vendor == "aws":
        return NEURON
    return VLLM_LARGE if device.memory_gib >= 70 and not device.name.startswith("a100") else VLLM
