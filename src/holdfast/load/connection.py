"""HTTP/1.1 on one wire: a keep-alive connection that carries one exchange at a time."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable
from typing import Protocol

import httptools

from holdfast.load.exchange import Exchange
from holdfast.load.wire import Wire
from holdfast.model.records import Outcome

_LOOK_S = 0.001
"""After this long without use it is looked whether the server closed; before, a system call per request is dearer."""

SLOW_S = 0.010
"""A stream whose output comes this far apart may be read late: two pieces of it do not fall into one nap."""
_SURE = 3
"""Pieces of output by which that is told."""


class Pool(Protocol):
    """Who keeps connections."""

    def release(self, connection: Connection, exchange: Exchange | None, *, reusable: bool) -> None:
        """The connection carries nothing any more; `exchange` is what it carried, and is about to end."""
        ...


class Connection:
    """One keep-alive connection; carries one exchange at a time."""

    def __init__(self, wire: Wire, pool: Pool) -> None:
        self._wire = wire
        self._pool = pool
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._exchange: Exchange | None = None
        self._feed: Callable[[bytes, float], None] = _ignore
        self._arrived_s = 0.0
        self._whole = False  # the response of the exchange in flight has been read to its end
        self._surplus = False  # and something came behind it
        self._keeps_alive = False
        self._naps = False
        self.idle_since_s = 0.0
        wire.listen(self)

    def send(self, exchange: Exchange) -> bool:
        """Writes the request now; False when the connection is of no use any more and nothing was sent."""
        if exchange.sent_s - self.idle_since_s > _LOOK_S and not self._wire.is_quiet:
            return False
        try:
            self._wire.send(exchange.payload, exchange.sent_s)
        except OSError:
            return False
        self._exchange = exchange
        self._feed = exchange.answer.feed
        self._whole = False
        return True

    def received(self, data: bytes, arrived_s: float) -> None:
        exchange, parser = self._exchange, self._parser
        if exchange is None or parser is None:
            self.close()  # bytes that nobody asked for: the connection is out of step
            return
        self._arrived_s = arrived_s
        if exchange.first_byte_s != exchange.first_byte_s:
            exchange.first_byte_s = arrived_s
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._whole:
                self._fail(Outcome.MALFORMED, f"the answer is not HTTP/1.1 ({error})".lower())
                return
            self._surplus = True
        if self._whole:
            self._complete(exchange)
        elif not self._naps and _is_slow(exchange.answer.times_s):
            self._naps = True
            self._wire.doze()

    def on_message_begin(self) -> None:
        if self._whole:
            self._surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._whole and self._exchange is not None:
            self._exchange.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        exchange = self._exchange
        if not self._whole and exchange is not None and self._parser is not None:
            exchange.status = self._parser.get_status_code()
            if 200 <= exchange.status < 300:
                exchange.answer.open(exchange.headers.get(b"content-type", b""))

    def on_body(self, body: bytes) -> None:
        self._feed(body, self._arrived_s)

    def on_message_complete(self) -> None:
        exchange = self._exchange
        if self._whole or exchange is None or self._parser is None:
            return
        if exchange.status < 200:  # 100 Continue and its like come before the response
            exchange.status = 0
            exchange.headers.clear()
            return
        self._whole = True
        self._feed = _ignore
        self._keeps_alive = self._parser.should_keep_alive()

    def lost(self, reason: str) -> None:
        now_s = time.perf_counter()
        exchange = self._exchange
        if exchange is None:
            self.close()
            return
        framed = b"content-length" in exchange.headers or b"transfer-encoding" in exchange.headers
        if exchange.status and not framed and not reason:
            # HTTP/1.0, or a server that ends its answer by closing: this is the end of the body.
            self._surplus = True
            self._arrived_s = now_s
            self._complete(exchange)
            return
        began = exchange.first_byte_s == exchange.first_byte_s
        self._fail(Outcome.TRUNCATED if began else Outcome.RESET, reason or "closed by the server")

    def abandon(self, outcome: Outcome, error: str = "") -> None:
        """Ends the exchange in flight with `outcome` and closes: the server learns that nobody waits."""
        self._fail(outcome, error)

    def close(self) -> None:
        """Closes at once; of use only when no exchange is in flight."""
        self._discard(None)

    def _complete(self, exchange: Exchange) -> None:
        if self._keeps_alive and not self._surplus:
            self._exchange = None
            self.idle_since_s = self._arrived_s
            if self._naps:
                self._naps = False
                self._wire.attend()
            # First the connection is free, then the exchange ends: who sends the next one then can have it.
            self._pool.release(self, exchange, reusable=True)
        else:
            self._discard(exchange)
        exchange.complete(self._arrived_s)

    def _fail(self, outcome: Outcome, error: str) -> None:
        exchange = self._exchange
        self._discard(exchange)
        if exchange is not None:
            exchange.fail(outcome, time.perf_counter(), error)

    def _discard(self, exchange: Exchange | None) -> None:
        self._exchange = None
        self._feed = _ignore
        self._wire.close()
        self._parser = None  # it holds this connection: without the cycle both go at once, the collector being off
        self._pool.release(self, exchange, reusable=False)


def _is_slow(times_s: array[float]) -> bool:
    return len(times_s) >= _SURE and times_s[-1] - times_s[0] >= SLOW_S * (len(times_s) - 1)


def _ignore(body: bytes, now_s: float) -> None:
    """The body of what nobody asked for."""
