"""How a search for the breaking point is done."""

from __future__ import annotations

import math
from dataclasses import dataclass

from holdfast.model.stages import Arrivals


@dataclass(frozen=True)
class Options:
    """How a search is done.

    arrivals:     Poisson is what independent users do; constant; closed finds the most in flight instead of a rate.
    precision:    the interval is narrowed until high / low <= 1 + precision.
    requests:     least number of requests of an open-loop level.
    least_s, most_s: bounds on the duration of a level; a slow unit's are longer, as it must be filled.
    confidence:   a verdict below this is asked again, up to `repeats` times.
    invalid_repeats: how often a level that the client spoilt is tried again before it counts as out of reach.
    levels:       most levels in all.
    concurrency:  most requests in flight that a probe tries.
    budget_s:     seconds of load in all; budget_requests: requests in all. The search ends with what it knows by then.
    settle_s:     a unit that breaks its SLO from the first request on is given this long to warm up.
    """

    arrivals: Arrivals = Arrivals.POISSON
    precision: float = 0.05
    requests: int = 200
    least_s: float = 5.0
    most_s: float = 60.0
    confidence: float = 0.9
    repeats: int = 2
    invalid_repeats: int = 4
    levels: int = 60
    concurrency: int = 1024
    budget_s: float = math.inf
    budget_requests: float = math.inf
    settle_s: float = 0.0

    def __post_init__(self) -> None:
        if not 0.005 <= self.precision <= 1:
            raise ValueError(f"the precision must be between 0.5% and 100%, not {self.precision:.2%}")
        if not 0.5 <= self.confidence < 1:
            raise ValueError(f"the confidence must be between 50% and 100%, not {self.confidence:.0%}")
        if not 0 < self.least_s <= self.most_s:
            raise ValueError("the least duration of a level must be positive and not above the most")
        if self.requests < 20 or self.levels < 3 or self.concurrency < 1 or self.repeats < 0:
            raise ValueError("a search needs at least 20 requests a level, 3 levels and 1 request in flight")
        if not (self.budget_s > 0 and self.budget_requests > 0 and self.settle_s >= 0):
            raise ValueError("the budget must be positive, and the time to settle not negative")
