"""What the target and its devices say of themselves while load is sent: their metrics, read about once a second.

Each source has a connection of its own and a short time-out, so that no load waits for it. A page that is not there
costs a request at the beginning of a level and another every half minute.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from holdfast.load import metrics
from holdfast.load.http import Client, Target
from holdfast.load.metrics import Selection
from holdfast.model.errors import InputError
from holdfast.model.server import TARGET, Point

PERIOD_S = 1.0
"""Between readings; engines count in steps of milliseconds, and nobody reads finer than this."""

_TIMEOUT_S = 1.0
"""For one page: a server that is too busy for its metrics is asked again in the next round."""

_RETRY_S = 30.0
"""Before a source that has never told anything is asked again."""


@dataclass(frozen=True)
class Source:
    """A page of metrics. `target` and `path` make its URL; `selection` says which of its samples are meant."""

    name: str
    target: Target
    path: str = "/metrics"
    selection: Selection = metrics.EVERYTHING
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def exporter(cls, text: str) -> Source:
        """From `NAME=URL`, or `NAME=URL{gpu="0"}` for some of its devices. Raises InputError."""
        match = re.fullmatch(r"([\w.-]+)=(https?://[^\s{]+)(?:\{(.*)\})?", text)
        if match is None or match[1] == TARGET:
            raise InputError(
                f"{text!r} is not an exporter",
                where="--scrape",
                mend="write it like gpu=http://node:9400/metrics, and not with the name 'target'",
            )
        try:
            selection = Selection.parse(match[3]) if match[3] else metrics.EVERYTHING
        except ValueError as error:
            raise InputError(str(error), where="--scrape") from error
        target = Target.parse(match[2])
        return cls(match[1], target, "" if target.prefix else "/metrics", selection)


class _Page:
    """One source under observation."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.client = Client(source.target, timeout_s=_TIMEOUT_S, headers=dict(source.headers))
        self.reading: dict[str, float] = {}
        self.read_s = 0.0
        self.known = False
        self.ask_again_s = 0.0

    async def read(self) -> dict[str, float] | None:
        """The quantities of the page now; None when it did not answer or is not to be asked yet."""
        if time.perf_counter() < self.ask_again_s:
            return None
        status, body = await self.client.get(self.source.path)
        if status == 0:
            self.client.abandon()
        found = metrics.read(body, self.source.selection) if status == 200 else {}
        self.known = self.known or bool(found)
        if not self.known:
            self.ask_again_s = time.perf_counter() + _RETRY_S
        return found or None


class Scraper:
    """The sources of one run."""

    def __init__(
        self,
        sources: Sequence[Source],
        zero_s: float,
        *,
        time_scale: float = 1.0,
        keep: Callable[[Sequence[Point]], None] | None = None,
    ) -> None:
        """zero_s: the run's zero on the `time.perf_counter` clock. time_scale: see subject.Subject.

        keep: called in a thread with the points of each round, to write them down.
        """
        self._pages = [_Page(source) for source in sources]
        self._zero_s = zero_s
        self._scale = time_scale
        self._keep = keep
        self._points: list[Point] = []

    @property
    def points(self) -> tuple[Point, ...]:
        """What was read since the latest `watching` began."""
        return tuple(self._points)

    async def check(self) -> bool:
        """Reads every source once; True when one of them tells a utilisation. Raises InputError.

        An exporter that was asked for has to answer; the target may have no metrics.
        """
        await self._round()
        for page in self._pages:
            if not page.known and page.source.name != TARGET:
                raise InputError(
                    "no metrics that are known came from there",
                    where=f"{page.source.name}={page.source.target.base}{page.source.path}",
                    mend="check the URL and the labels; docs/server-series.md lists the names",
                )
        return any(metrics.tells_utilization(page.reading) for page in self._pages)

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Reads once now, every second within the block, and once at its end; forgets what was read before."""
        self._points.clear()
        for page in self._pages:
            page.reading = {}
        await self._round()
        polling = asyncio.create_task(self._poll(), name="scrape")
        try:
            yield
        finally:
            polling.cancel()
            await asyncio.wait([polling])
        if not polling.cancelled():
            polling.result()
        await self._round()

    async def close(self) -> None:
        for page in self._pages:
            await page.client.close()

    async def _poll(self) -> None:
        due_s = time.perf_counter()
        while True:
            due_s = max(due_s + PERIOD_S, time.perf_counter())
            await asyncio.sleep(due_s - time.perf_counter())
            await self._round()

    async def _round(self) -> None:
        async with asyncio.TaskGroup() as group:
            looks = [group.create_task(self._look(page), name=f"read {page.source.name}") for page in self._pages]
        fresh = [point for look in looks for point in look.result()]
        self._points += fresh
        if self._keep is not None and fresh:
            await asyncio.to_thread(self._keep, fresh)

    async def _look(self, page: _Page) -> list[Point]:
        found = await page.read()
        if found is None:
            return []
        now_s = time.perf_counter()
        wall_s = now_s - page.read_s if page.reading else 0.0
        values = metrics.series(found, page.reading, wall_s, self._scale)
        page.reading, page.read_s = found, now_s
        time_s, span_s = (now_s - self._zero_s) * self._scale, wall_s * self._scale
        return [Point(time_s, page.source.name, name, value, span_s) for name, value in values.items()]
