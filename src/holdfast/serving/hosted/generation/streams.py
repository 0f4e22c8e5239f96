"""Text generation on an event loop: a queue before the slots, and a stream for each request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.devices.device import Device
from holdfast.serving.hosted.files import ModelFiles
from holdfast.serving.hosted.generation.engine import Sampling
from holdfast.serving.hosted.metrics import Published


@dataclass(frozen=True)
class TextRequest:
    """tokens: of the prompt, encoded; stop: texts before which an answer ends, without them."""

    tokens: tuple[int, ...]
    max_tokens: int
    min_tokens: int = 0
    ignore_eos: bool = False
    stop: tuple[str, ...] = ()
    sampling: Sampling = Sampling()


@dataclass(frozen=True)
class Piece:
    """What one step adds to an answer. text may be empty, while bytes of a character or a possible stop are withheld.

    tokens: ids that it is made of; finish_reason: on the last piece alone, stop or length.
    """

    text: str
    tokens: tuple[int, ...]
    finish_reason: str | None = None


class TextGenerator:
    """A loaded language model that answers requests. Made in the device's thread, used on the event loop."""

    max_model_len: int

    def __init__(self, files: ModelFiles, device: Device, bounds: Bounds, published: Published) -> None:
        raise NotImplementedError

    def warm_up(self) -> None:
        """Run every shape that will be served. Blocks."""
        raise NotImplementedError

    def encode(self, text: str) -> list[int]:
        """Token ids of a prompt, as the tokenizer makes them with its special tokens."""
        raise NotImplementedError

    def encode_chat(self, messages: Sequence[dict[str, Any]]) -> list[int]:
        """By the tokenizer's chat template, with the assistant's opening. Raises RequestError where there is no template."""
        raise NotImplementedError

    async def run(self) -> None:
        """Serve until cancelled. Steps run in the device's thread, never on the event loop."""
        raise NotImplementedError

    def answer(self, request: TextRequest) -> AsyncIterator[Piece]:
        """Queue it at once, raising RequestError 429 where the queue is full, and stream what comes of it. Closing the
        iterator early frees the slot before the next step."""
        raise NotImplementedError

    async def idle(self) -> None:
        """Return when nothing waits or runs."""
        raise NotImplementedError
