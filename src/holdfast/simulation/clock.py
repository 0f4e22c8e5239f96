"""Virtual time: a heap of what is due, in the order of time and then of asking."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable

Action = Callable[[], None]


class Clock:
    """Time stands between actions; an action may ask for more of them, now or later."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._due: list[tuple[float, int, Action]] = []
        self._order = itertools.count()

    def at(self, t_s: float, action: Action) -> None:
        """Do this at `t_s`. Raises ValueError for the past."""
        if t_s < self.now_s:
            raise ValueError(f"it is {self.now_s:g} s, and nothing can be done at {t_s:g} s")
        heapq.heappush(self._due, (t_s, next(self._order), action))

    def after(self, wait_s: float, action: Action) -> None:
        self.at(self.now_s + wait_s, action)

    @property
    def next_s(self) -> float:
        """When the next action is due; infinite when none is."""
        return self._due[0][0] if self._due else math.inf

    def act(self) -> None:
        """Go to the next action and do it. Raises IndexError when there is none."""
        self.now_s, _, action = heapq.heappop(self._due)
        action()
