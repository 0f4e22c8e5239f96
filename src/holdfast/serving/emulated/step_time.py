"""How long one step of continuous batching takes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

from holdfast.performance.roofline import Placement
from holdfast.serving.emulated.engine import between, require


class StepTime(Protocol):
    """A step that advances `sequences`, of which some prefill `prompt_tokens`, over `kv_tokens` in the KV cache."""

    def step_s(self, sequences: int, prompt_tokens: int, kv_tokens: int) -> float:
        """Its duration."""

    def scaled(self, time_scale: float) -> StepTime:
        """The same, `time_scale` times as fast."""


@dataclass(frozen=True)
class LinearStep:
    """base_s + per_sequence_s * sequences + per_prefill_token_s * prompt tokens + per_kv_token_s * KV tokens."""

    base_s: float
    per_sequence_s: float
    per_prefill_token_s: float
    per_kv_token_s: float

    def __post_init__(self) -> None:
        require(0 < self.base_s < math.inf, "base_s", self.base_s, "positive")
        for name in ("per_sequence_s", "per_prefill_token_s", "per_kv_token_s"):
            require(between(getattr(self, name), 0), name, getattr(self, name), "at least 0")

    def step_s(self, sequences: int, prompt_tokens: int, kv_tokens: int) -> float:
        return (
            self.base_s
            + self.per_sequence_s * sequences
            + self.per_prefill_token_s * prompt_tokens
            + self.per_kv_token_s * kv_tokens
        )

    def scaled(self, time_scale: float) -> LinearStep:
        return LinearStep(
            self.base_s / time_scale,
            self.per_sequence_s / time_scale,
            self.per_prefill_token_s / time_scale,
            self.per_kv_token_s / time_scale,
        )


@dataclass(frozen=True)
class RooflineStep:
    """The step of a model on devices, from `performance`: an estimate for what nobody measured."""

    placement: Placement
    time_scale: float = 1.0

    def step_s(self, sequences: int, prompt_tokens: int, kv_tokens: int) -> float:
        return self.placement.step(sequences, prompt_tokens, kv_tokens).total_s / self.time_scale

    def scaled(self, time_scale: float) -> RooflineStep:
        return replace(self, time_scale=self.time_scale * time_scale)
