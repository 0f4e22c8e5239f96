"""Getting a connection: the name resolved, its addresses tried in turn, the TLS handshake done."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import time
from typing import Any

from holdfast.load import wire
from holdfast.load.nap import Nap
from holdfast.load.wire import Tls, Wire

_FRESH_S = 5.0
"""How long the addresses of a name are kept: a failover by DNS is seen, and a burst of connections asks once."""

_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS}
"""Errors that say that this machine has no more to connect with; they say nothing about the server."""

_Address = tuple[socket.AddressFamily, Any]


class Dial:
    """Opens wires to one host and port."""

    def __init__(self, host: str, port: int, *, tls: bool, timeout_s: float) -> None:
        """timeout_s: for all of it; one address has an equal share."""
        self._host = host
        self._port = port
        self._timeout_s = timeout_s
        self._tls = _context() if tls else None
        self._nap = Nap()
        self._lookup: asyncio.Task[list[_Address]] | None = None
        self._looked_up_s = 0.0
        self.opened = 0
        """Connections opened so far."""

    async def open(self) -> Wire:
        """A connected wire. Raises OSError (TimeoutError and ssl.SSLError among it) or UnicodeError; see `reason`."""
        async with asyncio.timeout(self._timeout_s):
            addresses = self._in_turn(await self._resolved())
            failure: OSError | None = None
            for address in addresses:
                try:
                    async with asyncio.timeout(self._timeout_s / len(addresses)):
                        connected = await self._connect(address)
                        self.opened += 1
                        return connected
                except OSError as error:
                    failure = error
                    if is_exhaustion(error):
                        break
            try:
                raise failure or OSError("the name has no address")
            finally:
                failure = None  # an exception that is a local of its own traceback is a cycle

    def close(self) -> None:
        """Gives up a look-up in progress. The wires that it opened have to be closed before."""
        self._nap.close()
        if self._lookup is not None:
            self._lookup.cancel()

    async def _resolved(self) -> list[_Address]:
        """The addresses of the host; one look-up serves all that wait for it."""
        now_s = time.perf_counter()
        lookup = self._lookup
        if lookup is None or (lookup.done() and (_failed(lookup) or now_s - self._looked_up_s > _FRESH_S)):
            lookup = self._lookup = asyncio.create_task(self._look_up(), name="resolve")
            self._looked_up_s = now_s
            lookup.add_done_callback(_failed)  # an exception that all waiters were cancelled for is seen here
        return await asyncio.shield(lookup)

    async def _look_up(self) -> list[_Address]:
        found = await asyncio.get_running_loop().getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        return [(family, address) for family, _, _, _, address in found]

    def _in_turn(self, addresses: list[_Address]) -> list[_Address]:
        """The preferred family first, begun one further each time: all replicas behind a name get their share."""
        preferred = [address for address in addresses if address[0] == addresses[0][0]]
        others = [address for address in addresses if address[0] != addresses[0][0]]
        turn = self.opened % len(preferred)
        return preferred[turn:] + preferred[:turn] + others

    async def _connect(self, address: _Address) -> Wire:
        opened = socket.socket(address[0], socket.SOCK_STREAM)
        try:
            opened.setblocking(False)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stamped = wire.stamp(opened)
            await asyncio.get_running_loop().sock_connect(opened, address[1])
            tls = await self._shake_hands(self._tls, opened) if self._tls is not None else None
            return Wire(opened, tls, self._nap, stamped=stamped)
        except BaseException:
            opened.close()
            raise

    async def _shake_hands(self, context: ssl.SSLContext, opened: socket.socket) -> Tls:
        loop = asyncio.get_running_loop()
        tls = Tls(context, self._host)
        done, said = tls.shake_hands(b"")
        while True:
            if said:
                await loop.sock_sendall(opened, said)
            if done:
                return tls
            heard = await loop.sock_recv(opened, wire.READ_BYTES)
            if not heard:
                raise ConnectionResetError("closed during the TLS handshake")
            done, said = tls.shake_hands(heard)


def is_exhaustion(error: Exception) -> bool:
    """Whether this machine, and not the server, is why there is no connection."""
    return isinstance(error, OSError) and error.errno in _EXHAUSTED


def reason(error: OSError | UnicodeError) -> str:
    """Why there is no connection, in a few words: `connection refused`, `name or service not known`, ..."""
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"the TLS handshake failed: {(error.reason or str(error)).lower().replace('_', ' ')}"
    number = error.errno if isinstance(error, OSError) else None
    if number is not None and number in errno.errorcode:
        return os.strerror(number).lower()
    return ((error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__).lower()


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])  # some servers take HTTP/2 for granted where nobody asks
    return context


def _failed(lookup: asyncio.Task[list[_Address]]) -> bool:
    return lookup.cancelled() or lookup.exception() is not None
