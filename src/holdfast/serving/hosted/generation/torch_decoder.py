"""The decoder of PyTorch: an unmodified causal language model of transformers, and a cache of fixed slots.

Shapes are few, so that they can be compiled and warmed up: prompts are padded to powers of two, and attention reads the
cache not much further than the longest row in use.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Sequence
from typing import Any

import torch

from holdfast.model.errors import InputError
from holdfast.serving.hosted.generation.decoder import Part
from holdfast.serving.hosted.generation.masks import Attention
from holdfast.serving.hosted.generation.slot_cache import Aim, SlotCache

_LEAST_BUCKET = 16
_LEAST_WINDOW = 64
_GRAPHS = 64
"""Compiled passes that are kept: at most one for each window, a power of two up to 2^63."""


class TorchDecoder:
    """model: in evaluation mode, on `device`, with sdpa or eager attention.

    slots, positions: of the cache, which is allocated here, once. compiled: compile the passes of `decode` by
    torch.compile; then they are always of all slots. Raises InputError for a model whose answers would not be its own.
    """

    def __init__(self, model: Any, *, slots: int, positions: int, device: torch.device, compiled: bool = False) -> None:
        config = model.config.get_text_config()
        longest = getattr(config, "max_position_embeddings", None)
        if longest is not None and positions > longest:
            raise InputError(f"{positions} positions are more than the {longest} of the model")
        if positions < _LEAST_BUCKET:
            raise InputError(f"{positions} positions are too few", mend=f"give {_LEAST_BUCKET} or more")
        takes = inspect.signature(model.forward).parameters
        if "position_ids" not in takes or getattr(config, "alibi", False):
            raise InputError(
                f"{config.model_type} takes no positions of tokens, and slots need them", mend="serve it on vLLM"
            )
        self.slots = slots
        self.positions = positions
        self.eos_ids = _eos_ids(model)
        self._model = model
        self._device = device
        self._compiled = compiled
        self._step = torch.compile(model, dynamic=False) if compiled else model
        self._attention = Attention(config, model.dtype)
        self._cache = SlotCache(slots, positions)
        self._lengths = [0] * slots
        self._keeps = "logits_to_keep" in takes
        with torch.inference_mode():
            self._check(config.vocab_size)

    @property
    def cache_bytes(self) -> int:
        """Of the KV cache."""
        return self._cache.bytes

    def prefill(self, slot: int, tokens: Sequence[int]) -> torch.Tensor:
        """Begin anew in a slot with these tokens (1..positions); the logits of the next, of shape (vocabulary,), of
        float32."""
        return self.prefill_parts([Part(slot, tokens)])[0]

    def prefill_parts(self, parts: Sequence[Part]) -> torch.Tensor:
        """Take in parts of different slots; the logits after each, of shape (parts, vocabulary), of float32. Parts that
        begin anew and are padded to the same length run in one pass."""
        rows: list[torch.Tensor | None] = [None] * len(parts)
        with torch.inference_mode():
            for numbers in self._passes(parts):
                logits = self._take_in([parts[number] for number in numbers])
                for number, row in zip(numbers, logits, strict=True):
                    rows[number] = row
            return torch.stack([row for row in rows if row is not None])

    def decode(self, tokens: Sequence[int | None]) -> torch.Tensor:
        """One more token in each slot, None in those that are free; logits of shape (slots, vocabulary), of float32.
        Rows of free slots mean nothing, and those behind the last slot in use may be missing."""
        used = [slot for slot, token in enumerate(tokens) if token is not None]
        full = [slot for slot in used if self._lengths[slot] == self.positions]
        if full:
            raise ValueError(f"slot {full[0]} has no position left")
        batch = self.slots if self._compiled else min(self.slots, _power(used[-1] + 1))
        # A slot that is not asked writes behind its tokens, where its next one will come.
        at = [min(length, self.positions - 1) for length in self._lengths[:batch]]
        window = self._window(max(at[slot] for slot in used) + 1)
        with torch.inference_mode():
            logits = self._decode([token or 0 for token in tokens[:batch]], at, window)
        for slot in used:
            self._lengths[slot] += 1
        return logits

    def warm_up(self, part_tokens: int) -> None:
        """Run every shape that is compiled, and passes of all lengths by powers of two, with parts of up to so many
        tokens. Whoever is in the slots is lost."""
        most = min(part_tokens, self.positions)
        for length in _doubling(min(_LEAST_BUCKET, most), most):
            self.prefill(0, [0] * length)
        for window in _doubling(min(_LEAST_WINDOW, self.positions), self.positions):
            if window > most:
                self.prefill_parts([Part(0, [0] * most, start=window - most)])
            self._lengths[0] = window - 1
            self.decode([0] + [None] * (self.slots - 1))
        self._lengths[0] = 0

    def _passes(self, parts: Sequence[Part]) -> list[list[int]]:
        """Numbers of the parts that run together."""
        beginning = sorted((self._bucket(part), number) for number, part in enumerate(parts) if part.start == 0)
        together = [
            [number for _, number in same] for _, same in itertools.groupby(beginning, key=lambda entry: entry[0])
        ]
        return together + [[number] for number, part in enumerate(parts) if part.start]

    def _take_in(self, parts: Sequence[Part]) -> torch.Tensor:
        width, start = self._bucket(parts[0]), parts[0].start
        rows = self._tensor([part.slot for part in parts])
        ids = self._tensor([[*part.tokens, *[0] * (width - len(part.tokens))] for part in parts])
        positions = torch.arange(start, start + width, device=self._device).expand(len(parts), -1)
        window = self._window(start + width) if start else 0
        if start == 0:
            self._cache.forget(rows)
        self._cache.aim = Aim(rows, positions, window)
        masks = self._attention.masks(positions, window) if window else None
        last = [len(part.tokens) - 1 for part in parts]
        kept = sorted(set(last)) if self._keeps else range(width)
        logits = self._run(self._model, ids, positions, masks, self._tensor(kept) if self._keeps else None)
        for part in parts:
            self._lengths[part.slot] = start + len(part.tokens)
        places = self._tensor([kept.index(place) for place in last])
        return logits[torch.arange(len(parts), device=self._device), places].float()

    def _decode(self, tokens: Sequence[int], at: Sequence[int], window: int) -> torch.Tensor:
        ids, positions = self._tensor([tokens, at])[:, :, None]
        self._cache.aim = Aim(None, positions, window)
        masks = self._attention.masks(positions, window)
        if not self._compiled:
            return self._run(self._model, ids, positions, masks, None)[:, 0].float()
        with torch._dynamo.config.patch(recompile_limit=_GRAPHS):
            return self._run(self._step, ids, positions, masks, None)[:, 0].float()

    def _run(
        self, model: Any, ids: torch.Tensor, positions: torch.Tensor, masks: Any, kept: torch.Tensor | None
    ) -> torch.Tensor:
        keep = {} if kept is None else {"logits_to_keep": kept}
        passed = model(
            input_ids=ids,
            position_ids=positions,
            attention_mask=masks,
            past_key_values=self._cache,
            use_cache=True,
            **keep,
        )
        logits: torch.Tensor = passed.logits
        return logits

    def _check(self, vocabulary: int) -> None:
        """The model against itself: what slots say must be what it says of the whole text, whatever it is made of."""
        tokens = [number * 7 % vocabulary for number in range(1, _LEAST_BUCKET)]
        slot, begun, taken = self.slots - 1, len(tokens) // 2, len(tokens) - 1
        ours = [
            self.prefill(slot, tokens[:begun]),
            self.prefill_parts([Part(slot, tokens[begun:taken], start=begun)])[0],
            self.decode([*[None] * slot, tokens[taken]])[slot],
        ]
        passed = self._model(input_ids=self._tensor([tokens]), use_cache=False)
        whole = passed.logits[0, [begun - 1, taken - 1, taken]].float()
        # Far above what the order of sums does to numbers of so many bits, far below what a wrong mask does. Models in
        # float64 have float32 within: rotations, norms.
        exact = max(torch.finfo(self._model.dtype).eps, torch.finfo(torch.float32).eps)
        bound = 2 * exact**0.5 * whole.abs().max()
        apart = (torch.stack(ours) - whole).abs().max()
        if not apart <= bound:
            raise InputError(
                f"{self._model.config.model_type} cannot be served in slots: its logits come out {apart:.2g} apart "
                "from its own",
                mend="serve it on vLLM",
            )

    def _bucket(self, part: Part) -> int:
        """Tokens that a part is padded to."""
        return min(max(_LEAST_BUCKET, _power(len(part.tokens))), self.positions - part.start)

    def _window(self, positions: int) -> int:
        """Positions that a pass reads for so many. Compiled passes have few windows; others read an eighth too much at
        most, as the cache is most of what long texts read."""
        step = _power(positions) if self._compiled else max(_LEAST_WINDOW, _power(positions) // 8)
        return min(max(_LEAST_WINDOW, -(-positions // step) * step), self.positions)

    def _tensor(self, numbers: Any) -> torch.Tensor:
        return torch.tensor(numbers, dtype=torch.long, device=self._device)


def _power(number: int) -> int:
    """The next power of two."""
    return 1 << (number - 1).bit_length()


def _doubling(low: int, high: int) -> list[int]:
    """low, 2 low, 4 low, ... and high."""
    sizes = itertools.takewhile(lambda size: size < high, (low << shift for shift in itertools.count()))
    return [*sizes, high]


def _eos_ids(model: Any) -> frozenset[int]:
    ends = model.generation_config.eos_token_id
    return frozenset(() if ends is None else [ends] if isinstance(ends, int) else ends)
