"""Load levels on the model server's own slots, and the roofline beside them. Used by gpu_serving.py and its test."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from holdfast.catalog import devices
from holdfast.model.architecture import ModelArchitecture
from holdfast.model.hardware import Accelerator
from holdfast.performance import coefficients
from holdfast.performance.roofline import Placement
from holdfast.serving.hosted.devices.device import Device
from holdfast.serving.hosted.generation.decoder import Decoder
from holdfast.serving.hosted.generation.engine import Prompt, SlotEngine

PLATEAU_GAIN = 1.05
"""Below this gain of throughput from one level to the next, of twice the requests, more load only waits longer."""


@dataclass(frozen=True)
class Shape:
    """Of the requests: tokens of each prompt, and of an answer on average (they vary evenly by half of it)."""

    input_tokens: int
    output_tokens: int

    @property
    def positions(self) -> int:
        return self.input_tokens + self.longest

    @property
    def longest(self) -> int:
        return self.output_tokens + self.output_tokens // 2


@dataclass(frozen=True)
class Level:
    """So many requests at once, each replaced as it ends; times are of the steady part, from the first whole turnover.

    decode_s: median of a step in which every slot has `context_tokens`, nothing being prefilled.
    """

    concurrency: int
    requests: int
    rate_per_s: float
    output_tokens_per_s: float
    ttft_p95_s: float
    itl_p50_s: float
    itl_p95_s: float
    decode_s: float
    context_tokens: int


@dataclass(frozen=True)
class Bound:
    """A decode step at the device's peaks, which none can be faster than; and as it was fitted on vLLM's steps.

    share: of the peak that was reached, 0..1.
    """

    peak_s: float
    binds: str
    share: float
    fitted_s: float
    fitted_on: str


@dataclass(frozen=True)
class Break:
    """The level that served most while the bounds held, None where none did; cause: itl, ttft, plateau, memory, or none
    where the sweep ended before anything broke."""

    concurrency: int | None
    rate_per_s: float
    cause: str


def measure(
    decoder: Decoder, device: Device, shape: Shape, *, seed: int = 0, clock: Callable[[], float] = time.perf_counter
) -> Level:
    """Turn the slots over three times, and read the last two."""
    chance, slots = random.Random(seed), decoder.slots
    engine = SlotEngine(decoder)
    begun: dict[int, float] = {}
    last: dict[int, float] = {}
    gaps: list[float] = []
    firsts: list[float] = []
    ends: list[float] = []
    tokens = key = before = 0
    steady_from: float | None = None
    while len(ends) < 3 * slots:
        while engine.free:
            low = max(1, shape.output_tokens // 2)
            answer = chance.randint(low, shape.longest)
            prompt = tuple(chance.randint(0, 255) for _ in range(shape.input_tokens))
            engine.begin(key, Prompt(prompt, answer, ignore_eos=True))
            begun[key] = clock()
            key += 1
        made = engine.step()
        now = clock()
        for one in made:
            if steady_from is not None:
                tokens += 1
                (gaps if one.key in last else firsts).append(now - last.get(one.key, begun[one.key]))
            last[one.key] = now
            if one.finish_reason is not None:
                ends.append(now)
        if steady_from is None and len(ends) >= slots:
            steady_from, before = now, len(ends)
    assert steady_from is not None
    span_s = ends[-1] - steady_from
    context = shape.input_tokens + shape.output_tokens // 2
    return Level(
        concurrency=slots,
        requests=len(ends) - before,
        rate_per_s=(len(ends) - before) / span_s,
        output_tokens_per_s=tokens / span_s,
        ttft_p95_s=_p95(firsts),
        itl_p50_s=statistics.median(gaps),
        itl_p95_s=_p95(gaps),
        decode_s=decode_s(decoder, device, context, clock=clock),
        context_tokens=context,
    )


def decode_s(
    decoder: Decoder, device: Device, context: int, *, steps: int = 16, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Median seconds of a step of all slots, at about so many tokens in each."""
    steps = min(steps, decoder.positions - 1)
    start = max(1, min(context - steps // 2, decoder.positions - steps))
    for slot in range(decoder.slots):
        decoder.prefill(slot, [1] * start)
    times = []
    for _ in range(steps):
        device.synchronise()
        began = clock()
        decoder.decode([1] * decoder.slots)
        device.synchronise()
        times.append(clock() - began)
    return statistics.median(times)


def bound(level: Level, model: ModelArchitecture, accelerator: Accelerator | None) -> Bound | None:
    """None where the device is none of the catalogue's: what it could reach is unknown."""
    if accelerator is None:
        return None
    peak = Placement(model, accelerator, 1, 1, coefficients.PEAKS).decode(level.concurrency, level.context_tokens)
    given = coefficients.of(accelerator)
    fitted = Placement(model, accelerator, 1, 1, given).decode(level.concurrency, level.context_tokens)
    return Bound(peak.total_s, peak.binds, peak.total_s / level.decode_s, fitted.total_s, given.source)


def accelerator_of(kind: str) -> Accelerator | None:
    """The catalogue's, by the name that the driver gives: "NVIDIA H100 80GB HBM3" is h100, and of two A100 the one with
    that memory."""
    words = kind.lower().replace("-", " ").split()
    found = [one for one in devices.accelerators() if one.name.split("-")[0] in words]
    exact = [one for one in found if one.name.split("-")[-1] in words]
    candidates = exact if len(found) > 1 else found
    return candidates[0] if len(candidates) == 1 else None


def breaking_point(levels: Sequence[Level], *, itl_s: float, ttft_s: float, out_of_memory: bool = False) -> Break:
    """Of levels of rising concurrency; the bounds are on 95th percentiles."""
    held: Level | None = None
    for level in levels:
        if level.itl_p95_s > itl_s:
            return _broke(held, "itl")
        if level.ttft_p95_s > ttft_s:
            return _broke(held, "ttft")
        if held is not None and level.rate_per_s < PLATEAU_GAIN * held.rate_per_s:
            return _broke(held, "plateau")
        held = level
    return _broke(held, "memory" if out_of_memory else "none")


def _broke(held: Level | None, cause: str) -> Break:
    return Break(None, 0.0, cause) if held is None else Break(held.concurrency, held.rate_per_s, cause)


def random_model(config: Any, place: torch.device, dtype: torch.dtype) -> Any:
    """A causal language model of this configuration, its weights drawn on the device: nothing is downloaded."""
    import transformers

    from holdfast.serving.hosted.devices import loading

    torch.manual_seed(0)
    with place:
        return loading.frozen(transformers.AutoModelForCausalLM.from_config(config, dtype=dtype))


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))]
