"""A thread that publishes what is counted, every so often. Whoever counts never waits for it."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Protocol, TextIO

from holdfast.model.errors import InputError
from holdfast.telemetry.publishing import embedded
from holdfast.telemetry.publishing.backlog import Backlog
from holdfast.telemetry.publishing.cloudwatch import UndeliveredError
from holdfast.telemetry.publishing.datums import Source
from holdfast.telemetry.publishing.interval import Interval, bucket_of, status_of

_log = logging.getLogger(__name__)

MOST_HELD = 120
"""Intervals: two hours of minutes, then by two minutes, and so on. Some 10 kB each under load."""

MOST_EVERY_S = 3600.0

_LONGEST_WAIT_S = 300.0
"""Between attempts, while what is published is not taken."""


class Delivery(Protocol):
    def deliver(self, backlog: Backlog) -> None:
        """Tell all that is held, the oldest first, and take it off; it may block. Raises UndeliveredError."""


class LogLines:
    """A Delivery to a stream of log lines, in the embedded metric format."""

    def __init__(self, stream: TextIO, source: Source) -> None:
        self._stream = stream
        self._source = source

    def deliver(self, backlog: Backlog) -> None:
        for interval in backlog:
            try:
                self._stream.write("".join(f"{line}\n" for line in embedded.lines(interval, self._source)))
                self._stream.flush()
            except OSError as error:
                raise UndeliveredError(f"Metrics cannot be written as log lines: {error.strerror}.") from error
            backlog.delivered([interval])


class Publisher:
    """Counts requests, and has them delivered every every_s seconds of the wall clock, at its multiples.

    failures: deliveries that failed, so far. clock, chance: for tests. Raises InputError for an every_s of no use.
    """

    def __init__(
        self,
        delivery: Delivery,
        *,
        every_s: float = 60.0,
        most_held: int = MOST_HELD,
        clock: Callable[[], float] = time.time,
        chance: random.Random | None = None,
    ) -> None:
        if not 0 < every_s <= MOST_EVERY_S:
            raise InputError(
                f"metrics cannot be published every {every_s:g} s", mend=f"give up to {MOST_EVERY_S:g} s; 60 is usual"
            )
        self._delivery = delivery
        self._every_s = every_s
        self._clock = clock
        self._chance = chance or random.Random()
        self._backlog = Backlog(most_held)
        # Held for as long as it takes to add one or to swap two dicts, never while something is delivered.
        self._counting = threading.Lock()
        self._latencies: dict[str, dict[int, int]] = {}
        self._begin_s = clock()
        self._ending = threading.Event()
        self._tries_from_s = 0.0
        self._failed_in_a_row = 0
        self.failures = 0
        # What hangs must not keep the process from its end.
        self._thread = threading.Thread(target=self._publish, name="publisher", daemon=True)

    @property
    def lost(self) -> int:
        """Intervals that were never taken and are no longer held."""
        return self._backlog.dropped

    @property
    def held(self) -> int:
        """Intervals that wait to be delivered."""
        return len(self._backlog)

    def start(self) -> None:
        self._begin_s = self._clock()
        self._thread.start()

    def count(self, http_status: int, latency_s: float) -> None:
        """One request was answered. Takes microseconds, whatever becomes of what is published."""
        status, bucket = status_of(http_status), bucket_of(latency_s)
        with self._counting:
            buckets = self._latencies.setdefault(status, {})
            buckets[bucket] = buckets.get(bucket, 0) + 1

    def close(self, within_s: float) -> bool:
        """Deliver what is left, waiting no longer than that; whether all was delivered. Blocks."""
        self._ending.set()
        self._thread.join(within_s)
        return not self._thread.is_alive() and not len(self._backlog)

    def _publish(self) -> None:
        ending = False
        while not ending:
            ending = self._ending.wait(self._every_s - self._clock() % self._every_s)
            self._turn(self._clock(), last=ending)

    def _turn(self, now_s: float, *, last: bool) -> None:
        interval = self._cut(now_s)
        if interval is not None:
            self._backlog.add(interval)
        self._backlog.drop_old(now_s)
        if now_s < self._tries_from_s and not last:
            return
        try:
            self._delivery.deliver(self._backlog)
        except UndeliveredError as error:
            self.failures += 1
            if not self._failed_in_a_row:
                _log.warning("%s It is kept and told later.", error)
            # Half of the wait is chance, so that a fleet that was throttled does not come back as one.
            wait_s = min(_LONGEST_WAIT_S, self._every_s * 2.0**self._failed_in_a_row)
            self._tries_from_s = now_s + wait_s * self._chance.uniform(0.5, 1.0)
            self._failed_in_a_row = min(self._failed_in_a_row + 1, 16)
        else:
            if self._failed_in_a_row:
                _log.warning("What could not be published is published now.")
            self._failed_in_a_row = 0

    def _cut(self, now_s: float) -> Interval | None:
        """What was counted since the last cut; None where no time has passed, as after a clock was set back."""
        with self._counting:
            if now_s <= self._begin_s:
                return None
            begin_s, self._begin_s = self._begin_s, now_s
            latencies, self._latencies = self._latencies, {}
        return Interval(begin_s, now_s, latencies)
