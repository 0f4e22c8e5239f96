"""What no server can do, however well it is written: weights must be read and operations done.

Decode          each token of an answer takes a pass over the weights that it goes through, and its own KV cache:
                step >= (active weights + KV of half the answer) / (devices x memory bandwidth)
Prefill         2 operations per weight and prompt token, of which the output head sees the last only:
                time >= 2 x active x tokens / (devices x peak)
Request         latency >= prefill + (output tokens - 1) x step
Batch           a replica works at no more than max_num_seqs requests: rate <= replicas x max_num_seqs / request
Compute         rate x (prefill's operations + output tokens x 2 x active) <= devices x peak
Image           latency >= operations / (devices x peak), and >= steps x weights / (devices x memory bandwidth)

A multiply-add counts as two operations, dense bf16 peaks and bandwidths are those of the catalogue. Left out are the
input embedding, of which a token reads one row, and attention's own operations. Nothing here is fitted: these are
bounds, and real servers stay below (S. Williams et al., "Roofline", CACM 52 (2009), doi:10.1145/1498765.1498785;
R. Pope et al., "Efficiently Scaling Transformer Inference" (2022), arXiv:2211.05102, section 2).

A row says which model it ran, and cannot say how the engine cut the work short. So each bound has a second value, with
all that engines do at once and at its best: every prompt from a prefix cache, weights and KV cache in the fewest bits
that the device's engines keep, several tokens to a pass by speculation whose drafts cost nothing, and the fastest
arithmetic of the data sheet. Beyond that no system is.

    fewest bits   4; 8 on Inferentia and the first Trainium, whose compiler has no narrower weights (AWS Neuron SDK)
    tokens        8 to a pass of one request (EAGLE-3 is up to 6.5 times as fast), a margin of ours above it; 4 where
                  requests share the passes (1.38 times the throughput at 64; arXiv:2503.01840)
    arithmetic    8 x dense bf16 on GPUs: sparse 4-bit integers, as on the A100 (2,496 of 312, NVIDIA's data sheet);
                  4 x on Neuron devices: sparse 8-bit floats of Trainium2

Fewer diffusion steps than the catalogue has of a model are another model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.auditing.equipment import Equipment
from holdfast.model.architecture import Dtype, FixedWork, ModelArchitecture
from holdfast.model.hardware import Accelerator
from holdfast.model.measurements import Measurement

FEWEST_BYTES = 0.5
_EIGHT_BITS = ("inferentia", "inferentia2", "trainium")
TOKENS_ALONE, TOKENS_TOGETHER = 8.0, 4.0
"""Of one pass for a request, by itself and in a batch."""
BOOST = 0.05
_FASTER_ON_GPUS, _FASTER_ON_NEURON = 8.0, 4.0


@dataclass(frozen=True)
class Bound:
    """One bound and what a row states against it.

    factor: how far beyond the bound the row is; 1 is at it.
    said:   both in words.
    cached: the factor if no prompt had to be computed, as a prefix cache allows.
    even_so: the factor with all shortcuts at once; above 1 it is beyond every system.
    of_rate: whether it bounds a rate, so that a wrong period would explain it.
    columns: the figures of the row that it was held against.
    slack:   relative, of the bound itself: boards clock a few percent above a data sheet's FLOP/s; the bandwidth of
             memory is its clock times its width.
    """

    factor: float
    said: str
    found: str
    expected: str
    cached: float
    even_so: float
    of_rate: bool
    columns: tuple[str, ...]
    slack: float = 0.0


@dataclass(frozen=True)
class Pace:
    """The least time of one request on its replica, in seconds.

    narrow_decode_s: of decoding with the fewest bits, one token to a pass.
    """

    prefill_s: float
    decode_s: float
    narrow_decode_s: float

    @property
    def request_s(self) -> float:
        return self.prefill_s + self.decode_s


def bounds(row: Measurement, equipment: Equipment, claimed_latency_s: float | None) -> Iterator[Bound]:
    """The bounds that the row speaks to. claimed_latency_s: what its caption says of its latency, if anything.

    None without a model, a device with stated peak and bandwidth, and a number of devices.
    """
    model, device, of_replica = equipment.model, equipment.accelerator, equipment.devices_of_replica
    if model is None or device is None or not of_replica or not device.memory_gb_per_s or not device.bf16_dense_tflops:
        return
    pace = _pace(row, model, device, of_replica)
    if pace is not None:
        drafts = isinstance(model, ModelArchitecture)
        yield from _latency(row, pace, claimed_latency_s, TOKENS_ALONE if drafts else 1.0)
        together = TOKENS_ALONE if row.max_num_seqs == 1 else TOKENS_TOGETHER
        yield from _batch(row, pace, equipment.replicas, together if drafts else 1.0)
    yield from _compute(row, model, device, of_replica * equipment.replicas)


def active_weight_bytes(model: ModelArchitecture, most_bytes: float = math.inf) -> float:
    """Bytes that one decode step of one sequence reads: of the experts the active ones, and no input embedding.

    most_bytes: of a weight, where they may have been made narrower than they were published.
    """
    experts = model.expert_parameters * model.active_experts / model.experts if model.experts else 0.0
    unread = model.parameters - model.expert_parameters - (model.active_parameters - experts)
    plain = max(0.0, model.plain_parameters - unread)
    return plain * min(Dtype.BF16.bytes, most_bytes) + (model.active_parameters - plain) * min(
        model.weight_dtype.bytes, most_bytes
    )


def fewest_bytes(device: Accelerator) -> float:
    """Of a weight or a number of the KV cache, in what engines of the device keep."""
    return 2 * FEWEST_BYTES if device.name in _EIGHT_BITS else FEWEST_BYTES


def fastest_arithmetic(device: Accelerator) -> float:
    """Times the dense bf16 peak that the device has at most in any arithmetic."""
    return _FASTER_ON_NEURON if device.vendor == "aws" else _FASTER_ON_GPUS


def answer_token_flops(model: ModelArchitecture) -> float:
    """Operations of one token of an answer, without attention's own."""
    return 2 * model.active_parameters


