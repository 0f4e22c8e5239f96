"""What memory and compute need to know of a model."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Dtype(enum.Enum):
    """How a number is stored; the value is the name that engines use."""

    FP32 = "float32"
    BF16 = "bfloat16"
    FP16 = "float16"
    FP8 = "fp8"
    INT8 = "int8"
    INT4 = "int4"
    MXFP4 = "mxfp4"

    @property
    def bytes(self) -> float:
        """Bytes of one number and its part of its block's scale (mxfp4: 8 bits for 32 numbers; int4: 16 for 128)."""
        return _BYTES[self]


_BYTES = {
    Dtype.FP32: 4.0,
    Dtype.BF16: 2.0,
    Dtype.FP16: 2.0,
    Dtype.FP8: 1.0,
    Dtype.INT8: 1.0,
    Dtype.INT4: 0.5 + 2 / 128,
    Dtype.MXFP4: 0.5 + 1 / 32,
}


@dataclass(frozen=True)
class ModelArchitecture:
    """A decoder that makes text, as its `config.json` describes it; figures are of the whole model.

    name:              Hugging Face id, or the folder that the configuration was read from.
    parameters:        all weights. active_parameters: those that one token passes through (a mixture has fewer).
    expert_parameters: of all weights, those of experts that a token may or may not pass through; 0 in a dense model.
    layers, hidden_size, vocabulary_size: of the decoder.
    heads, kv_heads:   of attention per layer; both divide by the tensor-parallel degree, or kv_heads are replicated.
    head_size:         numbers per head.
    kv_numbers:        numbers that one token leaves in the KV cache per layer: 2 x kv_heads x head_size; of multi-head
                       latent attention the latent and its rotary part, which no tensor parallelism divides.
    latent_kv:         whether it is such a latent.
    window_tokens:     tokens that a layer with sliding-window attention looks back; None where there is none.
    window_layers:     how many of the layers have one.
    experts, active_experts: routed experts per layer, and those that a token passes through; 0 in a dense model.
    weight_dtype, kv_dtype: how weights and KV cache are stored.
    max_length:        tokens of prompt and answer together.
    source:            where this comes from: path, or model card and date.
    """

    name: str
    parameters: float
    active_parameters: float
    expert_parameters: float
    layers: int
    hidden_size: int
    vocabulary_size: int
    heads: int
    kv_heads: int
    head_size: int
    kv_numbers: int
    latent_kv: bool
    window_tokens: int | None
    window_layers: int
    experts: int
    active_experts: int
    weight_dtype: Dtype
    kv_dtype: Dtype
    max_length: int
    source: str

    @property
    def weight_bytes(self) -> float:
        """Bytes of all weights. Where experts alone are quantised the other weights are 2 bytes each (mxfp4)."""
        if self.weight_dtype is Dtype.MXFP4:
            dense = self.parameters - self.expert_parameters
            return dense * Dtype.BF16.bytes + self.expert_parameters * self.weight_dtype.bytes
        return self.parameters * self.weight_dtype.bytes

    def kv_bytes(self, tokens: float) -> float:
        """Bytes of KV cache of one sequence of so many tokens, over all layers."""
        kept = min(tokens, self.window_tokens) if self.window_tokens is not None else tokens
        whole = (self.layers - self.window_layers) * tokens + self.window_layers * kept
        return whole * self.kv_numbers * self.kv_dtype.bytes


@dataclass(frozen=True)
class FixedWork:
    """A model whose request is the same work whatever is asked: an image of so many denoising steps.

    parameters: all weights. flops: floating-point operations of one request (a multiply-add counts as two).
    steps:      how often the weights are read for one request.
    """

    name: str
    parameters: float
    flops: float
    steps: int
    weight_dtype: Dtype
    source: str

    @property
    def weight_bytes(self) -> float:
        return self.parameters * self.weight_dtype.bytes
