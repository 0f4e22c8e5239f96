"""One worker of a crew: `python -m holdfast.load.worker FD`, told what to send over the socket FD.

It owns its shard of the load, its connections and its records; what it hands over is whole tables, about once a
second. It ends when the other end of the socket does, so it cannot outlive the process that started it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Callable, Sequence

import uvloop

from holdfast.load import messages
from holdfast.load.bench import Bench
from holdfast.load.journal import Journal, MemoryTape
from holdfast.model.errors import InputError
from holdfast.model.server import Point
from holdfast.model.stages import Level

_COUNT_S = 0.5

_FAREWELL_S = 5.0
"""To deliver the last rows."""


async def work(connection: socket.socket) -> None:
    """Does what it is told until the other end of the connection is closed."""
    reader, writer = await asyncio.open_connection(sock=connection)
    job: messages.Job = await messages.receive(reader)
    line = Line(job.zero_s, writer)
    bench = Bench(job.subject, job.judged, job.seed, line, sources=(), shard=job.shard, part=job.part)
    orders = asyncio.Queue[messages.Hold]()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_listen(reader, orders, bench), name="listen")
            group.create_task(_obey(bench, orders, line), name="obey")
            group.create_task(_count(bench, line), name="count")
    except* EOFError:
        pass  # that is how it is told to stop
    await bench.close()  # what is in flight ends as cancelled, and is recorded
    with contextlib.suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(_FAREWELL_S):
            await line.said_all()
            writer.close()
            await writer.wait_closed()


class Line:
    """A worker's line to its crew, which is what it records on: rows go out as its recorder hands them on."""

    def __init__(self, zero_s: float, writer: asyncio.StreamWriter) -> None:
        self.zero_s = zero_s
        self.journal: Journal = _Sent(self.tell)
        self._loop = asyncio.get_running_loop()
        self._writer = writer

    def begin(self, index: int, level: Level, began_s: float) -> None:
        """The crew knows."""

    def observe(self, points: Sequence[Point]) -> None:
        """The crew reads the metrics itself."""

    def tell(self, message: object) -> None:
        """Sends a message, in the order of the calls, from whichever thread."""
        self._loop.call_soon_threadsafe(self._write, messages.frame(message))

    def _write(self, data: bytes) -> None:
        if not self._writer.is_closing():  # a crew that was killed hears nothing more
            self._writer.write(data)

    async def said_all(self) -> None:
        """Returns when everything is on its way."""
        await asyncio.sleep(0)
        await self._writer.drain()


class _Sent(Journal):
    """A journal in memory whose rows are told to the crew, too."""

    def __init__(self, tell: Callable[[object], None]) -> None:
        super().__init__(MemoryTape(), MemoryTape())
        self._tell = tell

    def append(self, rows: bytes, times: bytes) -> None:
        super().append(rows, times)
        self._tell(messages.Rows(rows, times))


async def _listen(reader: asyncio.StreamReader, orders: asyncio.Queue[messages.Hold], bench: Bench) -> None:
    while True:
        message = await messages.receive(reader)
        if isinstance(message, messages.End):
            bench.end(message.index)
        else:
            orders.put_nowait(message)


async def _obey(bench: Bench, orders: asyncio.Queue[messages.Hold], line: Line) -> None:
    try:
        await bench.preflight()
    except InputError as error:
        line.tell(messages.Refused.of(error))
        return
    bench.flush()
    line.tell(messages.Ready())
    while True:
        hold = await orders.get()
        # It reads the rows of the level to measure them, so all of them have been told before its end is.
        measured = await bench.hold(hold.level, hold.index, hold.pacer, hold.start_s)
        line.tell(_counts(bench))
        line.tell(messages.Held(measured.stage, bench.lost))


async def _count(bench: Bench, line: Line) -> None:
    while True:
        line.tell(_counts(bench))
        await asyncio.sleep(_COUNT_S)


def _counts(bench: Bench) -> messages.Counts:
    return messages.Counts(bench.sent, bench.in_flight)


if __name__ == "__main__":
    uvloop.run(work(socket.socket(fileno=int(sys.argv[1]))))
