"""What blocks the event loop: the garbage collector, which is kept off, and everything else, which is measured."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_BEAT_S = 0.005
LEAST_S = 0.010
"""Delays below this are the loop's ordinary work."""

_MOST_GARBAGE = 100_000
"""Objects made and not freed by reference counting before the youngest generation is collected all the same, in some
10 ms. Sending and reading make no cycles; failing connections make a few (asyncio's tracebacks), a thousand of them per
second would come to this within a minute."""


@dataclass(frozen=True)
class Stalls:
    """Times that the event loop was blocked for more than LEAST_S: how often, the longest, and all together."""

    count: int = 0
    worst_s: float = 0.0
    total_s: float = 0.0


class Heartbeat:
    """Ticks on the running loop and notes how late the ticks come."""

    def __init__(self) -> None:
        self.stalls = Stalls()
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0

    def start(self) -> None:
        self._set()

    def stop(self) -> None:
        if self._timer is not None:
            self._note()
            self._timer.cancel()
            self._timer = None

    def _set(self) -> None:
        self._due_s = time.perf_counter() + _BEAT_S
        self._timer = asyncio.get_running_loop().call_later(_BEAT_S, self._beat)

    def _beat(self) -> None:
        self._note()
        if gc.get_count()[0] > _MOST_GARBAGE:
            gc.collect(0)
        self._set()

    def _note(self) -> None:
        late_s = time.perf_counter() - self._due_s
        if late_s > LEAST_S:
            seen = self.stalls
            self.stalls = Stalls(seen.count + 1, max(seen.worst_s, late_s), seen.total_s + late_s)


@contextmanager
def collector_off() -> Iterator[None]:
    """Keeps the garbage collector from looking at what exists, and off; inside another such block it does nothing."""
    if not gc.isenabled():
        yield
        return
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
