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
    INT4_G32 = "int4-g32"
    MXFP4 = "mxfp4"
    NVFP4 = "nvfp4"

    @property
    def bytes(self) -> float:
        """Bytes of one number and its part of its block's scale.

        int4: a scale of 16 bits for 128 numbers, int4-g32: for 32; mxfp4: of 8 bits for 32, nvfp4: for 16.
        """
        return _BYTES[self]


_BYTES = {
    Dtype.FP32: 4.0,
    Dtype.BF16: 2.0,
    Dtype.FP16: 2.0,
    Dtype.FP8: 1.0,
    Dtype.INT8: 1.0,
    Dtype.INT4: 0.5 + 2 / 128,
    Dtype.INT4_G32: 0.5 + 2 / 32,
    Dtype.MXFP4: 0.5 + 1 / 32,
    Dtype.NVFP4: 0.5 + 1 / 16,
}


@dataclass(frozen=True)
class ModelArchitecture:
    """A decoder that makes text, as its `config.json` describes it; figures are of the whole model.

    name:              Hugging Face id, or the folder that the configuration was read from.
    parameters:        all weights. active_parameters: those that one token is multiplied with: of a mixture only the
                       experts that it passes, and no table of input embeddings, of which it reads one row.
    expert_parameters: of all weights, those of experts that a token may or may not pass through; 0 in a dense model.
    plain_parameters:  of all weights, those of 2 bytes beside a quantised `weight_dtype`: norms, embeddings, and what
                       the checkpoint leaves out of its quantisation. 0 where nothing is quantised.
    embedding_parameters: of all weights, the table of input embeddings and the output head; one table if they are tied.
    replicated_bytes:  bytes of the weights that tensor parallelism does not divide: norms, routers, the projections
                       to and from a latent.
    layers, hidden_size, vocabulary_size: of the decoder.
    intermediate_size: numbers between the two halves of the feed-forward of one token, all its experts together.
    heads, kv_heads:   of attention per layer; both divide by the tensor-parallel degree, or kv_heads are replicated.
    head_size:         numbers per head.
    kv_numbers:        numbers that one token leaves in the KV cache per layer: 2 x kv_heads x head_size; of multi-head
                       latent attention the latent and its rotary part, which no tensor parallelism divides.
    latent_kv:         whether it is such a latent.
    window_tokens:     tokens that a layer with sliding-window attention looks back; None where there is none.
    window_layers:     how many of the layers have one.
    experts, active_experts: routed experts per layer, and those that a token passes through; 0 in a dense model.
    expert_layers:     how many of the layers have experts.
    weight_dtype, kv_dtype: how weights and KV cache are stored.
    max_length:        tokens of prompt and answer together.
    source:            where this comes from: path, or model card and date.
    """

    name: str
    parameters: float
    active_parameters: float
    expert_parameters: float
    plain_parameters: float
    embedding_parameters: float
    replicated_bytes: float
    layers: int
    hidden_size: int
    intermediate_size: int
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
    expert_layers: int
    weight_dtype: Dtype
    kv_dtype: Dtype
    max_length: int
    source: str

    @property
    def weight_bytes(self) -> float:
        """Bytes of all weights."""
        return (
            self.plain_parameters * Dtype.BF16.bytes
            + (self.parameters - self.plain_parameters) * self.weight_dtype.bytes
        )

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
    activation_bytes: the most that one request holds beside the weights while it is worked on.
    """

    name: str
    parameters: float
    flops: float
    steps: int
    activation_bytes: float
    weight_dtype: Dtype
    source: str

    @property
    def weight_bytes(self) -> float:
        return self.parameters * self.weight_dtype.bytes
