"""Which token comes next: greedy, or drawn as transformers' `generate` draws it, with a generator for each request.

The warpers are transformers' own, in the order of `generate`. A request with a seed gets the tokens that
`torch.manual_seed(seed); model.generate(..., do_sample=True)` gives to its prompt alone, whoever else is in the batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from holdfast.serving.errors import RequestError

_GREEDY_BELOW = 1e-5
"""A temperature that float32 logits can still be divided by; vLLM's `_SAMPLING_EPS`, below which it too is greedy."""
_SEEDS = range(-(2**63), 2**64)
"""What torch.Generator.manual_seed takes."""


@dataclass(frozen=True)
class Sampling:
    """As transformers' GenerationConfig has them; temperature 0 is greedy. top_k 0 and top_p 1 leave all tokens in.

    Raises RequestError for numbers that mean nothing.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise _refused("temperature", "a number from 0", self.temperature)
        if not 0 < self.top_p <= 1:
            raise _refused("top_p", "a number above 0 and up to 1", self.top_p)
        if self.top_k < 0:
            raise _refused("top_k", "a whole number from 0", self.top_k)
        if self.seed is not None and self.seed not in _SEEDS:
            raise _refused("seed", "a whole number from -2^63 to 2^64 - 1", self.seed)

    @property
    def greedy(self) -> bool:
        return self.temperature < _GREEDY_BELOW


GREEDY = Sampling()


def _refused(name: str, bounds: str, value: float) -> RequestError:
    return RequestError(400, f"{name} must be {bounds}, not {value!r}", param=name)


class Draw:
    """The chance of one request, from its first token to its last."""

    def __init__(self, sampling: Sampling, device: torch.device) -> None:
        self.sampling = sampling
        self.generator = torch.Generator(device)
        if sampling.seed is None:
            self.generator.seed()
        else:
            self.generator.manual_seed(sampling.seed)


def draw(logits: torch.Tensor, draws: Sequence[Draw]) -> list[int | None]:
    """The next token of each row of logits, of shape (rows, vocabulary), of float32; None where they are no numbers:
    NaN in a draw would end the process on CUDA."""
    peaks, tokens = logits.max(dim=-1)
    usable = peaks.isfinite()
    for sampling, rows in _alike(draws).items():
        # Warpers look at logits alone, so there is no text to give them.
        warped = _warpers(sampling)(tokens[rows, None], logits[rows])
        chances = warped.where(usable[rows, None], 0.0).softmax(dim=-1)
        for row, chance in zip(rows, chances, strict=True):
            tokens[row] = torch.multinomial(chance[None], 1, generator=draws[row].generator)[0, 0]
    chosen: list[int] = tokens.where(usable, -1).tolist()
    return [token if token >= 0 else None for token in chosen]


def _alike(draws: Sequence[Draw]) -> dict[Sampling, list[int]]:
    """Rows that are drawn in the same way, but for their seeds; greedy ones are left out."""
    rows: dict[Sampling, list[int]] = {}
    for row, one in enumerate(draws):
        if not one.sampling.greedy:
            rows.setdefault(replace(one.sampling, seed=None), []).append(row)
    return rows


def _warpers(sampling: Sampling) -> LogitsProcessorList:
    warpers = LogitsProcessorList()
    if sampling.temperature != 1.0:
        warpers.append(TemperatureLogitsWarper(float(sampling.temperature)))
    if sampling.top_k:
        warpers.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1.0:
        warpers.append(TopPLogitsWarper(float(sampling.top_p)))
    return warpers
