"""A server of the test's own loop: raw bytes on loopback, so that each way to misbehave is a few lines of the test."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from holdfast.load.answers import Answer
from holdfast.load.http import Client, Exchange, Target

Reply = Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]
"""Answers one request, whose body it is given, by writing or by closing."""

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
TOKEN = b'data: {"choices": [{"text": "x"}]}\n\n'
CLOSING = b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5}}\n\ndata: [DONE]\n\n'
WHOLE = HEAD + b"".join(b"%x\r\n%b\r\n" % (len(e), e) for e in [TOKEN] * 5 + [CLOSING]) + b"0\r\n\r\n"
UNARY = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 28\r\n\r\n{"choices": [{"text": "x"}]}'


class Raw:
    """A server on a port of its own; it can be killed with all its connections, and brought back."""

    def __init__(self, reply: Reply, tls: ssl.SSLContext | None, host: str) -> None:
        self._reply = reply
        self._tls = tls
        self._host = host
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.accepted = 0

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, self._host, self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def kill(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0.01)

    def hang_up(self) -> None:
        """Ends every connection at once, without a turn of the loop."""
        for writer in self._writers:
            writer.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._writers.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
                await self._reply(writer, await reader.readexactly(length))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()


@asynccontextmanager
async def serving(reply: Reply, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[Raw]:
    server = Raw(reply, tls, host)
    await server.start()
    try:
        yield server
    finally:
        await server.kill()


def says(*pieces: bytes) -> Reply:
    """Answers every request with these pieces, each written by itself."""

    async def reply(writer: asyncio.StreamWriter, _: bytes) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()

    return reply


@asynccontextmanager
async def connected(url: str, timeout_s: float = 5.0) -> AsyncIterator[Client]:
    client = Client(Target.parse(url), timeout_s=timeout_s)
    try:
        yield client
    finally:
        await client.close()


async def ask(client: Client, *, streams: bool = True, answer: Answer | None = None) -> Exchange:
    """One request, to its end."""
    done = asyncio.get_running_loop().create_future()
    payload = client.target.request("POST", "/v1/completions", b"{}")
    client.send(Exchange(payload, answer or Answer(streams=streams), done.set_result))
    async with asyncio.timeout(10):
        while not done.done():
            client.expire()
            await asyncio.sleep(0.005)
    ended = done.result()
    assert isinstance(ended, Exchange)
    return ended
