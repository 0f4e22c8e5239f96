"""A language model as a fixed number of slots sees it: shapes never change, whoever comes and goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch


class Decoder(Protocol):
    """A causal language model with a KV cache of `slots` rows of `positions` tokens. All calls block.

    eos_ids: tokens that end an answer.
    """

    slots: int
    positions: int
    eos_ids: frozenset[int]

    def prefill(self, slot: int, tokens: Sequence[int]) -> torch.Tensor:
        """Begin anew in a slot with these tokens (1..positions); the logits of the next, of shape (vocabulary,), of
        float32."""

    def decode(self, tokens: Sequence[int | None]) -> torch.Tensor:
        """One more token in each slot, None in those that are free; logits of shape (slots, vocabulary), of float32.
        Rows of free slots mean nothing, and those behind the last slot in use may be missing."""


@dataclass(frozen=True)
class Part:
    """Some tokens of a prompt, of which `start` are in the slot already; 0 begins anew."""

    slot: int
    tokens: Sequence[int]
    start: int = 0


@runtime_checkable
class PartDecoder(Decoder, Protocol):
    """A decoder that takes prompts in parts, so that a long one holds nobody up, and short ones together."""

    def prefill_parts(self, parts: Sequence[Part]) -> torch.Tensor:
        """Take in parts of different slots; the logits after each, of shape (parts, vocabulary), of float32."""

    def warm_up(self, part_tokens: int) -> None:
        """Run every shape that is compiled, and passes of all lengths by powers of two, with parts of up to so many
        tokens."""
