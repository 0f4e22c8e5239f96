"""Dynamic batching by size and deadline: `batches` decides (no I/O), this waits."""

from __future__ import annotations

from typing import Generic, TypeVar

from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.metrics import Published
from holdfast.serving.hosted.predicting.predictor import Predictor

Request = TypeVar("Request")
Prepared = TypeVar("Prepared")
Answer = TypeVar("Answer")


class Batcher(Generic[Request, Prepared, Answer]):
    """Answers requests with a predictor, in batches, on an event loop."""

    def __init__(self, predictor: Predictor[Request, Prepared, Answer], bounds: Bounds, published: Published) -> None:
        raise NotImplementedError

    async def answer(self, request: Request) -> Answer:
        """Raises RequestError: 429 where the queue is full, or what the predictor refuses. Cancelled, it leaves the queue; a
        batch of which nobody waits any more is not begun."""
        raise NotImplementedError

    async def run(self) -> None:
        """Serve until cancelled. Batches run in the device's thread, never on the event loop."""
        raise NotImplementedError

    async def idle(self) -> None:
        """Return when nothing waits or runs."""
        raise NotImplementedError
