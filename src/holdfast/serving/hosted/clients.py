"""Clients that leave before their answer: what was begun for them is given up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from holdfast.model.errors import HoldfastError
from holdfast.serving.errors import RequestError
from holdfast.serving.openai import wording

T = TypeVar("T")
GONE = 499
"""The status by which answers that nobody waited for are counted, as nginx does."""


class ClientGoneError(HoldfastError):
    """The client closed its connection before the answer."""


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns. Cancels it and raises ClientGoneError when the client, whose body has been read, leaves."""
    working = asyncio.create_task(work, name="answer")
    leaving = asyncio.create_task(left(receive), name="client")
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGoneError("the client left")
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.wait({working, leaving})


async def left(receive: Receive) -> None:
    """Return when the client, whose body nobody reads any more, is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Events(Response):
    """Server-sent events as they are made; `events` is begun when the answer is, and closed when the client leaves."""

    media_type = "text/event-stream"

    def __init__(self, events: Callable[[], AsyncGenerator[bytes, None]]) -> None:
        super().__init__(headers={"cache-control": "no-cache", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.suppress(ClientGoneError):
            await unless_gone(receive, self._send(send))

    async def _send(self, send: Send) -> None:
        async with contextlib.aclosing(self._events()) as events:
            # A refusal before the first event still has its status.
            event = await anext(events)
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": event, "more_body": True})
            try:
                async for event in events:
                    await send({"type": "http.response.body", "body": event, "more_body": True})
            except RequestError as error:
                await send({"type": "http.response.body", "body": wording.error_event(error), "more_body": True})
            await send({"type": "http.response.body", "body": b""})
