"""A language model as a fixed number of slots sees it: shapes never change, whoever comes and goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch


class Decoder(Protocol):
    """A causal language model with a KV cache of `slots` rows of `positions` tokens. All calls block.

    eos_ids: tokens that end an answer.
    """

    slots: int
    positions: int
    eos_ids: frozenset[int]

    def prefill(self, slot: int, tokens: Sequence[int]) -> torch.Tensor:
        """Begin anew in a slot with these tokens (1..positions); the logits of the next, of shape (vocabulary,), float32."""

    def decode(self, tokens: Sequence[int | None]) -> torch.Tensor:
        """One more token in each slot, None in those that are free; logits of shape (slots, vocabulary), float32. Rows of
        free slots mean nothing."""
