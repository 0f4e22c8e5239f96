"""Requests serialised ahead of their time, so that making one does not delay the sending of another."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator

from holdfast.load.prompts import Ask

MOST_READY = 512
"""Requests kept ready; a level that outruns them makes the rest as they are sent (about 30 us per 200 words)."""

_SLICE_S = 0.0002
"""How long requests are made at a stretch while others may be due."""

Ready = tuple[Ask, bytes]
"""What is asked, and the bytes that ask it."""


class Supply:
    """Takes asks from their source, a stock of them ahead of need."""

    def __init__(self, asks: Iterator[Ask], payload: Callable[[bytes], bytes]) -> None:
        self._asks = asks
        self._payload = payload
        self._stock: deque[Ready] = deque()

    def take(self) -> Ready | None:
        """The next request; None when the source has ended.

        When none is ready a few are made, as many as a slice has time for: half the time of one by one, between which
        the processor's caches are filled with other things.
        """
        if not self._stock:
            self._make_some()
        return self._stock.popleft() if self._stock else None

    def ready(self, ask: Ask) -> Ready:
        """A request that is not of the source."""
        return ask, self._payload(ask.body)

    async def fill(self, count: int) -> None:
        """Fills the stock to `count`, or to what is worth keeping if that is less."""
        while len(self._stock) < min(count, MOST_READY):
            if not self._make_some():
                return
            await asyncio.sleep(0)

    def _make_some(self) -> bool:
        """Adds what a slice of time gives to the stock, at least one; whether the source goes on."""
        until_s = time.perf_counter() + _SLICE_S
        for ask in self._asks:
            self._stock.append(self.ready(ask))
            if time.perf_counter() >= until_s:
                return True
        return False
