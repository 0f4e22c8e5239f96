"""An event loop whose time jumps: when nobody can go on, it is at once the time of whoever waits least.

    virtual_time.run(scene(), limit_s=3600)      # `asyncio.get_running_loop().time()` is the clock, from `start_s`

Nothing in it may wait for something outside of the loop (sockets, threads, processes): with nothing to wait for and
nothing due, it raises Stuck instead of hanging. Equal programs run equally, whatever the machine does beside them.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
START_S = 1_800_000_000.0
"""15 January 2027: a plausible Unix time, so that one clock serves for objects and for waiting."""

RESOLUTION_S = 1e-6


class Stuck(Exception):  # noqa: N818 - says the state it is in
    """Everybody waits, and for nothing that time brings; or the limit of time is reached."""


class _Jump(selectors.DefaultSelector):
    """Where a loop would sleep, time moves on instead."""

    def __init__(self, loop: Loop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Stuck("every task waits for something that cannot happen")
        if timeout > 0:
            self._loop.advance(timeout)
        return []


class Loop(asyncio.SelectorEventLoop):
    """limit_s: virtual time that may pass before Stuck is raised."""

    def __init__(self, *, start_s: float = START_S, limit_s: float = 86_400.0) -> None:
        self._now_s = start_s
        self._end_s = start_s + limit_s
        super().__init__(_Jump(self))
        # Floats of this size step by 2.4e-7: by the resolution of the real clock (1e-9) a timer that is due now is not.
        self._clock_resolution = RESOLUTION_S

    def time(self) -> float:
        return self._now_s

    def advance(self, by_s: float) -> None:
        self._now_s += max(by_s, RESOLUTION_S)
        if self._now_s > self._end_s:
            raise Stuck(f"not done at the limit of virtual time, {self._end_s:.0f}")


def run(scene: Coroutine[Any, Any, T], *, start_s: float = START_S, limit_s: float = 86_400.0) -> T:
    """Runs `scene` to its end, and cancels what it left."""
    with asyncio.Runner(loop_factory=lambda: Loop(start_s=start_s, limit_s=limit_s)) as runner:
        return runner.run(scene)
