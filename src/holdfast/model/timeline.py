"""What a fleet did over time: the rows of `timeline.parquet`, live or simulated alike."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.model.pools import RoutingMode


@dataclass(frozen=True)
class PoolPoint:
    """One pool over one interval that ends at `t_s`.

    weight:       its integer weight at the end; served_per_s: successes; failed: failures in the interval.
    p50_s, p95_s: latency of the requests it served; NaN when it served none.
    """

    t_s: float
    pool: str
    ready: int
    pending: int
    weight: int
    served_per_s: float
    failed: int
    p50_s: float
    p95_s: float


@dataclass(frozen=True)
class FleetPoint:
    """The whole fleet over the same interval, as its clients saw it."""

    t_s: float
    mode: RoutingMode
    offered_per_s: float
    served_per_s: float
    failed: int
    p50_s: float
    p95_s: float


@dataclass(frozen=True)
class TimelineEvent:
    """Something that a reader of the timeline wants to know: a withdrawal, a decision, a return."""

    t_s: float
    pool: str
    text: str


@dataclass(frozen=True)
class Timeline:
    """Points at equal intervals of `interval_s`, and the events between them. Times are from the start."""

    interval_s: float
    pools: tuple[PoolPoint, ...]
    fleet: tuple[FleetPoint, ...]
    events: tuple[TimelineEvent, ...]
