"""Requests for text in the fixed slots of a decoder, step by step. Pure of asyncio: one thread calls it.

A step gives one more token to everybody whose prompt is taken in, and then takes in prompts, in the order in which
they entered, of up to `prefill_tokens` tokens together. What a step takes, and so the longest gap between two tokens of
an answer, is thereby bounded whatever prompts arrive; a longer prompt is taken in over several steps. vLLM bounds its
steps for the same reason (`--max-num-batched-tokens`); there the parts run in one pass with the tokens, here in passes
of their own, because shapes are fixed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from holdfast.serving.hosted.generation.decoder import Decoder, Part, PartDecoder
from holdfast.serving.hosted.generation.sampling import GREEDY, Draw, draw
from holdfast.serving.hosted.generation.sampling import Sampling as Sampling

PREFILL_TOKENS = 512
"""Of all prompts in one step: what a small GPU takes in within the time of a few tokens."""


@dataclass(frozen=True)
class Prompt:
    """What to answer: token ids, and how far. ignore_eos goes on past the tokens that end an answer.

    min_tokens: before which those tokens are not chosen, as transformers' min_new_tokens.
    """

    tokens: tuple[int, ...]
    max_tokens: int
    min_tokens: int = 0
    ignore_eos: bool = False
    sampling: Sampling = GREEDY


@dataclass(frozen=True)
class Made:
    """One token of one request. An end token itself is made too.

    finish_reason: None, stop (an end token came), length, or broken: what the model gave are no numbers (NaN,
    infinite), and token means nothing.
    """

    key: int
    token: int
    finish_reason: str | None


@dataclass
class _Seat:
    """A request in a slot. taken: tokens of its prompt that are in the cache; last: its newest token."""

    key: int
    prompt: Prompt
    taken: int = 0
    made: int = 0
    last: int | None = None
    draw: Draw | None = None


class SlotEngine:
    """At each step every slot gets one more token, then prompts are taken in.

    prefilled: tokens of prompts that were taken in so far.
    """

    def __init__(self, decoder: Decoder, *, prefill_tokens: int = PREFILL_TOKENS) -> None:
        self._decoder = decoder
        self._in_parts = decoder if isinstance(decoder, PartDecoder) else None
        self._ends = torch.tensor(sorted(decoder.eos_ids), dtype=torch.long)
        self._prefill_tokens = prefill_tokens
        self.prefilled = 0
        self._seats: dict[int, _Seat] = {}  # by slot, in the order of entering

    @property
    def free(self) -> int:
        """Slots that nobody is in."""
        return self._decoder.slots - len(self._seats)

    @property
    def tokens(self) -> int:
        """In the cache, of all who are in a slot."""
        return sum(seat.taken + max(0, seat.made - 1) for seat in self._seats.values())

    def enter(self, key: int, prompt: Prompt) -> Made:
        """Prefill into a free slot at once, however long; the first token. Raises ValueError where none is free."""
        slot = self.begin(key, prompt)
        return self._take_whole(slot)[0]

    def begin(self, key: int, prompt: Prompt) -> int:
        """Take the lowest free slot; the next steps take in the prompt. Raises ValueError where no slot is free, or
        where prompt and answer are longer than one."""
        if not self.free:
            raise ValueError("no slot is free")
        if not prompt.tokens or prompt.max_tokens < 1:
            raise ValueError("a prompt has at least one token, and so has its answer")
        if len(prompt.tokens) + prompt.max_tokens > self._decoder.positions:
            raise ValueError(f"prompt and answer are longer than {self._decoder.positions} tokens")
        slot = next(slot for slot in range(self._decoder.slots) if slot not in self._seats)
        self._seats[slot] = _Seat(key, prompt)
        return slot

    def step(self) -> list[Made]:
        """One more token for everybody in a slot, and the first of those whose prompt is now taken in; those that are
        finished leave it."""
        return self._decode() + self._prefill()

    def leave(self, key: int) -> None:
        """Free the slot of a request that nobody waits for; none is no error."""
        self._seats = {slot: seat for slot, seat in self._seats.items() if seat.key != key}

    def clear(self) -> None:
        """Free all slots."""
        self._seats = {}

    def _decode(self) -> list[Made]:
        slots = [slot for slot, seat in self._seats.items() if seat.made]
        if not slots:
            return []
        newest: list[int | None] = [None] * self._decoder.slots
        for slot in slots:
            newest[slot] = self._seats[slot].last
        return self._choose(slots, self._decoder.decode(newest)[slots])

    def _prefill(self) -> list[Made]:
        if self._in_parts is None:
            return self._prefill_whole()
        parts = self._parts()
        if not parts:
            return []
        logits = self._in_parts.prefill_parts(parts)
        for part in parts:
            self._seats[part.slot].taken += len(part.tokens)
            self.prefilled += len(part.tokens)
        done = [number for number, part in enumerate(parts) if self._seats[part.slot].taken == self._length(part.slot)]
        return self._choose([parts[number].slot for number in done], logits[done]) if done else []

    def _parts(self) -> list[Part]:
        """What this step takes in."""
        room, parts = self._prefill_tokens, []
        for slot, seat in self._seats.items():
            tokens = seat.prompt.tokens[seat.taken : seat.taken + room] if not seat.made else ()
            if tokens:
                parts.append(Part(slot, tokens, seat.taken))
                room -= len(tokens)
        return parts

    def _prefill_whole(self) -> list[Made]:
        """Of a decoder that takes prompts whole: as many as fit, and always one."""
        made: list[Made] = []
        room = self._prefill_tokens
        for slot in [slot for slot, seat in self._seats.items() if not seat.made]:
            if made and self._length(slot) > room:
                break
            room -= self._length(slot)
            made += self._take_whole(slot)
        return made

    def _take_whole(self, slot: int) -> list[Made]:
        tokens = self._seats[slot].prompt.tokens
        self._seats[slot].taken = len(tokens)
        self.prefilled += len(tokens)
        return self._choose([slot], self._decoder.prefill(slot, tokens)[None])

    def _length(self, slot: int) -> int:
        return len(self._seats[slot].prompt.tokens)

    def _choose(self, slots: list[int], logits: torch.Tensor) -> list[Made]:
        """Logits of these slots, of shape (slots, vocabulary), into their next tokens."""
        draws = []
        with torch.inference_mode():
            for row, slot in enumerate(slots):
                seat = self._seats[slot]
                if seat.draw is None:
                    seat.draw = Draw(seat.prompt.sampling, logits.device)
                if seat.made < seat.prompt.min_tokens and not seat.prompt.ignore_eos:
                    logits[row, self._ends] = -torch.inf
                draws.append(seat.draw)
            tokens = draw(logits, draws)
        return [self._sit(slot, token) for slot, token in zip(slots, tokens, strict=True)]

    def _sit(self, slot: int, token: int | None) -> Made:
        seat = self._seats[slot]
        if token is None:
            del self._seats[slot]
            return Made(seat.key, -1, "broken")
        seat.made += 1
        seat.last = token
        reason = None
        if token in self._decoder.eos_ids and not seat.prompt.ignore_eos:
            reason = "stop"
        elif seat.made == seat.prompt.max_tokens:
            reason = "length"
        if reason is not None:
            del self._seats[slot]
        return Made(seat.key, token, reason)
