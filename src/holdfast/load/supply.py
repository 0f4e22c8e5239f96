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
        """The next request; None when the source has ended."""
        return self._stock.popleft() if self._stock else self._make()

    def ready(self, ask: Ask) -> Ready:
        """A request that is not of the source."""
        return ask, self._payload(ask.body)

    async def fill(self, count: int) -> None:
        """Fills the stock to `count`, or to what is worth keeping if that is less."""
        while len(self._stock) < min(count, MOST_READY):
            until_s = time.perf_counter() + _SLICE_S
            while time.perf_counter() < until_s:
                if (made := self._make()) is None:
                    return
                self._stock.append(made)
            await asyncio.sleep(0)

    def _make(self) -> Ready | None:
        ask = next(self._asks, None)
        return None if ask is None else self.ready(ask)
