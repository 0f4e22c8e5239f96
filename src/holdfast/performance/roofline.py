"""How long one pass through a model takes, term by term.

A decode step gives every sequence of a batch one token; a prefill reads a prompt and gives the first. Both multiply
each token with the weights (2 FLOP per active parameter) and with what it attends to (4 FLOP per head, number of the
head, layer and token looked back at), read the weights once, read the KV cache of each sequence, and join the parts
of a tensor-parallel group by two all-reduces per layer, each of which moves 2 (TP - 1) / TP of its bytes over the
link. The arithmetic hides behind the reading of weights or the other way round (Williams, Waterman and Patterson,
Roofline, 2009, doi:10.1145/1498765.1498785); the rest was found to add up, so that

    time = max(compute, weights) + cache + link + overhead

Of a mixture's experts a batch reads those that it is expected to touch: with a of E active per token and tokens that
choose independently, E (1 - (1 - a / E)^tokens). Real routers have favourites and touch fewer.

A pipeline of PP stages works on PP parts of the batch at once: each part passes all the layers in one step.

Where a replica takes several instances, a stage hands over to the next through the share of their network that its
devices have. A tensor-parallel group over m instances joins its parts within each first, then across: each instance
sends and gets 2 (m - 1) / m of the bytes through all of its network, in 2 ceil(log2 m) hops. No measurement of several
instances was fitted: of the network as large a share is taken as of the link, and HOP_S for each hop.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from holdfast.model.architecture import Dtype, FixedWork, ModelArchitecture
from holdfast.model.hardware import Accelerator
from holdfast.performance import coefficients
from holdfast.performance.coefficients import Coefficients

ACTIVATION_BYTES = Dtype.BF16.bytes
"""Bytes of one number between layers: engines keep activations in 16 bits whatever the weights are."""


HOP_S = 10e-6
"""Seconds until a message between instances arrives: `p2p_latency` of ai-dynamo/aiconfigurator's systems
(src/aiconfigurator/systems, read 2026-11-21), which calls it unofficial and by observation. Not measured on EFA."""


@dataclass(frozen=True)
class Network:
    """Between the instances that one replica takes: devices and Gbit/s (per direction) of each of them."""

    devices_per_instance: int
    gbps: float


@dataclass(frozen=True)
class Terms:
    """Seconds of one pass by what they are spent on. `weights_s` and `compute_s` overlap: the longer counts."""

    compute_s: float
    weights_s: float
    cache_s: float
    link_s: float
    overhead_s: float

    @property
    def total_s(self) -> float:
        return max(self.compute_s, self.weights_s) + self.cache_s + self.link_s + self.overhead_s

    def times(self, factor: float) -> Terms:
        """So many of these passes."""
        return Terms(*(factor * value for value in self._values()))

    def plus(self, other: Terms) -> Terms:
        """One pass after the other: of each what overlaps its longer part is left out."""
        return Terms(*(mine + others for mine, others in zip(self._counted(), other._counted(), strict=True)))

    @property
    def counted(self) -> Terms:
        """The terms that add up to the total: of the two that overlap the shorter is 0."""
        return Terms(*self._counted())

    @property
    def binds(self) -> str:
        """What takes most of the time: `compute`, `memory`, `link` or `overhead`."""
        compute_s, weights_s, cache_s, link_s, overhead_s = self._counted()
        parts = {"memory": weights_s + cache_s, "compute": compute_s, "link": link_s, "overhead": overhead_s}
        return max(parts, key=lambda part: parts[part])

    def _values(self) -> tuple[float, ...]:
        return (self.compute_s, self.weights_s, self.cache_s, self.link_s, self.overhead_s)

    def _counted(self) -> tuple[float, ...]:
        hidden = self.compute_s if self.compute_s > self.weights_s else 0.0
        return (hidden, 0.0 if hidden else self.weights_s, self.cache_s, self.link_s, self.overhead_s)


@dataclass(frozen=True)
class Placement:
    """A model on devices: what one tensor-parallel rank has to do, and how fast it does it.

    A rank is a device, on Neuron a logical core of it. network: between its instances, None where all ranks are on one.
    Raises InputError where the peaks of the device are not stated.
    """

    model: ModelArchitecture
    device: Accelerator
    tensor_parallel: int
    pipeline_parallel: int
    coefficients: Coefficients
    network: Network | None = None

    def decode(self, batch: float, context_tokens: float) -> Terms:
        """One step of `batch` sequences (at least 1) that look back at `context_tokens` each, on average."""
        return self.step(batch, 0, batch * context_tokens)

    def step(self, sequences: float, prompt_tokens: float, context_tokens: float) -> Terms:
        """One step that gives `sequences` (at least 1) a token each, and reads `prompt_tokens` of prompts beside them.

        context_tokens: what all sequences together look back at. A chunk of a prompt looks back at half of itself; that
        it also looks at the chunks before it is not counted.
        """
        tokens = sequences + prompt_tokens
        context = context_tokens / sequences
        flops = tokens * 2 * self.model.active_parameters
        flops += self._attention_flops(sequences * _attended(self.model, context))
        flops += self._attention_flops(prompt_tokens * _attended(self.model, prompt_tokens / 2))
        part = max(1.0, tokens / self.pipeline_parallel) / tokens
        return self._pass(
            flops=flops * part,
            weight_bytes=read_bytes(self.model, tokens * part),
            cache_bytes=sequences * part * self.model.kv_bytes(context),
            tokens=tokens * part,
            sequences=sequences,
        )

    def prefill(self, tokens: float) -> Terms:
        """The prefill of one prompt of so many tokens, by itself."""
        return self._pass(
            flops=prefill_flops(self.model, tokens),
            weight_bytes=read_bytes(self.model, tokens),
            cache_bytes=self.model.kv_bytes(tokens),
            tokens=tokens,
            sequences=1,
        )

    def _pass(self, *, flops: float, weight_bytes: float, cache_bytes: float, tokens: float, sequences: float) -> Terms:
        rates, given, ranks = rank(self.device, self.coefficients), self.coefficients, self.tensor_parallel
        together = ranks // self._instances_per_stage
        kv_ranks = 1 if self.model.latent_kv else min(ranks, self.model.kv_heads)
        passed = tokens * self.model.hidden_size * ACTIVATION_BYTES
        all_reduces = 2 * self.model.layers if ranks > 1 else 0
        handovers = self.pipeline_parallel - 1 - self._crossings
        return Terms(
            compute_s=flops / ranks / rates.flops,
            weights_s=weight_bytes / ranks / rates.weight_bytes,
            cache_s=cache_bytes / kv_ranks / rates.cache_bytes,
            link_s=(all_reduces * 2 * (together - 1) / together + handovers) * passed / rates.link_bytes
            + (all_reduces + handovers) * given.all_reduce_s
            + self._network_s(all_reduces, passed),
            overhead_s=self.model.layers * given.layer_s
            + sequences * given.sequence_s
            + self.pipeline_parallel * given.step_s,
        )

    @property
    def _devices_per_stage(self) -> int:
        return math.ceil(self.tensor_parallel / self.device.ranks_per_device)

    @property
    def _instances_per_stage(self) -> int:
        return 1 if self.network is None else math.ceil(self._devices_per_stage / self.network.devices_per_instance)

    @property
    def _crossings(self) -> int:
        """How often a pass is handed over from one instance to another."""
        if self.network is None:
            return 0
        stages_per_instance = max(1, self.network.devices_per_instance // self._devices_per_stage)
        return math.ceil(self.pipeline_parallel / stages_per_instance) - 1

    def _network_s(self, all_reduces: int, passed: float) -> float:
        """Seconds that one pass spends between instances, where each of its tensors has `passed` bytes."""
        if self.network is None:
            return 0.0
        instances, own = self._instances_per_stage, self._devices_per_stage / self.network.devices_per_instance
        bytes_per_s = self.network.gbps / 8 * 1e9 * self.coefficients.link
        handover_s = passed / bytes_per_s / min(1.0, own) + HOP_S
        joined_s = 2 * (instances - 1) / instances * passed / bytes_per_s + 2 * math.ceil(math.log2(instances)) * HOP_S
        return self._crossings * handover_s + all_reduces * joined_s

    def _attention_flops(self, attended: float) -> float:
        # Of a latent cache each head looks at the whole latent.
        width = self.model.kv_numbers if self.model.latent_kv else self.model.head_size
        return 4 * self.model.heads * width * attended


@dataclass(frozen=True)
class Rates:
    """What one rank does in a second: FLOP, and bytes of weights, of KV cache and over the link."""

    flops: float
    weight_bytes: float
    cache_bytes: float
    link_bytes: float


def rank(device: Accelerator, given: Coefficients) -> Rates:
    """The rates of one rank under these coefficients. Raises InputError where the peaks are not stated."""
    memory_gb_per_s, tflops = coefficients.peaks(device)
    stated = device.link_gb_per_s
    link_gb_per_s = given.link_per_memory * memory_gb_per_s if stated is None else stated
    bytes_per_s = memory_gb_per_s * 1e9 / device.ranks_per_device
    return Rates(
        flops=tflops * 1e12 / device.ranks_per_device * given.compute,
        weight_bytes=bytes_per_s * given.memory,
        cache_bytes=bytes_per_s * given.cache,
        link_bytes=link_gb_per_s * 1e9 / device.ranks_per_device * given.link,
    )


def read_bytes(model: ModelArchitecture, tokens: float) -> float:
    """Bytes of weights that a pass of so many tokens reads: all but the embeddings' table and the experts not touched.

    Of the table of input embeddings a token reads one row; what `active_parameters` leaves out beside the experts is
    it.
    """
    per_parameter = model.weight_dtype.bytes
    if not model.experts:
        table = model.parameters - model.active_parameters
        untouched = 0.0
    else:
        share = model.active_experts / model.experts
        table = model.parameters - model.active_parameters - model.expert_parameters * (1 - share)
        untouched = model.expert_parameters * (1 - share) ** tokens
    return model.weight_bytes - max(0.0, table) * max(per_parameter, Dtype.BF16.bytes) - untouched * per_parameter


def prefill_flops(model: ModelArchitecture, tokens: float) -> float:
    """FLOP of the prefill of one prompt: its tokens look back at half of it, or at their window."""
    window = min(tokens, model.window_tokens) if model.window_tokens is not None else tokens
    looked_at = (model.layers - model.window_layers) * tokens**2 / 2
    looked_at += model.window_layers * (window * tokens - window**2 / 2)
    return tokens * 2 * model.active_parameters + 4 * model.heads * model.head_size * looked_at


def image(model: FixedWork, device: Accelerator, given: Coefficients, *, tensor_parallel: int = 1) -> Terms:
    """One request of fixed work: its arithmetic, or its reading of all weights in each of its steps."""
    rates = rank(device, given)
    return Terms(
        compute_s=model.flops / tensor_parallel / rates.flops,
        weights_s=model.steps * model.weight_bytes / tensor_parallel / rates.weight_bytes,
        cache_s=0.0,
        link_s=0.0,
        overhead_s=0.0,
    )


def limit_per_s(
    model: ModelArchitecture,
    device: Accelerator,
    *,
    tensor_parallel: int,
    pipeline_parallel: int = 1,
    input_tokens: float,
    output_tokens: float,
    sequences: float,
) -> float:
    """Requests per second that no engine can exceed with so many sequences at a time.

    All the arithmetic of a request at the peak, or all its reading at the peak, whichever is longer, with everything
    else hidden behind it. The weights are read once for a token of each sequence, and multiplied as fast as numbers of
    their width can be.
    """
    devices = tensor_parallel * pipeline_parallel
    peak = rank(device, coefficients.PEAKS)
    steps = output_tokens - 1
    one = Placement(model, device, 1, 1, coefficients.PEAKS).decode(1.0, mean_context(input_tokens, output_tokens))
    kv_ranks = (1 if model.latent_kv else min(tensor_parallel, model.kv_heads)) * pipeline_parallel
    arithmetic_s = prefill_flops(model, input_tokens) / peak.flops + steps * one.compute_s
    compute_s = arithmetic_s / devices / narrow_speedup(model.weight_dtype)
    reading_s = steps * (
        read_bytes(model, sequences) / sequences / peak.weight_bytes / devices + one.cache_s / kv_ranks
    )
    return 1 / max(compute_s, reading_s)


def narrow_speedup(dtype: Dtype) -> float:
    """How many times the bf16 rate no device exceeds with weights of this width: 2 with 8 bits, 4 with 4."""
    if dtype.bytes >= Dtype.BF16.bytes:
        return 1.0
    return 2.0 if dtype.bytes >= Dtype.INT8.bytes else 4.0


def mean_context(input_tokens: float, output_tokens: float) -> float:
    """Tokens that a decode step looks back at, averaged over the steps of a request."""
    return input_tokens + output_tokens / 2


def _attended(model: ModelArchitecture, tokens: float) -> float:
    """Tokens looked back at, summed over the layers."""
    kept = min(tokens, model.window_tokens) if model.window_tokens is not None else tokens
    return (model.layers - model.window_layers) * tokens + model.window_layers * kept
