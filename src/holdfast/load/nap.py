"""Reading many streams a thousand times a second instead of waking up for each token.

Waking a process costs more than reading a token. As the kernel stamps what arrives, nothing is lost by reading it some
NAP_S later: times stay exact, as long as no two tokens of one stream come within a nap, of which only the later one's
time would be known. So a wire naps once a stream has shown that its tokens come far apart, until its end; first tokens,
fast streams and unary answers are read at once.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable

NAP_S = 0.001
"""The least that event loops can count."""

CROWD = 64
"""Streams at once from which on it pays: at 20 tokens a second each, they come faster than naps end."""


class Nap:
    """Sockets in mid-stream, which the running loop reads; a crowd of them is read together every NAP_S."""

    def __init__(self) -> None:
        self._awake: dict[int, Callable[[], None]] = {}
        self._napping: dict[int, Callable[[], None]] = {}
        self._poll: select.epoll | None = None

    def join(self, number: int, read: Callable[[], None]) -> None:
        """A stream has begun on a socket that the loop reads with `read`."""
        self._awake[number] = read
        if len(self._awake) + len(self._napping) >= CROWD:
            self._lie_down()

    def leave(self, number: int) -> None:
        """The stream has ended, or its socket is about to be closed; the loop reads it again."""
        self._awake.pop(number, None)
        read = self._napping.pop(number, None)
        if read is not None and self._poll is not None:
            self._poll.unregister(number)
            asyncio.get_running_loop().add_reader(number, read)

    def close(self) -> None:
        """Call it once no socket is in mid-stream."""
        if self._poll is not None:
            self._poll.close()
            self._poll = None

    def _lie_down(self) -> None:
        loop = asyncio.get_running_loop()
        if self._poll is None:
            self._poll = select.epoll()
        if not self._napping:
            loop.call_later(NAP_S, self._look)
        for number, read in self._awake.items():
            loop.remove_reader(number)
            self._poll.register(number, select.EPOLLIN)
            self._napping[number] = read
        self._awake.clear()

    def _look(self) -> None:
        if not self._napping or self._poll is None:
            return
        for number, _ in self._poll.poll(0):
            read = self._napping.get(number)
            if read is not None:  # else what another one read has ended this one
                read()
        if self._napping:
            asyncio.get_running_loop().call_later(NAP_S, self._look)