def prompt_token_flops(model: ModelArchitecture) -> float:
    """The same of a prompt, of which the head sees the last token only."""
    return 2 * (model.active_parameters - model.vocabulary_size * model.hidden_size)


def _pace(row: Measurement, model: ModelArchitecture | FixedWork, device: Accelerator, devices: float) -> Pace | None:
    assert device.memory_gb_per_s and device.bf16_dense_tflops
    peak, bandwidth = devices * device.bf16_dense_tflops * 1e12, devices * device.memory_gb_per_s * 1e9
    if isinstance(model, FixedWork):
        reading_s, arithmetic_s = model.steps * model.weight_bytes / bandwidth, model.flops / peak
        narrow = min(1.0, fewest_bytes(device) / model.weight_dtype.bytes)
        least_s = max(arithmetic_s / fastest_arithmetic(device), reading_s * narrow)
        return Pace(0.0, max(arithmetic_s, reading_s), least_s)
    if not row.output_tokens:
        return None
    prompt = row.input_tokens or 0.0
    kept, fewest = model.kv_bytes(prompt + row.output_tokens / 2), fewest_bytes(device)
    read = active_weight_bytes(model) + kept
    narrow = active_weight_bytes(model, fewest) + kept * min(1.0, fewest / model.kv_dtype.bytes)
    steps = max(0.0, row.output_tokens - 1)
    return Pace(prompt_token_flops(model) * prompt / peak, steps * read / bandwidth, steps * narrow / bandwidth)


def _latency(row: Measurement, pace: Pace, claimed_latency_s: float | None, tokens: float) -> Iterator[Bound]:
    """Of the stated latencies the mean, else the highest percentile: the lengths of requests differ, and are stated
    as a mean."""
    names = ("avg", "p99", "p95", "p90", "p50")
    name, stated_s = next(
        ((name, value) for name in names if (value := row.latency_s(name)) is not None),
        ("of its caption", claimed_latency_s),
    )
    if stated_s:
        yield Bound(
            pace.request_s / stated_s,
            f"a request takes at least {pace.request_s:.3g} s (prefill {pace.prefill_s:.2g} s, the rest is reading "
            f"weights), and the latency {name} is {stated_s:g} s",
            f"{stated_s:g} s",
            f"at least {pace.request_s:.3g} s",
            pace.decode_s / stated_s,
            pace.narrow_decode_s / tokens / stated_s,
            of_rate=False,
            columns=() if name not in names else (f"latency_{name}_s",),
            slack=BOOST,
        )


def _batch(row: Measurement, pace: Pace, replicas: int, tokens: float) -> Iterator[Bound]:
    if row.max_num_seqs and row.rate_per_s:
        slots = replicas * row.max_num_seqs
        most_per_s = slots / pace.request_s
        yield Bound(
            row.rate_per_s / most_per_s,
            f"{slots} requests at a time of at least {pace.request_s:.3g} s each are {most_per_s:.3g}/s, and "
            f"{row.rate_per_s:.4g}/s are stated",
            f"{row.rate_per_s:.4g}/s",
            f"at most {most_per_s:.3g}/s",
            row.rate_per_s * pace.decode_s / slots,
            row.rate_per_s * pace.narrow_decode_s / tokens / slots,
            of_rate=True,
            columns=("rate_per_s",),
        )


def _compute(
    row: Measurement, model: ModelArchitecture | FixedWork, device: Accelerator, devices: float
) -> Iterator[Bound]:
    assert device.bf16_dense_tflops
    peak = devices * device.bf16_dense_tflops * 1e12
    if isinstance(model, FixedWork):
        all_flops = answer_flops = (row.rate_per_s or 0.0) * model.flops
    else:
        tokens_per_s = max(row.output_tokens_per_s or 0.0, (row.rate_per_s or 0.0) * (row.output_tokens or 0.0))
        answer_flops = tokens_per_s * answer_token_flops(model)
        all_flops = answer_flops + (row.rate_per_s or 0.0) * (row.input_tokens or 0.0) * prompt_token_flops(model)
    if all_flops:
        yield Bound(
            all_flops / peak,
            f"the stated rate takes {all_flops:.2g} FLOP/s, and {devices:g} x {device.name} peak at {peak:.2g} (dense "
            "bf16)",
            f"{all_flops:.3g} FLOP/s",
            f"at most {peak:.3g} FLOP/s",
            answer_flops / peak,
            answer_flops / peak / fastest_arithmetic(device),
            of_rate=True,
            columns=("rate_per_s", "output_tokens_per_s"),
            slack=BOOST,
        )
