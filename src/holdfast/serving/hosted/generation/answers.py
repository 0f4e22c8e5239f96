"""A request for text, and the stream of what comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any

from holdfast.serving.hosted.generation.engine import Made
from holdfast.serving.hosted.generation.sampling import GREEDY, Sampling
from holdfast.serving.hosted.generation.text import Detokeniser, Stops


@dataclass(frozen=True)
class TextRequest:
    """tokens: of the prompt, encoded. stop: texts before which an answer ends, without them; not before min_tokens."""

    tokens: tuple[int, ...]
    max_tokens: int
    min_tokens: int = 0
    ignore_eos: bool = False
    stop: tuple[str, ...] = ()
    sampling: Sampling = GREEDY


@dataclass(frozen=True)
class Piece:
    """What one step adds to an answer. text may be empty, while bytes of a character or a possible stop are withheld.

    tokens: ids that it is made of; finish_reason: on the last piece alone, stop or length.
    """

    text: str
    tokens: tuple[int, ...]
    finish_reason: str | None = None


@dataclass(eq=False)
class Job:
    """A request in hand. Times are of time.monotonic; entered_s, newest_s: None before it has a slot, a token."""

    key: int
    request: TextRequest
    arrived_s: float
    detokeniser: Detokeniser
    stops: Stops
    entered_s: float | None = None
    newest_s: float | None = None
    made: int = 0
    pieces: asyncio.Queue[Piece | Exception] = field(default_factory=asyncio.Queue)

    def piece(self, made: Made) -> Piece:
        """One more token of it, in words."""
        self.made += 1
        text = self.detokeniser.push(made.token)
        if self.made < self.request.min_tokens:
            return Piece(text, (made.token,), made.finish_reason)
        text = self.stops.push(text)
        if made.finish_reason is not None:
            text += self.stops.push(self.detokeniser.finish()) + self.stops.finish()
        return Piece(text, (made.token,), "stop" if self.stops.met else made.finish_reason)


class Answer(AsyncGenerator[Piece, None]):
    """The pieces of one answer. Closed, cancelled or forgotten before its end, it gives its place up, also where it was
    never begun; a generator function would not.
    """

    def __init__(self, job: Job, leave: Callable[[Job], None]) -> None:
        self._job = job
        self._leave = leave
        self._over = False

    async def __anext__(self) -> Piece:
        if self._over:
            raise StopAsyncIteration
        try:
            got = await self._job.pieces.get()
        except asyncio.CancelledError:
            await self.aclose()
            raise
        if isinstance(got, Exception):
            self._over = True
            raise got
        self._over = got.finish_reason is not None
        return got

    async def asend(self, value: None) -> Piece:
        return await self.__anext__()

    async def athrow(self, kind: Any, value: Any = None, trace: Any = None) -> Piece:
        self._give_up()
        return await super().athrow(kind, value, trace)

    async def aclose(self) -> None:
        """Want no more of it."""
        self._give_up()

    def __del__(self) -> None:
        self._give_up()

    def _give_up(self) -> None:
        if not self._over:
            self._over = True
            self._leave(self._job)
