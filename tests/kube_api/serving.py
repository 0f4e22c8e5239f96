"""One request with its faults, for both fronts: in process and over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from kube_api import faults, requests
from kube_api.api import Api
from kube_api.faults import Fault, Faults, Loss, StreamEnd
from kube_api.requests import Answer, Request
from kube_api.watching import Subscription

COLLECT_AFTER_S = 0.05
"""How soon after a delete garbage is collected; each further round is as long after the one before."""


class ConnectionLost(Exception):  # noqa: N818 - it is what a client sees, not an error of ours
    """The client gets no (further) answer."""


class Serving:
    """An Api, a clock, and what goes wrong between it and its clients.

    faults: asked once for each request; may be changed at any time.
    """

    def __init__(self, api: Api, clock: Callable[[], float], *, faults: Faults = faults.none) -> None:
        self.api = api
        self.clock = clock
        self.faults = faults
        self._collecting: asyncio.TimerHandle | None = None

    async def answer(self, request: Request) -> Answer | AsyncIterator[bytes]:
        """An answer, or the lines of a watch. Raises ConnectionLost where a fault says so."""
        fault = self.faults(request) or Fault()
        if fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        if fault.loss is Loss.BEFORE:
            raise ConnectionLost
        if fault.status:
            return fault.refusal.answer
        answer = self.api.handle(request, self.clock())
        if self.api.litter and self._collecting is None:
            self._collect_soon()
        if fault.loss is Loss.AFTER:
            if isinstance(answer, Subscription):
                self.api.forget(answer)
            raise ConnectionLost
        return self._lines(answer, fault) if isinstance(answer, Subscription) else answer

    def close(self) -> None:
        if self._collecting is not None:
            self._collecting.cancel()
        self.api.end_watches()

    def _collect_soon(self) -> None:
        self._collecting = asyncio.get_running_loop().call_later(COLLECT_AFTER_S, self._collect)

    def _collect(self) -> None:
        self._collecting = None
        if self.api.collect(self.clock()):
            self._collect_soon()

    async def _lines(self, watch: Subscription, fault: Fault) -> AsyncIterator[bytes]:
        told = asyncio.Event()
        watch.notify = told.set
        left = fault.events if fault.stream_end else float("inf")
        try:
            while True:
                for line in watch.take(self.clock()):
                    if left <= 0:
                        break
                    left -= 1
                    yield line
                if left <= 0 and fault.stream_end is not None:
                    await _short(fault.stream_end)
                    if fault.stream_end is StreamEnd.GONE:
                        gone = requests.expired("The provided resource version is too old.")
                        watch.fail(gone.status)
                        yield watch.take(self.clock())[-1]
                    return
                if watch.ended:
                    return
                try:
                    async with asyncio.timeout(max(0.0, watch.due_s - self.clock())):
                        await told.wait()
                except TimeoutError:
                    continue
                finally:
                    told.clear()
        finally:
            self.api.forget(watch)


async def _short(end: StreamEnd) -> None:
    if end is StreamEnd.BROKEN:
        raise ConnectionLost
    if end is StreamEnd.SILENT:
        await asyncio.Event().wait()
