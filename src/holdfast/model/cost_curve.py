"""What a fleet costs against the load that it holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PoolCost:
    """A pool's replicas at one rate, and what its instances cost, US dollars per hour."""

    unit: str
    replicas: int
    usd_per_h: float


@dataclass(frozen=True)
class CostPoint:
    """The cheapest plan at one rate (requests/s), or why there is none.

    why_not: empty where the plan holds; the pools are then those of the plan, else none.
    """

    rate_per_s: float
    cost_usd_per_h: float
    gap: float
    pools: tuple[PoolCost, ...]
    why_not: str = ""

    @property
    def holds(self) -> bool:
        return not self.why_not

    @property
    def usd_per_million_requests(self) -> float:
        return self.cost_usd_per_h / (self.rate_per_s * 3600) * 1e6


@dataclass(frozen=True)
class CostCurve:
    """The cheapest plans of one fleet over rates, lowest first."""

    fleet: str
    model: str
    points: tuple[CostPoint, ...]

    @property
    def holds(self) -> bool:
        return all(point.holds for point in self.points)

    @property
    def units(self) -> tuple[str, ...]:
        """The units that have replicas at some rate, in the order of the plan."""
        return tuple(dict.fromkeys(pool.unit for point in self.points for pool in point.pools if pool.replicas))
