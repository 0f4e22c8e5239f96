"""An HTTP/1.1 client for measuring: keep-alive, no coroutine per request, arrival times by the kernel's clock.

    Client --> Connection (HTTP, connection.py) --> Wire (bytes and their arrival times, wire.py)
         +---> Dial (names, addresses, TLS, dial.py)

A `Connection` carries one exchange at a time; `Client` keeps the idle ones and opens more when none is free, so that
an open-loop load is never held back by a pool size.
"""

from __future__ import annotations

import asyncio
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from holdfast.load import dial
from holdfast.load.answers import Answer
from holdfast.load.connection import Connection
from holdfast.load.dial import Dial
from holdfast.load.exchange import Exchange
from holdfast.load.wire import Wire
from holdfast.model.errors import InputError
from holdfast.model.records import Outcome

__all__ = ["Client", "Exchange", "Target"]

_IDLE_S = 2.0
"""An idle connection older than this is not used again: servers close them (uvicorn after 5 s), and a
request written into a closing connection would be counted as the server's failure."""

CONNECT_S = 10.0
"""For a name to be resolved, a connection made and TLS agreed on. A packet that is lost on the way is sent again after
1, 3 and 7 s; who has not answered by then will not, however long the answers to requests may take."""


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
        more = {"content-type": "application/json", "content-length": str(len(body))} if body else {}
        return self._head(method, path, {**more, **(headers or {})}) + b"\r\n" + body

    def poster(self, path: str, headers: Mapping[str, str]) -> Callable[[bytes], bytes]:
        """Makes the bytes of POST requests to `path`, of their bodies alone."""
        head = self._head("POST", path, {**headers, "content-type": "application/json"}) + b"content-length: "
        return lambda body: b"%b%d\r\n\r\n%b" % (head, len(body), body)

    def _head(self, method: str, path: str, headers: Mapping[str, str]) -> bytes:
        netloc = self.base.split("://", 1)[1].split("/", 1)[0]
        lines = [f"{method} {self.prefix}{path} HTTP/1.1", f"host: {netloc}", "user-agent: holdfast"]
        return "".join(f"{line}\r\n" for line in [*lines, *(f"{k}: {v}" for k, v in headers.items())]).encode()


class Client:
    """Sends exchanges to one target over as many keep-alive connections as are needed at once."""

    def __init__(self, target: Target, *, timeout_s: float, headers: Mapping[str, str] | None = None) -> None:
        """timeout_s: from the send of a request to its complete answer; connecting gets CONNECT_S of it at most."""
        self.target = target
        self._timeout_s = timeout_s
        self._headers = dict(headers or {})
        self._dial = Dial(target.host, target.port, tls=target.tls, timeout_s=min(timeout_s, CONNECT_S))
        self._idle: dict[Connection, None] = {}  # the one that was used last comes last
        self._carried: dict[Exchange, Connection | asyncio.Task[Wire]] = {}  # in the order of their sends
        self._dialling: set[asyncio.Task[Wire]] = set()

    @property
    def opened(self) -> int:
        """Connections opened so far."""
        return self._dial.opened

    def poster(self, path: str) -> Callable[[bytes], bytes]:
        """Makes the bytes of POST requests with this client's headers, of their bodies alone."""
        return self.target.poster(path, self._headers)

    def send(self, exchange: Exchange) -> None:
        """Sends now; `exchange.on_end` is called when it ended, however it ended, and never from within this call."""
        now_s = exchange.sent_s = time.perf_counter()
        while self._idle:
            connection, _ = self._idle.popitem()
            # A connection that turns out to be closed before it took a byte is the server's right, and no failure.
            if now_s - connection.idle_since_s < _IDLE_S and connection.send(exchange):
                self._carried[exchange] = connection
                return
            connection.close()
        task = asyncio.get_running_loop().create_task(self._dial.open(), name="connect")
        self._dialling.add(task)
        self._carried[exchange] = task
        task.add_done_callback(lambda done: self._dialled(exchange, done))

    async def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of a GET, status 0 when no answer came. For probes and /metrics, not for load."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        answer = _Whole()
        payload = self.target.request("GET", path, headers=self._headers)
        exchange = Exchange(payload, answer, lambda _: None if done.done() else done.set_result(None))
        self.send(exchange)
        try:
            async with asyncio.timeout(self._timeout_s):
                await done
        except TimeoutError:
            return 0, b""
        finally:
            self._drop(exchange, Outcome.CANCELLED)
        return exchange.status, bytes(answer.body)

    def expire(self) -> None:
        """Ends what has been in flight for longer than the time-out. Call it now and then."""
        limit_s = time.perf_counter() - self._timeout_s
        late = []
        for exchange in self._carried:
            if exchange.sent_s >= limit_s:
                break
            late.append(exchange)
        for exchange in late:
            connecting = isinstance(self._carried.get(exchange), asyncio.Task)
            self._drop(exchange, Outcome.CONNECT if connecting else Outcome.TIMEOUT, "timed out")

    def abandon(self) -> None:
        """Ends everything in flight as CANCELLED."""
        for exchange in list(self._carried):
            self._drop(exchange, Outcome.CANCELLED)

    async def close(self) -> None:
        """Ends everything in flight and closes every connection."""
        self.abandon()
        for connection in list(self._idle):
            connection.close()
        self._dial.close()
        if self._dialling:
            await asyncio.wait(list(self._dialling))

    def release(self, connection: Connection, exchange: Exchange | None, *, reusable: bool) -> None:
        if exchange is not None:
            del self._carried[exchange]
        if reusable:
            self._idle[connection] = None
        else:
            self._idle.pop(connection, None)

    def _drop(self, exchange: Exchange, outcome: Outcome, error: str = "") -> None:
        """Ends an exchange if it is in flight."""
        carrier = self._carried.get(exchange)
        if isinstance(carrier, Connection):
            carrier.abandon(outcome, error)
        elif carrier is not None:
            del self._carried[exchange]
            carrier.cancel()
            exchange.fail(outcome, time.perf_counter(), error)

    def _dialled(self, exchange: Exchange, task: asyncio.Task[Wire]) -> None:
        self._dialling.discard(task)
        waits = exchange in self._carried
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            if not isinstance(error, OSError | UnicodeError):
                raise error
            if waits:
                del self._carried[exchange]
                spent = dial.is_exhaustion(error)
                exchange.fail(Outcome.EXHAUSTED if spent else Outcome.CONNECT, time.perf_counter(), dial.reason(error))
            return
        connection = Connection(task.result(), self)
        if not waits:
            connection.close()
        elif connection.send(exchange):
            self._carried[exchange] = connection
        else:
            del self._carried[exchange]
            connection.close()
            exchange.fail(Outcome.RESET, time.perf_counter(), "closed by the server")


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
