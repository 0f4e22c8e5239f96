"""The servers of limits/virtual.py, whose limits are known in closed form, over HTTP and in real time.

    python queueing_server.py PORT_FILE NAME SEED

When each answer is due follows from when the kernel had its request, as on virtual time, so that neither a late timer
nor a process that was not scheduled takes anything from the server's capacity.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections import deque
from pathlib import Path

import numpy as np

from holdfast.load import wire
from holdfast.load.nap import Nap
from holdfast.load.wire import Wire
from holdfast.model.records import Outcome
from limits.virtual import Server, Slots, exponential, fixed

SERVERS: dict[str, Server] = {
    "D/D/4": Slots(4, fixed(0.020)),
    "429 above 8": Slots(4, fixed(0.020), most=8),
    "M/M/4": Slots(4, exponential(0.005)),
}

_BODY = b'{"data": [{"b64_json": "AA=="}]}'
_OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
_REJECTED = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n"
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"


class Queue:
    """Asks the virtual server about each request as it comes, and answers when that says so."""

    def __init__(self, server: Server, seed: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._zero_s = self._loop.time()
        self._arrivals_s = deque[float]()
        self._answers = server.serve(iter(self._arrivals_s.popleft, None), np.random.default_rng(seed))
        self._came = list[tuple[float, int, Visitor]]()

    def come(self, arrived_s: float, visitor: Visitor) -> None:
        """A request has come; what this turn of the loop reads is looked at together, in the order of arrival."""
        if not self._came:
            self._loop.call_soon(self._admit)
        self._came.append((arrived_s - self._zero_s, len(self._came), visitor))

    def _admit(self) -> None:
        came, self._came = sorted(self._came), []
        for arrived_s, _, visitor in came:
            self._arrivals_s.append(arrived_s)
            answered = next(self._answers)
            say = _OK if answered.outcome is Outcome.OK else _REJECTED
            self._loop.call_at(self._zero_s + answered.end_s, visitor.answer, say)


class Visitor:
    """One connection; see wire.Listener."""

    def __init__(self, connected: socket.socket, queue: Queue) -> None:
        self._queue = queue
        self._heard = b""
        self._wire: Wire | None = Wire(connected, None, Nap(), stamped=wire.stamp(connected))
        self._wire.listen(self)

    def received(self, data: bytes, arrived_s: float) -> None:
        self._heard += data
        head, _, body = self._heard.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        if not self._heard.count(b"\r\n\r\n") or len(body) < length:
            return
        self._heard = b""
        if head.startswith(b"GET "):
            self.answer(_NOT_FOUND)
        else:
            self._queue.come(arrived_s, self)

    def lost(self, reason: str) -> None:
        self._wire = None

    def answer(self, data: bytes) -> None:
        if self._wire is not None:
            self._wire.send(data, time.perf_counter())


async def serve(port_file: Path, name: str, seed: int) -> None:
    queue, loop = Queue(SERVERS[name], seed), asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        listening.setblocking(False)
        partial = port_file.with_suffix(".part")
        partial.write_text(str(listening.getsockname()[1]))
        partial.rename(port_file)
        async with asyncio.timeout(300):
            while True:
                connected, _ = await loop.sock_accept(listening)
                Visitor(connected, queue)


if __name__ == "__main__":
    # Not uvloop, whose timers may be a millisecond early: a user would be back before his slot is free.
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
