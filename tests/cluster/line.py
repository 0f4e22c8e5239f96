"""The line between an operator and the API server, which can be held or cut: over TCP, and without sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import httpx2


@dataclass
class Line(httpx2.AsyncBaseTransport):
    """A transport over another, for the API server in the same process.

    cut: nothing goes out. Held, requests wait, and go out when it is released, unless who sent them has given up.
    """

    inner: httpx2.AsyncBaseTransport
    cut: bool = False
    _open: asyncio.Event = field(default_factory=asyncio.Event)
    _streams: set[_Breakable] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._open.set()

    def hold(self) -> None:
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    def sever(self) -> None:
        """Cuts it, also for the streams that are open."""
        self.cut = True
        for stream in self._streams:
            stream.broken.set()
        self._streams.clear()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        await self._open.wait()
        if self.cut:
            raise httpx2.ConnectError("the line is cut", request=request)
        answer = await self.inner.handle_async_request(request)
        if isinstance(answer.stream, httpx2.AsyncByteStream) and b"watch=" in request.url.query:
            stream = _Breakable(answer.stream)
            self._streams.add(stream)
            answer.stream = stream
        return answer


class _Breakable(httpx2.AsyncByteStream):
    """A stream that breaks when it is told to."""

    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self.broken = asyncio.Event()
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = aiter(self._inner)
        breaks = asyncio.ensure_future(self.broken.wait())
        chunk = asyncio.ensure_future(anext(chunks, b""))
        try:
            while True:
                await asyncio.wait({chunk, breaks}, return_when=asyncio.FIRST_COMPLETED)
                if breaks.done():
                    raise httpx2.ReadError("the line is cut")
                if not (line := chunk.result()):
                    return
                yield line
                chunk = asyncio.ensure_future(anext(chunks, b""))
        finally:
            for waiting in (breaks, chunk):
                waiting.cancel()
            await asyncio.wait({breaks, chunk})

    async def aclose(self) -> None:
        await self._inner.aclose()


class Tunnel:
    """A TCP port of this machine that leads to another address, for an operator that is a process."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._links: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.cut = False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.sever()
        for task in self._tasks:
            task.cancel()

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def sever(self) -> None:
        """Breaks what is open; whether more may be opened is said by `cut`."""
        for writer in self._links:
            writer.transport.abort()
        self._links.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.cut:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        self._links |= {writer, far_writer}
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(_pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.transport.abort()
