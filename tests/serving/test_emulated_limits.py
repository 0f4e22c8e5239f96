"""The search for the breaking point against the emulated engine on virtual time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from holdfast.limits.search import Options
from holdfast.model.fleet import parse_slo
from holdfast.model.stages import Arrivals
from holdfast.serving.emulated.batching import ContinuousBatching
from holdfast.serving.emulated.engine import Job
from holdfast.serving.emulated.step_time import LinearStep
from limits import virtual
from limits.virtual import Answered, Server

PROMPT, OUTPUTS, BOUND_S = 200, 100, 4.0
UNIT = ContinuousBatching(
    LinearStep(0.012, 0.0003, 0.00005, 0.0),
    max_num_seqs=256,
    max_num_batched_tokens=2048,
    max_model_len=1024,
    kv_blocks=4000,
    max_queued=10_000,
)


@dataclass
class Emulated(Server):
    """Every request of the same lengths, on a fresh engine for every level."""

    shape: ContinuousBatching

    def serve(self, arrivals_s: Iterator[float], rng: np.random.Generator) -> Iterator[Answered]:
        engine, key = self.shape.engine(), 0
        arrived_s: dict[int, float] = {}
        first_s: dict[int, float] = {}
        pending = next(arrivals_s, None)
        while pending not in (None, math.inf) or engine.next_s() < math.inf:
            if pending is not None and pending < engine.next_s():
                engine.submit(Job(key, PROMPT, OUTPUTS), pending)
                arrived_s[key], key = pending, key + 1
                pending = next(arrivals_s, None)
                continue
            for step in engine.advance(engine.next_s()):
                first_s.update((began, step.end_s) for began in step.began)
                for ended in step.finished:
                    yield Answered(arrived_s.pop(ended), first_s.pop(ended), step.end_s)
            if pending == math.inf:
                pending = next(arrivals_s, None)  # a user of a closed loop is free again


def fluid_limit_per_s() -> float:
    """The rate at which a request takes BOUND_S: a step of B sequences takes (base + each B) / (1 - prefill rate)."""
    step = UNIT.step
    assert isinstance(step, LinearStep)

    def latency_s(rate: float) -> float:
        left = 1 - step.per_prefill_token_s * PROMPT * rate
        growth = (OUTPUTS + 0.5) * step.per_sequence_s * rate / left
        return (OUTPUTS + 0.5) * step.base_s / left / (1 - growth) if growth < 1 else math.inf

    low, high = 0.0, 60.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if latency_s(middle) <= BOUND_S else (low, middle)
    return low


def test_the_search_finds_what_the_arithmetic_of_the_engine_allows() -> None:
    options = Options(arrivals=Arrivals.CONSTANT, requests=400)
    point, _ = virtual.find(parse_slo(f"p95<{BOUND_S}s"), options, Emulated(UNIT), 0)
    assert point.rate_per_s == pytest.approx(fluid_limit_per_s(), rel=0.1)
