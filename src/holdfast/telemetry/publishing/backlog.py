"""Intervals that have not been delivered, the oldest first, in bounded memory. Pure.

While they cannot be delivered, what is held is halved each time that it would grow past the bound, by joining
neighbours: every request stays counted, at a coarser time. Only what CloudWatch would not take for its age is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdfast.telemetry.publishing.interval import Interval

OLDEST_S = 13.5 * 86_400
"""CloudWatch takes time stamps of up to two weeks ago (API reference, PutMetricData, read 2026-11-21)."""


class Backlog:
    """most: intervals that are held, at least 2. joined, dropped: how many were, so far."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: list[Interval] = []
        self.joined = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Interval]:
        return iter(tuple(self._held))

    def add(self, interval: Interval) -> None:
        if len(self._held) == self._most:
            joined = [first.joined(second) for first, second in zip(self._held[::2], self._held[1::2], strict=False)]
            self.joined += len(joined)
            self._held = joined + self._held[2 * len(joined) :]
        self._held.append(interval)

    def drop_old(self, now_s: float) -> None:
        """Forget what nobody takes any more."""
        fresh = [interval for interval in self._held if interval.begin_s >= now_s - OLDEST_S]
        self.dropped += len(self._held) - len(fresh)
        self._held = fresh

    def delivered(self, intervals: Sequence[Interval]) -> None:
        """The oldest, which were these, need not be held."""
        if self._held[: len(intervals)] != list(intervals):
            raise ValueError("these are not the oldest")
        del self._held[: len(intervals)]

    def refused(self, intervals: Sequence[Interval]) -> None:
        """The oldest, which were these, will never be taken."""
        self.delivered(intervals)
        self.dropped += len(intervals)
