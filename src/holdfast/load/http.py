"""An HTTP/1.1 client for measuring: keep-alive, no coroutine per request, arrival times read first of all.

One `Connection` is an asyncio protocol that carries one exchange at a time; `Client` keeps the idle ones
and opens more when none is free, so that an open-loop load is never held back by a pool size. When bytes
arrive, the clock is read before anything else is done with them.
"""

from __future__ import annotations

import asyncio
import errno
import math
import os
import ssl
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import httptools

from holdfast.load.answers import Answer
from holdfast.model.errors import InputError
from holdfast.model.records import Outcome

_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS}
"""Errors that say that this machine has no more to connect with; they say nothing about the server."""

_IDLE_S = 2.0
"""An idle connection older than this is not used again: servers close them (uvicorn after 5 s), and a
request written into a closing connection would be counted as the server's failure."""


@dataclass(frozen=True)
class Target:
    """Where requests go. `base` is scheme://host[:port][/prefix]."""

    host: str
    port: int
    tls: bool
    prefix: str
    base: str

    @classmethod
    def parse(cls, url: str) -> Target:
        """Raises InputError for anything that is not an http(s) URL. A trailing `/v1` is accepted and dropped."""
        try:
            parts = urllib.parse.urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError as error:
            raise InputError(f"{url!r} is not a URL ({error})", mend="write it like http://127.0.0.1:8000") from error
        if not url.isprintable() or " " in url or parts.query or parts.fragment or parts.port == 0:
            raise InputError(
                f"{url!r} has a blank, a query, a fragment or port 0", mend="write it like http://127.0.0.1:8000"
            )
        if parts.path.rstrip("/").endswith(("/completions", "/generations")):
            raise InputError(f"{url!r} names an API's path", mend="give the part before /v1, and the API with --api")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"{url!r} is not an http(s) URL", mend="write it like http://127.0.0.1:8000")
        if parts.username or parts.password:
            raise InputError("a URL must not carry credentials", mend="send a token with --token-from instead")
        prefix = parts.path.rstrip("/").removesuffix("/v1")
        return cls(parts.hostname, port, parts.scheme == "https", prefix, f"{parts.scheme}://{parts.netloc}{prefix}")

    def request(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
        """The bytes of a request to `path` below the base."""
        netloc = self.base.split("://", 1)[1].split("/", 1)[0]
        lines = [f"{method} {self.prefix}{path} HTTP/1.1", f"host: {netloc}", "user-agent: holdfast"]
        if body:
            lines += ["content-type: application/json", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Exchange:
    """One request and what came back. Times are `time.perf_counter` seconds, NaN until they happen."""

    __slots__ = (
        "answer",
        "end_s",
        "error",
        "first_byte_s",
        "headers",
        "on_end",
        "outcome",
        "payload",
        "sent_s",
        "status",
    )

    def __init__(self, payload: bytes, answer: Answer, on_end: Callable[[Exchange], None]) -> None:
        self.payload = payload
        self.answer = answer
        self.on_end = on_end
        self.sent_s = math.nan
        self.first_byte_s = math.nan
        self.end_s = math.nan
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.outcome = Outcome.OK
        self.error = ""

    def end(self, outcome: Outcome, now_s: float) -> None:
        self.outcome = outcome
        self.end_s = now_s
        self.on_end(self)


class Connection(asyncio.Protocol):
    """One keep-alive connection; carries one exchange at a time."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._exchange: Exchange | None = None
        self._now_s = 0.0
        self.idle_since_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's, though they do the same.
        self._transport = cast(asyncio.Transport, transport)

    @property
    def is_closing(self) -> bool:
        """Whether the server closed it before anything was sent."""
        return self._transport is None or self._transport.is_closing()

    def send(self, exchange: Exchange) -> None:
        """Writes the request now."""
        assert self._transport is not None
        self._exchange = exchange
        self._transport.write(exchange.payload)

    def data_received(self, data: bytes) -> None:
        self._now_s = time.perf_counter()
        exchange = self._exchange
        if exchange is None:
            self.close()  # bytes that nobody asked for: the connection is out of step
            return
        if exchange.first_byte_s != exchange.first_byte_s:
            exchange.first_byte_s = self._now_s
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._finish(Outcome.MALFORMED)
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._exchange is not None:
            self._exchange.headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        if self._exchange is not None:
            self._exchange.answer.feed(body, self._now_s)

    def on_headers_complete(self) -> None:
        if self._exchange is not None:
            self._exchange.status = self._parser.get_status_code()

    def on_message_complete(self) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        exchange.answer.finish(self._now_s)
        outcome = _settled(exchange)
        reusable = self._parser.should_keep_alive()
        self._parser = httptools.HttpResponseParser(self)
        if reusable:
            self.idle_since_s = self._now_s
            self._client.give_back(self)
        else:
            self.close()
        self._finish(outcome)

    def connection_lost(self, error: Exception | None) -> None:
        self._client.forget(self)
        exchange = self._exchange
        if exchange is None:
            return
        self._now_s = time.perf_counter()
        framed = b"content-length" in exchange.headers or b"transfer-encoding" in exchange.headers
        if exchange.status and not framed:
            # HTTP/1.0, or a server that ends its answer by closing: this is the end of the body.
            exchange.answer.finish(self._now_s)
            self._finish(_settled(exchange))
        else:
            self._finish(Outcome.TRUNCATED if exchange.first_byte_s == exchange.first_byte_s else Outcome.RESET)

    def abandon(self, outcome: Outcome) -> None:
        """Ends the exchange in flight with `outcome` and closes: the server learns that nobody waits."""
        self._now_s = time.perf_counter()
        self._finish(outcome)
        self.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _finish(self, outcome: Outcome) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.end(outcome, self._now_s)


def _reason(error: OSError | UnicodeError) -> str:
    """Why there is no connection, in a few words: `Connection refused`, `Name or service not known`, ..."""
    if isinstance(error, TimeoutError):
        return "timed out"
    number = error.errno if isinstance(error, OSError) else None
    if number is not None and number in errno.errorcode:
        return os.strerror(number).lower()
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _settled(exchange: Exchange) -> Outcome:
    """What a complete answer is."""
    if exchange.status == 429:
        return Outcome.REJECTED
    if not 200 <= exchange.status < 300:
        return Outcome.HTTP_ERROR
    if exchange.answer.body_ok:
        return Outcome.OK
    # A stream that ended in order at the HTTP level but without its last event was cut short upstream.
    return Outcome.TRUNCATED if exchange.answer.chunks else Outcome.MALFORMED


class Client:
    """Sends exchanges to one target over as many keep-alive connections as are needed at once."""

    def __init__(self, target: Target, *, timeout_s: float, headers: Mapping[str, str] | None = None) -> None:
        """timeout_s: from the send of a request to its complete answer, and for connecting."""
        self.target = target
        self._timeout_s = timeout_s
        self._headers = dict(headers or {})
        self._idle: list[Connection] = []
        self._busy: dict[Connection, Exchange] = {}
        self._connecting: dict[asyncio.Task[None], Exchange] = {}
        self._tls = ssl.create_default_context() if target.tls else None

    def payload(self, path: str, body: bytes) -> bytes:
        """The bytes of a POST with this client's headers."""
        return self.target.request("POST", path, body, self._headers)

    def send(self, exchange: Exchange) -> None:
        """Sends now; `exchange.on_end` is called when it ended, however it ended."""
        now_s = exchange.sent_s = time.perf_counter()
        while self._idle:
            connection = self._idle.pop()
            if now_s - connection.idle_since_s < _IDLE_S and not connection.is_closing:
                self._busy[connection] = exchange
                connection.send(exchange)
                return
            connection.close()
        task = asyncio.get_running_loop().create_task(self._connect(exchange), name="connect")
        self._connecting[task] = exchange
        task.add_done_callback(lambda done: self._connecting.pop(done, None))

    async def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of a GET, status 0 when no answer came. For probes and /metrics, not for load."""
        done: asyncio.Future[Exchange] = asyncio.get_running_loop().create_future()
        answer = _Whole()
        payload = self.target.request("GET", path, headers=self._headers)

        def ended(exchange: Exchange) -> None:
            if not done.done():
                done.set_result(exchange)

        self.send(Exchange(payload, answer, ended))
        try:
            exchange = await asyncio.wait_for(done, self._timeout_s)
        except TimeoutError:
            return 0, b""
        return exchange.status, bytes(answer.body)

    def expire(self) -> None:
        """Ends what has been in flight for longer than the time-out. Call it now and then."""
        limit_s = time.perf_counter() - self._timeout_s
        for connection, exchange in list(self._busy.items()):
            if exchange.sent_s < limit_s:
                connection.abandon(Outcome.TIMEOUT)

    def abandon(self) -> None:
        """Ends everything in flight as CANCELLED."""
        for connection in list(self._busy):
            connection.abandon(Outcome.CANCELLED)
        for task in list(self._connecting):
            task.cancel()

    async def close(self) -> None:
        """Ends everything in flight and closes every connection."""
        self.abandon()
        for connection in self._idle:
            connection.close()
        self._idle.clear()
        if self._connecting:
            await asyncio.wait(list(self._connecting))
        await asyncio.sleep(0)  # lets the transports report that they are closed

    def give_back(self, connection: Connection) -> None:
        """A connection is free again."""
        self._busy.pop(connection, None)
        self._idle.append(connection)

    def forget(self, connection: Connection) -> None:
        """A connection is closed."""
        self._busy.pop(connection, None)
        if connection in self._idle:
            self._idle.remove(connection)

    async def _connect(self, exchange: Exchange) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await asyncio.wait_for(
                loop.create_connection(lambda: Connection(self), self.target.host, self.target.port, ssl=self._tls),
                self._timeout_s,
            )
        except (OSError, UnicodeError) as error:
            exchange.error = _reason(error)
            spent = isinstance(error, OSError) and error.errno in _EXHAUSTED
            exchange.end(Outcome.EXHAUSTED if spent else Outcome.CONNECT, time.perf_counter())
            return
        except asyncio.CancelledError:
            exchange.end(Outcome.CANCELLED, time.perf_counter())
            raise
        if connection.is_closing:
            exchange.end(Outcome.RESET, time.perf_counter())
            return
        self._busy[connection] = exchange
        connection.send(exchange)


class _Whole(Answer):
    """An answer that is simply kept."""

    __slots__ = ("body",)

    def __init__(self) -> None:
        super().__init__(streams=False)
        self.body = bytearray()

    def feed(self, data: bytes, now_s: float) -> None:
        self.body += data

    def finish(self, now_s: float) -> None:
        self.body_ok = True
