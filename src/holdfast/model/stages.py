"""Load levels, what was seen at each, and the breaking point that follows from them."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from holdfast.model.codec import OrInfinite, OrNaN


class Arrivals(enum.Enum):
    """How requests are started at a level."""

    CLOSED = "closed"  # a fixed number in flight, each followed by the next
    CONSTANT = "constant"  # evenly spaced
    POISSON = "poisson"  # independent, exponential gaps
    GAMMA = "gamma"  # independent, gamma gaps: burstier than Poisson, or more regular
    TRACE = "trace"  # as recorded


@dataclass(frozen=True)
class Level:
    """One load level to hold. Exactly one of rate_per_s (open loop) and concurrency (closed loop) is set.

    duration_s: how long to offer load at most; requests: how many to offer at most, 0 for no bound.
    max_in_flight: of an open loop: a request waits rather than be one more in flight, 0 for no bound.
    think_s: the pause between an answer and the next request of the same user, in a closed loop or a conversation.
    """

    arrivals: Arrivals
    rate_per_s: float | None = None
    concurrency: int | None = None
    duration_s: float = 10.0
    requests: int = 0
    max_in_flight: int = 0
    think_s: float = 0.0

    @property
    def name(self) -> str:
        """`8 in flight` or `12.5/s`."""
        return f"{self.rate_per_s:.3g}/s" if self.rate_per_s is not None else f"{self.concurrency} in flight"

    def __post_init__(self) -> None:
        closed = self.arrivals is Arrivals.CLOSED
        if closed != (self.concurrency is not None) or closed == (self.rate_per_s is not None):
            raise ValueError("a closed level has a concurrency, an open level has a rate, and not both")
        if self.rate_per_s is not None and not (0 < self.rate_per_s < math.inf):
            raise ValueError(f"the rate of a level must be positive, not {self.rate_per_s}")
        if self.concurrency is not None and self.concurrency < 1:
            raise ValueError(f"the concurrency of a level must be at least 1, not {self.concurrency}")
        if self.max_in_flight < 0 or not 0 <= self.think_s < math.inf:
            raise ValueError("neither the number in flight nor the think time of a level can be negative or endless")
        if closed and self.max_in_flight:
            raise ValueError("a closed level has a concurrency, which bounds the number in flight already")
        if not 0 < self.duration_s < math.inf:
            raise ValueError(f"the duration of a level must be positive, not {self.duration_s}")


@dataclass(frozen=True)
class Summary:
    """Mean and exact percentiles (linear interpolation) of one time in seconds, over `n` values. NaN where n is 0."""

    n: int
    avg_s: OrNaN
    p50_s: OrNaN
    p90_s: OrNaN
    p95_s: OrNaN
    p99_s: OrNaN
    max_s: OrNaN

    def statistic(self, name: str) -> float:
        """The value of `avg`, `p50`, `p90`, `p95`, `p99` or `max`."""
        value = getattr(self, f"{name}_s")
        assert isinstance(value, float)
        return value


@dataclass(frozen=True)
class ClientHealth:
    """Was the client itself up to this stage?

    lag_*_s:     intended to actual send.
    cpu:         share of one core that the client process used, 0..1 (above 1 with several threads).
    stall_max_s: longest time that the client's event loop did not come round; stalls: how often that was material.
    held:        sends that a bound on the number in flight put off.
    connections: opened during the stage.
    """

    lag_p50_s: float = 0.0
    lag_p99_s: float = 0.0
    lag_max_s: float = 0.0
    cpu: float = 0.0
    stall_max_s: float = 0.0
    stalls: int = 0
    held: int = 0
    connections: int = 0


@dataclass(frozen=True)
class Stage:
    """One load level as it went, over the steady part of it unless the name says otherwise.

    window_s:       (start, end) of the steady part, in seconds from the stage's own start; before it is the warm-up.
    requests, ok:   sent, and of these answered in full, over the whole stage.
    offered_per_s:  intended arrivals; achieved_per_s: successful completions.
    errors:         failed requests by outcome name, over the whole stage.
    latency:        of successful requests, from the intended start.
    ttft, tpot:     of successful requests; None where answers do not stream. tpot is the time per output token after
                    the first, (end - first token) / (tokens - 1), tokens by usage, else by the client's count.
    itl:            over every gap between output events of successful requests; None where no chunk times were kept.
    goodput_per_s:  the part of achieved_per_s that met every percentile bound of the SLO; None without such a bound.
    tokens_in, tokens_out: of successful requests, over the whole stage.
    tokens_*_per_s: by the server's usage where reported, else by the client's count; 0 for images.
    in_flight:      mean number in flight, by integration of the records.
    little:         relative residual of Little's law, (in_flight - rate * latency) / in_flight; 0 when idle.
    utilization:    the accelerator's own figure, 0..1; None when neither the target nor an exporter publishes one.
    server:         what the target and the exporters said of themselves (series of model.server): means over the steady
                    part by the series' names, with `_mean` and `_max` for running, waiting, kv_usage and utilization.
    invalid:        why the stage says nothing about the server; empty when it does.
    """

    index: int
    level: Level
    window_s: tuple[float, float]
    requests: int
    offered_per_s: float
    achieved_per_s: float
    latency: Summary
    ttft: Summary | None
    itl: Summary | None
    tokens_in_per_s: float
    tokens_out_per_s: float
    errors: dict[str, int]
    in_flight: float
    little: float
    utilization: float | None
    client: ClientHealth
    invalid: str = ""
    notes: tuple[str, ...] = ()
    ok: int = 0
    tpot: Summary | None = None
    goodput_per_s: float | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    server: dict[str, float] = field(default_factory=dict)

    @property
    def valid(self) -> bool:
        return not self.invalid

    @property
    def warm_up_s(self) -> float:
        """How long the stage was under way before its steady part."""
        return self.window_s[0]

    @property
    def error_rate(self) -> float:
        return sum(self.errors.values()) / self.requests if self.requests else 0.0


class Cause(enum.Enum):
    """Why a unit holds no more than its breaking point."""

    LATENCY = "latency"
    TTFT = "ttft"
    ITL = "itl"
    PLATEAU = "plateau"
    ERRORS = "errors"
    UTILIZATION = "utilization"
    UNSTABLE = "unstable"
    NONE = "none"


@dataclass(frozen=True)
class BreakingPoint:
    """The highest sustained rate that meets the SLO.

    rate_per_s:      the limit: of random arrivals the best estimate, else the highest rate shown to hold; 0 when not
                     even the lowest tried does.
    low_per_s, high_per_s: the interval; high is infinite when nothing broke the unit.
    confidence:      probability, 0..1, that the truth lies in the interval.
    cause:           what broke at `high`; NONE when the search ended without breaking the unit.
    why:             the evidence in a sentence.
    concurrency:     of a closed-loop search: the highest number in flight that held; rate_per_s is its throughput.
    """

    rate_per_s: float
    low_per_s: float
    high_per_s: OrInfinite
    confidence: float
    cause: Cause
    why: str
    concurrency: int | None = None


@dataclass(frozen=True)
class LoadCurve:
    """The stages of one unit, ordered by achieved rate, and where it broke."""

    unit: str
    stages: tuple[Stage, ...] = field(default=())
    breaking_point: BreakingPoint | None = None

    @classmethod
    def of(cls, unit: str, stages: Iterable[Stage], point: BreakingPoint | None = None) -> Self:
        """The curve of these stages, which may be in any order."""
        return cls(unit, tuple(sorted(stages, key=lambda stage: stage.achieved_per_s)), point)
