"""Things to do at exact times, in their order.

Event loops count in milliseconds (uvloop's timers, epoll's time-outs), and a load of 1,000 requests a second that is
rounded to milliseconds is another load. On Linux a timerfd wakes the loop within some tens of microseconds;
`time.perf_counter` is its clock, CLOCK_MONOTONIC. Elsewhere the loop's own timers have to do.
"""

from __future__ import annotations

import asyncio
import ctypes
import heapq
import itertools
import os
import sys
import time
from collections.abc import Callable

Act = Callable[[float], None]
"""Something to do; it is given the moment for which it was meant."""

_AT_ONCE = 64
"""Acts in one go when many are late: between them the loop can read what has arrived."""

_CLOCK_MONOTONIC = 1
_ABSOLUTE = 1
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)


class Agenda:
    """Acts with their moments on the `time.perf_counter` clock; it runs on the running loop until it is closed."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Act]] = []
        self._serial = itertools.count()
        self._alarm = _Timerfd(self._ring) if sys.platform == "linux" else _LoopTimer(self._ring)

    def __len__(self) -> int:
        return len(self._heap)

    def at(self, due_s: float, act: Act) -> None:
        """Does `act` at `due_s`, or as soon as possible when that is past; never within this call."""
        entry = (due_s, next(self._serial), act)
        heapq.heappush(self._heap, entry)
        if self._heap[0] is entry:
            self._alarm.set(due_s)

    def close(self) -> None:
        """Forgets what was not done."""
        self._heap.clear()
        self._alarm.close()

    def _ring(self) -> None:
        heap = self._heap
        for _ in range(_AT_ONCE):
            if not heap or heap[0][0] > time.perf_counter():
                break
            due_s, _, act = heapq.heappop(heap)
            act(due_s)
        if heap:
            self._alarm.set(heap[0][0])


class _LoopTimer:
    def __init__(self, ring: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._ring = ring
        self._handle: asyncio.TimerHandle | None = None

    def set(self, due_s: float) -> None:
        self.close()
        self._handle = self._loop.call_later(max(0.0, due_s - time.perf_counter()), self._ring)

    def close(self) -> None:
        if self._handle is not None:
            self._handle.cancel()


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class _Timerfd:
    """timerfd_create(2), which `os` has from Python 3.13 on."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._ring = ring
        libc = ctypes.CDLL(None, use_errno=True)
        self._settime = libc.timerfd_settime
        self._number = libc.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
        if self._number < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._moment = _Itimerspec()
        self._pointer = ctypes.byref(self._moment)
        self._loop.add_reader(self._number, self._fired)

    def set(self, due_s: float) -> None:
        due_ns = max(1, int(due_s * 1e9))  # 0 would disarm it
        value = self._moment.value
        value.seconds, value.nanoseconds = divmod(due_ns, 1_000_000_000)
        self._settime(self._number, _ABSOLUTE, self._pointer, None)

    def close(self) -> None:
        if self._number >= 0:
            self._loop.remove_reader(self._number)
            os.close(self._number)
            self._number = -1

    def _fired(self) -> None:
        try:
            os.read(self._number, 8)
        except BlockingIOError:
            return  # it was set anew since
        self._ring()
