"""What one replica is: its slots, its load curve, its queue."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Service:
    """One replica.

    slots:   requests that it serves at once, at least 1; the batch size or the concurrency that it admits.
    seconds: what a request of work 1 takes while n are in service, for n = 1..slots: its load curve.
    queue:   requests that wait, first come first served, while all slots are taken; more are refused.
    """

    slots: int
    seconds: tuple[float, ...]
    queue: int

    @property
    def most_per_s(self) -> float:
        """Requests of work 1 that it completes per second with all slots taken."""
        return self.slots / self.seconds[-1]

    def __post_init__(self) -> None:
        if self.slots < 1:
            raise ValueError(f"a replica has at least 1 slot, not {self.slots}")
        if self.queue < 0:
            raise ValueError(f"a queue holds 0 requests or more, not {self.queue}")
        if len(self.seconds) != self.slots:
            raise ValueError(
                f"a load curve has an entry for each number in service: {self.slots} slots, {len(self.seconds)} entries"
            )
        for n, each_s in enumerate(self.seconds, start=1):
            if not 0 < each_s < math.inf:
                raise ValueError(f"a request takes finite seconds above 0, not {each_s:g} with {n} in service")
