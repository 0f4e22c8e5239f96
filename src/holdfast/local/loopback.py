"""One small HTTP exchange with a process of this machine: a readiness probe, a word with Envoy's admin port."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass

import httptools

_MOST_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Address:
    """Where a process of this machine listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


@dataclass(frozen=True)
class Answer:
    """A complete response. `status` is 0 when the connection ended before one came."""

    status: int
    body: bytes


class _Response:
    """The callbacks of httptools' parser, gathering one response."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.body = bytearray()
        self.complete = False

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


async def exchange(address: Address, method: str, target: str, *, timeout_s: float) -> Answer:
    """Send one request without a body on a connection of its own and read the answer.

    Raises OSError when there is no connection, and TimeoutError (an OSError) after `timeout_s` seconds.
    """
    async with asyncio.timeout(timeout_s):
        reader, writer = await asyncio.open_connection(address.host, address.port)
        try:
            writer.write(
                f"{method} {target} HTTP/1.1\r\nhost: {address.host}\r\ncontent-length: 0\r\n"
                "connection: close\r\n\r\n".encode()
            )
            return await _answer(reader)
        finally:
            writer.close()


async def _answer(reader: asyncio.StreamReader) -> Answer:
    response = _Response()
    try:
        while not response.complete and len(response.body) < _MOST_BYTES:
            chunk = await reader.read(65536)
            if not chunk:
                break
            response.parser.feed_data(chunk)
    except httptools.HttpParserError:
        return Answer(0, b"")
    status: int = response.parser.get_status_code() if response.complete else 0
    return Answer(status, bytes(response.body))


def free_address() -> Address:
    """An address of 127.0.0.1 that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
    return Address(host, port)


async def is_taken(address: Address) -> bool:
    """Whether somebody takes connections there."""
    try:
        _, writer = await asyncio.open_connection(address.host, address.port)
    except OSError:
        return False
    # The kernel may connect a free port with itself, when it happens to draw it for the client.
    taken = bool(writer.get_extra_info("sockname") != writer.get_extra_info("peername"))
    writer.close()
    return taken


async def is_ready(address: Address, path: str, *, timeout_s: float) -> bool:
    """Whether GET `path` is answered with 200 within `timeout_s` seconds."""
    try:
        return (await exchange(address, "GET", path, timeout_s=timeout_s)).status == 200
    except OSError:
        return False
