"""One TCP connection for measuring: bytes, each read with the moment at which the kernel had them.

An event loop that is busy, or a process that is not scheduled, reads late. Where the system stamps what it receives
(Linux), `arrived_s` is the stamp's, so that the client's own delay is not taken for the server's. The stamp is on the
wall clock and is turned into the monotonic one by its age at the read: a step of the wall clock could only spoil a
read within which it falls, and is then told by its sign or size. Segments that are read as one carry the newest stamp.

Source: Linux, Documentation/networking/timestamping.rst, section 1.3 (SO_TIMESTAMPNS, bytestreams too).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import sys
import time
from typing import Protocol

from holdfast.load.nap import Nap

_STAMP = 35
"""SO_TIMESTAMPNS, and the type of its control message (asm-generic/socket.h); `socket` has no name for it."""

_TIMESPEC = struct.Struct("@ll")
_CONTROL_BYTES = socket.CMSG_SPACE(_TIMESPEC.size)
READ_BYTES = 65536

_CREDIBLE_S = 1e-3
"""A stamp may lie this much before what is known to have happened first: clocks are slewed, and floats rounded."""


class Tls:
    """The TLS of one connection, between its bytes on the wire and its bytes in the clear."""

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._session = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    def shake_hands(self, data: bytes) -> tuple[bool, bytes]:
        """One step of the handshake: whether it is done, and what to send. Raises ssl.SSLError."""
        self._incoming.write(data)
        try:
            self._session.do_handshake()
        except ssl.SSLWantReadError:
            return False, self._outgoing.read()
        return True, self._outgoing.read()

    def encrypt(self, data: bytes) -> bytes:
        self._session.write(data)
        return self._outgoing.read()

    def decrypt(self, data: bytes) -> tuple[bytes, bytes, bool]:
        """What `data` said, what the protocol itself wants sent, and whether it was the last. Raises ssl.SSLError."""
        self._incoming.write(data)
        clear, ended = bytearray(), False
        try:
            while piece := self._session.read(READ_BYTES):
                clear += piece
            ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            ended = True
        return bytes(clear), self._outgoing.read(), ended


class Listener(Protocol):
    """Who is told what comes over a wire."""

    def received(self, data: bytes, arrived_s: float) -> None:
        """Bytes, and when the kernel had the last of them."""
        ...

    def lost(self, reason: str) -> None:
        """The other side closed, or the connection failed for `reason` (empty: it was closed in order)."""
        ...


class Wire:
    """A connected socket on the running loop; it reads until it is closed."""

    def __init__(self, connected: socket.socket, tls: Tls | None, nap: Nap, *, stamped: bool) -> None:
        """nap: where it is read from in mid-stream. stamped: the socket was given to `stamp`, which said yes."""
        self._socket = connected
        self._number = connected.fileno()
        self._tls = tls
        self._nap = nap
        self._loop = asyncio.get_running_loop()
        self._listener: Listener | None = None
        self._unsent = b""
        self._known_s = time.perf_counter()  # nothing that is read from now on arrived before this
        self._control_bytes = _CONTROL_BYTES if stamped else 0

    def listen(self, listener: Listener) -> None:
        """From now on tells `listener`."""
        self._listener = listener
        self._loop.add_reader(self._number, self._readable)

    def send(self, data: bytes, now_s: float) -> None:
        """Sends all of it, as soon as the socket takes it; at `now_s` nothing of the answer can have come.

        Raises OSError when the connection is gone, and then nothing was sent.
        """
        self._known_s = now_s
        if self._tls is not None:
            data = self._tls.encrypt(data)
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self._unsent = data[sent:]
            self._loop.add_writer(self._number, self._writable)

    @property
    def is_quiet(self) -> bool:
        """Whether it can take a request: nothing is left to send, or to read, be it bytes, the end or an error."""
        if self._listener is None or self._unsent:
            return False
        if self._tls is not None:
            self._readable()  # a session ticket may wait, which is no answer
            return self._listener is not None
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def doze(self) -> None:
        """From now on bytes may be read a little late, if their times are known all the same."""
        if self._control_bytes and self._listener is not None:
            self._nap.join(self._number, self._readable)

    def attend(self) -> None:
        """From now on bytes are read at once."""
        self._nap.leave(self._number)

    def close(self) -> None:
        """Closes at once, without telling the listener."""
        if self._listener is None:
            return
        self._listener = None
        self._nap.leave(self._number)
        self._loop.remove_reader(self._number)
        self._loop.remove_writer(self._number)
        self._socket.close()

    def _readable(self) -> None:
        try:
            data, control, _, _ = self._socket.recvmsg(READ_BYTES, self._control_bytes)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose((error.strerror or str(error)).lower())
            return
        arrived_s = now_s = time.perf_counter()
        if control:
            seconds, nanoseconds = _TIMESPEC.unpack(control[0][2])
            arrived_s = now_s - (time.time() - seconds - nanoseconds * 1e-9)
            if not self._known_s - _CREDIBLE_S < arrived_s < now_s:
                arrived_s = now_s
        self._known_s = arrived_s
        listener = self._listener
        if listener is None:
            return
        if not data:
            self._lose("")
        elif self._tls is None:
            listener.received(data, arrived_s)
        else:
            self._decipher(self._tls, listener, data, arrived_s)

    def _decipher(self, tls: Tls, listener: Listener, data: bytes, arrived_s: float) -> None:
        try:
            clear, answer, ended = tls.decrypt(data)
        except ssl.SSLError as error:
            self._lose(f"TLS failed: {error.reason or error}".lower())
            return
        if answer:
            self._unsent += answer
            self._loop.add_writer(self._number, self._writable)
        if clear:
            listener.received(clear, arrived_s)
        if ended:
            self._lose("")

    def _writable(self) -> None:
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose((error.strerror or str(error)).lower())
            return
        self._unsent = self._unsent[sent:]
        if not self._unsent:
            self._loop.remove_writer(self._number)

    def _lose(self, reason: str) -> None:
        listener = self._listener
        self.close()
        if listener is not None:
            listener.lost(reason)


def stamp(connected: socket.socket) -> bool:
    """Asks the kernel for receive stamps; whether it gives them."""
    if sys.platform != "linux":
        return False
    try:
        connected.setsockopt(socket.SOL_SOCKET, _STAMP, 1)
    except OSError:
        return False  # another kernel behind Linux's interface, such as gVisor
    return True
