"""How fast a server has been of late, for telling whom it refuses when to come again."""

from __future__ import annotations

import math

_KEEP = 0.9
"""Weight of what was so far when one more is measured: the last ten count most."""

_LONGEST_S = 60
"""Autoscaling has helped by then, or another server does."""


class Pace:
    """Of one queue."""

    def __init__(self) -> None:
        self._each_s: float | None = None

    def left(self, requests: int, seconds: float) -> None:
        """So many requests left together, for which the device, or the slots together, took so long."""
        each_s = seconds / requests
        self._each_s = each_s if self._each_s is None else _KEEP * self._each_s + (1 - _KEEP) * each_s

    def retry_after_s(self, waiting: int) -> int:
        """Whole seconds in which so many that wait are served: 1 to 60, and 1 while nothing was measured."""
        return max(1, min(_LONGEST_S, math.ceil(waiting * (self._each_s or 0.0))))
