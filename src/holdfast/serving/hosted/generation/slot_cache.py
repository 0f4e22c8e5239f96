"""The KV cache of transformers, as a fixed block of rows in which every row stands at a position of its own.

A forward pass is aimed before it is run: at which rows, at which positions of them, and how much of the rows it may
read. Tokens lie left-aligned from position 0, so a row needs nothing moved when another one comes, goes or grows, and
positions are the model's own. What is behind a row's last token is left over from padding or from the row's former
user; it is masked, and overwritten by the token that comes there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import Cache, CacheLayerMixin


@dataclass
class Aim:
    """rows: of the cache, (batch,), or None for the first `batch` of them in place.
    positions: where the tokens go, (batch, tokens).
    window: positions that attention sees, from 0; 0 = only the tokens of this pass, which then begin their rows.
    """

    rows: torch.Tensor | None
    positions: torch.Tensor
    window: int


class SlotLayer(CacheLayerMixin):  # type: ignore[misc]
    """Keys and values of one layer, of shape (slots, heads, positions, head size), made at the first pass."""

    is_sliding = False

    def __init__(self, cache: SlotCache) -> None:
        super().__init__()
        self._cache = cache

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor | None = None) -> None:
        assert value_states is not None
        self.keys, self.values = (self._block(states) for states in (key_states, value_states))
        self.is_initialized = True

    def _block(self, states: torch.Tensor) -> torch.Tensor:
        shape = (self._cache.slots, states.shape[1], self._cache.positions, states.shape[3])
        block = torch.zeros(shape, dtype=states.dtype, device=states.device)
        # Compiled passes need not ask whether it has moved, and CUDA graphs may write to it.
        torch._dynamo.mark_static_address(block)
        return block

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        aim = self._cache.aim
        return _put(self.keys, key_states, aim), _put(self.values, value_states, aim)

    def get_seq_length(self) -> int:
        """Asked only by passes that begin their rows: all others bring their positions and masks."""
        return 0

    def get_mask_sizes(self, query: Any) -> tuple[int, int]:
        """query: its length; in transformers 4, its positions."""
        return (query if isinstance(query, int) else query.shape[0]), 0

    def get_max_length(self) -> int:
        return self._cache.positions

    get_max_cache_shape = get_max_length  # its name in transformers 4


def _put(block: torch.Tensor, states: torch.Tensor, aim: Aim) -> torch.Tensor:
    """Write states of shape (batch, heads, tokens, head size), and give what attention may see."""
    batch = states.shape[0]
    rows = torch.arange(batch, device=block.device) if aim.rows is None else aim.rows
    block[rows[:, None], :, aim.positions] = states.transpose(1, 2)
    if not aim.window:
        return states
    if aim.rows is None:
        return block[:batch, :, : aim.window]
    return block[:, :, : aim.window].index_select(0, aim.rows)


class SlotCache(Cache):  # type: ignore[misc]
    """For `past_key_values` of a model; `aim` is set before every pass."""

    aim: Aim

    def __init__(self, slots: int, positions: int) -> None:
        self.slots = slots
        self.positions = positions
        super().__init__(layer_class_to_replicate=lambda: SlotLayer(self))

    def forget(self, rows: torch.Tensor) -> None:
        """Zero rows: NaN of a former user would get through any mask."""
        for layer in self.layers:
            if layer.is_initialized:
                layer.keys[rows] = 0
                layer.values[rows] = 0

    @property
    def bytes(self) -> int:
        """Of all keys and values."""
        blocks = (block for layer in self.layers if layer.is_initialized for block in (layer.keys, layer.values))
        return sum(block.numel() * block.element_size() for block in blocks)
