"""What of a model fits on a device: weights, KV cache, activations, and what the engine holds.

Everything is per rank of tensor parallelism (a GPU, a logical NeuronCore), of the pipeline stage that holds most.
With t ranks per stage and p stages, of L layers:

    weights      = layers ceil(L/p)/L of (divided / t + replicated), and a table of embeddings / t
    KV cache     = kv_bytes(tokens) x ceil(L/p)/L x max(1/t, 1/kv_heads) per sequence; of a latent x 1
    activations  = the wider of one forward pass and of drawing a token for every sequence of the batch
    sequences    = (share x memory - weights - activations - overhead) // KV cache per sequence
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.model.architecture import Dtype, FixedWork, ModelArchitecture
from holdfast.model.errors import InputError
from holdfast.model.hardware import Accelerator
from holdfast.performance import engines
from holdfast.performance.engines import Engine

_GIB = 2**30
_COMPUTED = Dtype.BF16.bytes
"""Activations are of 2 bytes, however the weights are stored."""


@dataclass(frozen=True)
class Fit:
    """What one rank holds, in GiB.

    tensor_parallel, pipeline_parallel: ranks per stage, and stages; their product is the ranks of one replica.
    kv_gib_per_sequence: KV cache of one sequence of the length asked for.
    memory_gib:  memory of the rank's device, or its share of one; the engine uses a share of it.
    sequences:   most sequences of that length in a batch at once, limited by memory alone; 0 = does not fit.
    why:         the arithmetic, or what is in the way, as a sentence.
    """

    tensor_parallel: int
    pipeline_parallel: int
    weights_gib: float
    kv_gib_per_sequence: float
    activations_gib: float
    overhead_gib: float
    memory_gib: float
    sequences: int
    why: str

    @property
    def fits(self) -> bool:
        return self.sequences > 0

    @property
    def ranks(self) -> int:
        return self.tensor_parallel * self.pipeline_parallel


def fit(
    model: ModelArchitecture | FixedWork,
    device: Accelerator,
    *,
    tensor_parallel: int,
    pipeline_parallel: int = 1,
    sequence_tokens: int,
    engine: Engine | None = None,
) -> Fit:
    """What every rank of one replica holds, and how many sequences of `sequence_tokens` it has room for.

    A sequence is prompt and answer together. A model of fixed work has no sequences: there its `sequences` are requests
    in a batch, and `sequence_tokens` says nothing. On Neuron a rank is a logical core. `engine` is what the device is
    served with unless another is given. Raises InputError for a tensor parallelism that the model cannot be divided by.
    """
    check(model, tensor_parallel, pipeline_parallel)
    if sequence_tokens < 1:
        raise InputError(f"a sequence of {sequence_tokens} tokens is none", mend="give 1 token or more")
    used = engine or engines.engine(device)
    memory_gib = device.memory_gib / device.ranks_per_device
    overhead_gib = used.own_gib + (used.link_gib if tensor_parallel * pipeline_parallel > 1 else 0.0)
    if isinstance(model, FixedWork):
        weights_gib, kv_gib, activations_gib = model.weight_bytes / _GIB, model.activation_bytes / _GIB, 0.0
    else:
        weights_gib = _weight_bytes(model, tensor_parallel, pipeline_parallel) / _GIB
        kv_gib = _kv_bytes(model, tensor_parallel, pipeline_parallel, sequence_tokens) / _GIB
        activations_gib = _activation_bytes(model, used, tensor_parallel, sequence_tokens) / _GIB
    room_gib = used.share * memory_gib - weights_gib - activations_gib - overhead_gib
    sequences = max(0, math.floor(room_gib / kv_gib))
    why = (
        f"{memory_gib:.1f} GiB x {used.share:g} - weights {weights_gib:.1f} - activations {activations_gib:.1f} - "
        f"engine {overhead_gib:.1f} = {room_gib:.1f} GiB, {sequences:,} x {kv_gib:.3g} GiB"
    )
    if isinstance(model, ModelArchitecture) and sequence_tokens > model.max_length:
        sequences = 0
        why = f"{model.name} takes {model.max_length:,} tokens of prompt and answer, not {sequence_tokens:,}"
    return Fit(
        tensor_parallel=tensor_parallel,
        pipeline_parallel=pipeline_parallel,
        weights_gib=weights_gib,
        kv_gib_per_sequence=kv_gib,
        activations_gib=activations_gib,
        overhead_gib=overhead_gib,
        memory_gib=memory_gib,
        sequences=sequences,
        why=why,
    )


def smallest(
    model: ModelArchitecture | FixedWork,
    device: Accelerator,
    *,
    sequence_tokens: int,
    sequences: int,
    most_devices: int,
    engine: Engine | None = None,
) -> Fit | None:
    """The fit with the fewest ranks that has room for so many sequences, or None where no fit has.

    Ranks are powers of two that the model can be divided by, up to all that `most_devices` carry. Of equally many,
    tensor parallelism goes before pipeline parallelism, which is slower for one request. Raises InputError for numbers
    that are not positive.
    """
    if sequences < 1 or most_devices < 1:
        raise InputError(
            f"{sequences} sequences on {most_devices} devices is no question", mend="give 1 or more of each"
        )
    for tensor, pipeline in _divisions(model, most_devices * device.ranks_per_device):
        found = fit(
            model,
            device,
            tensor_parallel=tensor,
            pipeline_parallel=pipeline,
            sequence_tokens=sequence_tokens,
            engine=engine,
        )
        if found.sequences >= sequences:
            return found
    return None


def check(model: ModelArchitecture | FixedWork, tensor_parallel: int, pipeline_parallel: int = 1) -> None:
    """Raises InputError unless the model can be divided by so much tensor and pipeline parallelism."""
    if tensor_parallel < 1 or pipeline_parallel < 1:
        raise InputError(
            f"tensor parallelism {tensor_parallel} and pipeline parallelism {pipeline_parallel} cannot be",
            mend="the least degree of parallelism is 1",
        )
    if isinstance(model, FixedWork):
        if tensor_parallel * pipeline_parallel > 1:
            raise InputError(f"{model.name} is served whole on one device", mend="give a parallelism of 1")
        return
    if not _divides(model, tensor_parallel):
        given = [str(ranks) for ranks in range(1, model.heads + 1) if _divides(model, ranks)]
        raise InputError(
            f"tensor parallelism {tensor_parallel} does not divide the {model.heads} attention heads of {model.name}"
            + ("" if model.latent_kv else f" and its {model.kv_heads} KV heads, or repeat them evenly"),
            mend=f"give one of {', '.join(given)}",
        )
    if pipeline_parallel > model.layers:
        raise InputError(
            f"pipeline parallelism {pipeline_parallel} is more than the {model.layers} layers of {model.name}",
            mend="give less",
        )


def _divides(model: ModelArchitecture, ranks: int) -> bool:
    """Every rank has as many heads as any other, and KV heads of its own or one that as many other ranks repeat."""
    if model.heads % ranks:
        return False
    return model.latent_kv or model.kv_heads % ranks == 0 or ranks % model.kv_heads == 0


def _divisions(model: ModelArchitecture | FixedWork, most_ranks: int) -> Iterator[tuple[int, int]]:
    if isinstance(model, FixedWork):
        yield 1, 1
        return
    ranks = 1
    while ranks <= most_ranks:
        pipeline = 1
        while pipeline <= min(ranks, model.layers):
            if _divides(model, ranks // pipeline):
                yield ranks // pipeline, pipeline
            pipeline *= 2
        ranks *= 2


def _weight_bytes(model: ModelArchitecture, tensor: int, pipeline: int) -> float:
    """Of the stage that holds most: as many layers as any, all with experts if it can be, and an embedding table."""
    stage = math.ceil(model.layers / pipeline)
    embeddings = model.embedding_parameters * _embedding_bytes(model)
    experts = model.expert_parameters * model.weight_dtype.bytes
    rest = model.weight_bytes - embeddings - experts - model.replicated_bytes
    with_experts = min(stage, model.expert_layers) / model.expert_layers if model.expert_layers else 0.0
    tables = embeddings if pipeline == 1 else model.vocabulary_size * model.hidden_size * _embedding_bytes(model)
    share = stage / model.layers
    return (tables + experts * with_experts + rest * share) / tensor + model.replicated_bytes * share


def _embedding_bytes(model: ModelArchitecture) -> float:
    return max(model.weight_dtype.bytes, _COMPUTED)


def _kv_bytes(model: ModelArchitecture, tensor: int, pipeline: int, tokens: int) -> float:
    split = 1 if model.latent_kv else min(tensor, model.kv_heads)
    return model.kv_bytes(tokens) * math.ceil(model.layers / pipeline) / model.layers / split


def _activation_bytes(model: ModelArchitecture, engine: Engine, tensor: int, sequence_tokens: int) -> float:
    """The wider of two moments.

    Inside a feed-forward a token has its residual and its input (hidden_size each, whole on every rank), and what lies
    between (gate, up and their product: 3 x intermediate_size, divided); each of its experts then gives hidden_size.
    While tokens are drawn every sequence has its logits over the vocabulary, whole on every rank.
    """
    tokens = engine.batched_tokens or sequence_tokens
    outputs = max(1, model.active_experts)
    per_token = (2 + outputs) * model.hidden_size + 3 * model.intermediate_size / tensor
    drawing = engine.max_sequences * model.vocabulary_size * engine.logits_bytes
    return max(tokens * per_token * _COMPUTED, drawing)
