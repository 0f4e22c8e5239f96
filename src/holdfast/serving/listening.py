"""A socket, and uvicorn on it: what every server of holdfast shares below its application."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from holdfast.model.errors import InputError

_BACKLOG = 2048
_KEEP_ALIVE_S = 75


class Listener(uvicorn.Server):
    """Uvicorn with its two moments handed out: when it accepts connections, and when a signal asks it to end."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None], signalled: Callable[[], object]) -> None:
        super().__init__(config)
        self._listening = listening
        self._signalled = signalled

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._signalled()


class Connection(HttpToolsProtocol):
    """A connection that is closed when the head of a request takes longer than 20 s or 64 KiB, when its first request
    does not begin for as long as one is kept alive, when more than 16 MiB of a body come after it was answered, or when
    the other side of TLS does not say goodbye within 1 s of the last answer. Uvicorn bounds none of these."""

    head_s = 20.0
    most_head_bytes = 64 * 1024
    most_unread_bytes = 16 * 1024 * 1024
    goodbye_s = 1.0

    _head_bytes = 0
    _unread_bytes = 0
    _in_head = True
    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._patience = self.loop.call_later(self.timeout_keep_alive, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._hasten()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self.most_head_bytes:
                self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._unread_bytes = True, 0
        self._hasten()
        self._patience = self.loop.call_later(self.head_s, self.transport.abort)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._in_head, self._head_bytes = False, 0
        self._hasten()

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        if self.cycle.response_complete:
            self._unread_bytes += len(body)
            if self._unread_bytes > self.most_unread_bytes:
                self.transport.abort()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._part()

    def shutdown(self) -> None:
        super().shutdown()
        self._part()

    def _part(self) -> None:
        # An idle client does not look: the event loop would wait 30 s for it, and the drain with it.
        if self.transport.is_closing() and self.transport.get_extra_info("ssl_object") is not None:
            self.loop.call_later(self.goodbye_s, self.transport.abort)

    def _hasten(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


def config(
    app: Any,
    *,
    certificate: Path | None,
    key: Path | None,
    connection: type[Connection] = Connection,
    headers: Sequence[tuple[str, str]] = (),
) -> uvicorn.Config:
    """Uvicorn's settings. certificate, key: files for HTTPS; headers: of every answer."""
    return uvicorn.Config(
        app,
        http=connection,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",  # it warns of each request that is no HTTP, which anybody may send
        access_log=False,
        server_header=False,
        headers=list(headers),
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )


def check_certificate(certificate: Path | None, key: Path | None) -> None:
    """Raises InputError for files that HTTPS cannot be served with; none are fine."""
    if (certificate is None) != (key is None):
        raise InputError("HTTPS needs both", where="--ssl-certfile", mend="give --ssl-certfile and --ssl-keyfile")
    if certificate is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except OSError as error:  # ssl.SSLError is one
        raise InputError(
            f"{certificate} and {key} cannot be served with ({error})", where="--ssl-certfile", mend="give PEM files"
        ) from error


def bind(host: str, port: int) -> socket.socket:
    """A TCP socket bound to the address, port 0 for any free one. Raises InputError when it cannot be."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise InputError(f"the host {host!r} cannot be used ({error})", mend="give another --host") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise InputError(f"cannot listen on {host}:{port} ({error})", mend="give another --port") from error
    return bound


def url(listener: socket.socket, *, secure: bool) -> str:
    """Where a bound socket is reached."""
    address, port = listener.getsockname()[:2]
    return f"{'https' if secure else 'http'}://{f'[{address}]' if ':' in address else address}:{port}"
