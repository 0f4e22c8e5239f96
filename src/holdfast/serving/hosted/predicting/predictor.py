"""A loaded model whose requests are answered in batches, whole: all tasks but text generation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

Request = TypeVar("Request", contravariant=True)
Prepared = TypeVar("Prepared")
Answer = TypeVar("Answer")


class Predictor(Protocol[Request, Prepared, Answer]):
    """prepare is called in a pool of threads, predict and warm_up in the device's one thread; all block."""

    max_batch: int

    def prepare(self, request: Request) -> Prepared:
        """Tokenise or decode one input. Raises RequestError for what is refused (too long, no image, a bomb)."""

    def shape(self, prepared: Prepared) -> object:
        """What inputs of one batch must have in common, e.g. the size and steps of an image; hashable."""

    def predict(self, batch: Sequence[Prepared]) -> list[Answer]:
        """The answers to 1..max_batch inputs of one shape, in their order."""

    def warm_up(self) -> None:
        """Run every shape that will be served, at batches of one and of max_batch."""
