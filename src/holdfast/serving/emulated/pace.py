"""What makes an accelerator slower than its figures: the minutes after a start, and chance."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace

from holdfast.serving.emulated.engine import between, require


@dataclass(frozen=True)
class Pace:
    """By how much every piece of work takes longer than the figures say.

    slow_factor: at the moment of readiness, at least 1; it falls in a straight line to 1 over slow_s seconds. That is
                 a server that compiles kernels and fills its caches while the first requests come.
    jitter:      standard deviation of the logarithm of a factor drawn for every step, of mean 1; 0 is none.
    seed:        of that chance.
    """

    slow_factor: float = 1.0
    slow_s: float = 0.0
    jitter: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        require(between(self.slow_factor, 1), "slow_factor", self.slow_factor, "at least 1")
        require(between(self.slow_s, 0), "slow_s", self.slow_s, "at least 0")
        require(between(self.jitter, 0, 1), "jitter", self.jitter, "at least 0 and below 1")

    def scaled(self, time_scale: float) -> Pace:
        """The same pace where all time runs `time_scale` times as fast."""
        return replace(self, slow_s=self.slow_s / time_scale)


class Stretch:
    """A Pace at work. ready_s: when the server became ready, on the driver's clock."""

    def __init__(self, pace: Pace, ready_s: float) -> None:
        self._pace = pace
        self._slow_until_s = ready_s + pace.slow_s
        self._chance = random.Random(pace.seed)

    def of(self, duration_s: float, start_s: float) -> float:
        """The seconds that work takes which begins at `start_s` and should take `duration_s`."""
        pace = self._pace
        if start_s < self._slow_until_s:
            left = min(1.0, (self._slow_until_s - start_s) / pace.slow_s)
            duration_s *= 1 + (pace.slow_factor - 1) * left
        if pace.jitter:
            duration_s *= math.exp(self._chance.gauss(-(pace.jitter**2) / 2, pace.jitter))
        return duration_s
