"""Capacity pools and what they are doing right now."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class RoutingMode(enum.Enum):
    """What the traffic weights are optimised for."""

    COST_OPTIMIZED = "cost-optimized"
    CAPACITY_OPTIMIZED = "capacity-optimized"


@dataclass(frozen=True)
class Shortage:
    """`pool` could not get capacity at `at_s`. Believed until `expires_s`; then nobody knows."""

    pool: str
    at_s: float
    expires_s: float
    reason: str

    def holds(self, now_s: float) -> bool:
        return now_s < self.expires_s


@dataclass(frozen=True)
class CapacityPool:
    """The replicas of one unit at a moment.

    limit_per_s:         breaking point of one replica.
    usd_per_million_requests: of a replica filled to its limit; the merit order.
    ready, pending:      replicas that take traffic, and that have been asked for and do not yet.
    planned:             replicas that the plan gives the pool, between min_replicas and max_replicas.
    ready_since_s:       when `lasting` last fell or first rose from 0; the clock of "stable for a while".
    draining:            those of `ready` that have an interruption notice: they serve, and will be gone.
    gone_at_s:           when the first of those is gone; 0 when there are none, or when it may be at any moment.
    starting:            those of `pending` that have their capacity, and only load: no shortage is about them.
    obtained_s:          when a replica last got its capacity (an instance, a process); None where that is long ago.
    planned_ahead:       replicas that the plan gives the pool by the time that one asked for now serves; where it
                         is more than `planned`, they are asked for, and are not missed yet.
    at_once:             requests that a replica has in hand at its limit; 1 where that is not known.
    """

    name: str
    limit_per_s: float
    usd_per_million_requests: float
    ready: int
    pending: int
    planned: int
    min_replicas: int
    max_replicas: int
    ready_since_s: float
    shortages: tuple[Shortage, ...] = ()
    draining: int = 0
    gone_at_s: float = 0.0
    starting: int = 0
    obtained_s: float | None = None
    planned_ahead: int = 0
    at_once: int = 1

    @property
    def lasting(self) -> int:
        """Ready replicas without an interruption notice."""
        return self.ready - self.draining

    @property
    def lasting_limit_per_s(self) -> float:
        return self.lasting * self.limit_per_s
