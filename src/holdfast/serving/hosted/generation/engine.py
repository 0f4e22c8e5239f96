"""Requests for text in the fixed slots of a decoder, step by step. Pure of asyncio: one thread calls it."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.serving.hosted.generation.decoder import Decoder


@dataclass(frozen=True)
class Sampling:
    """As transformers' GenerationConfig has them; temperature 0 is greedy. top_k 0 and top_p 1 leave all tokens in."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None


@dataclass(frozen=True)
class Prompt:
    """What to answer: token ids, and how far. ignore_eos goes on past the tokens that end an answer."""

    tokens: tuple[int, ...]
    max_tokens: int
    min_tokens: int = 0
    ignore_eos: bool = False
    sampling: Sampling = Sampling()


@dataclass(frozen=True)
class Made:
    """One token of one request. finish_reason: None, stop (an end token came) or length. An end token itself is made too."""

    key: int
    token: int
    finish_reason: str | None


class SlotEngine:
    """At each step prompts enter free slots, then every slot gets one more token."""

    def __init__(self, decoder: Decoder) -> None:
        raise NotImplementedError

    @property
    def free(self) -> int:
        """Slots that nobody is in."""
        raise NotImplementedError

    def enter(self, key: int, prompt: Prompt) -> Made:
        """Prefill into a free slot; the first token. Raises ValueError where none is free."""
        raise NotImplementedError

    def step(self) -> list[Made]:
        """One more token for everybody in a slot; those that are finished leave it."""
        raise NotImplementedError

    def leave(self, key: int) -> None:
        """Free the slot of a request that nobody waits for; none is no error."""
        raise NotImplementedError
