"""One worker of a crew: `python -m holdfast.load.worker FD`, told what to send over the socket FD.

It owns its shard of the load, its connections and its records; what it hands over is whole tables, about once a
second. It ends when the other end of the socket does, so it cannot outlive the process that started it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys

import uvloop

from holdfast.load import messages
from holdfast.load.bench import Bench
from holdfast.model.errors import InputError

_EVERY_S = 1.0
"""Between two deliveries of rows: what a killed worker loses."""

_FAREWELL_S = 5.0
"""To deliver the last rows."""


async def work(connection: socket.socket) -> None:
    """Does what it is told until the other end of the connection is closed."""
    reader, writer = await asyncio.open_connection(sock=connection)
    job: messages.Job = await messages.receive(reader)
    bench = Bench(job.subject, None, job.seed, shard=job.shard, part=job.part)
    delivery = _Delivery(bench, writer)
    orders = asyncio.Queue[messages.Hold]()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_listen(reader, orders), name="listen")
            group.create_task(_obey(bench, orders, delivery), name="obey")
            group.create_task(_deliver(delivery), name="deliver")
    except* EOFError:
        pass  # that is how it is told to stop
    await bench.close()  # what is in flight ends as cancelled, and is recorded
    with contextlib.suppress(ConnectionError, TimeoutError):
        delivery.rows()
        async with asyncio.timeout(_FAREWELL_S):
            await writer.drain()
            writer.close()
            await writer.wait_closed()


class _Delivery:
    """What goes back to the crew."""

    def __init__(self, bench: Bench, writer: asyncio.StreamWriter) -> None:
        self._bench = bench
        self._writer = writer
        self._delivered = 0

    def rows(self) -> None:
        """The rows that have come since the last time, if any."""
        table = self._bench.requests_from(self._delivered)
        if len(table):
            self._delivered += len(table)
            # On the clock itself, which the processes of one machine share, and not from this worker's own zero.
            self.tell(messages.Rows(table.shifted(-self._bench.zero_s * self._bench.subject.time_scale)))

    def tell(self, message: object) -> None:
        self._writer.write(messages.frame(message))


async def _listen(reader: asyncio.StreamReader, orders: asyncio.Queue[messages.Hold]) -> None:
    while True:
        orders.put_nowait(await messages.receive(reader))


async def _obey(bench: Bench, orders: asyncio.Queue[messages.Hold], delivery: _Delivery) -> None:
    try:
        await bench.preflight()
    except InputError as error:
        delivery.tell(messages.Refused.of(error))
        return
    delivery.tell(messages.Ready())
    while True:
        hold = await orders.get()
        measured = await bench.hold(hold.level, hold.index, hold.shape, hold.start_s)
        delivery.rows()
        delivery.tell(messages.Held(measured.stage))


async def _deliver(delivery: _Delivery) -> None:
    while True:
        await asyncio.sleep(_EVERY_S)
        delivery.rows()


if __name__ == "__main__":
    uvloop.run(work(socket.socket(fileno=int(sys.argv[1]))))
