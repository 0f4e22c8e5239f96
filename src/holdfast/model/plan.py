"""The plan: which units, how many, with what share of the traffic, at what cost, and why."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from holdfast.model import codec
from holdfast.model.curve import Curve
from holdfast.model.errors import InputError
from holdfast.model.findings import Finding
from holdfast.model.fleet import CapacityType, InferenceFleet
from holdfast.model.packing import Packing
from holdfast.model.tables import Table

VERSION = 1
"""Of the plan file."""

TOTAL_WEIGHT = 100
"""Weights of a plan are integers that sum to this; an ALB target group takes 0..999."""


class PlanStatus(enum.Enum):
    FEASIBLE = "feasible"
    INFEASIBLE = "infeasible"


@dataclass(frozen=True)
class UnitEvidence:
    """What planning knows of one unit: its limit and price, and where each comes from.

    limit_per_s:        breaking point of one replica, requests/s.
    tokens_out_per_s:   output tokens/s of one replica at that limit; None for images.
    replicas_per_instance: replicas of the unit that one instance holds. instances_per_replica: instances that one
                        replica takes; one of the two is 1.
    price_usd_per_h:    price of one replica: instance price / replicas_per_instance x instances_per_replica.
    latency_s:          mean end-to-end latency at the limit; None when not measured.
    limits_by_size_per_s: where it was measured at each of the workload's sizes: breaking points of one replica if all
                        requests were of that size, above 0, in the order of `workload.sizes`; else empty.
    latencies_by_size_s: mean latency at each of those limits; empty where it is not known.
    latency_source:     where the latency comes from, if not from where the limit does.
    estimate_error:     of an estimate the median relative error of a step, 0.07 is 7 %; None for what was measured.
    other_size:         where it was measured with requests of another length than the workload's, of which and how far
                        that is; else empty.
    levels:             load levels of one replica, all three rising: in flight, requests/s, mean latency in seconds;
                        empty where no mean latency is known.
    held:               the same for a number that is held in flight, where a run says it apart from `levels`.
    """

    unit: str
    limit_per_s: float
    price_usd_per_h: float
    replicas_per_instance: int
    tokens_out_per_s: float | None
    latency_s: float | None
    limit_source: str
    price_source: str
    limits_by_size_per_s: tuple[float, ...] = ()
    estimate_error: float | None = None
    levels: tuple[tuple[float, float, float], ...] = ()
    other_size: str = ""
    latencies_by_size_s: tuple[float, ...] = ()
    latency_source: str = ""
    held: tuple[tuple[float, float, float], ...] = ()
    instances_per_replica: int = 1

    @property
    def instance_usd_per_h(self) -> float:
        """US dollars per hour of one instance."""
        return self.price_usd_per_h * self.replicas_per_instance / self.instances_per_replica

    @property
    def usd_per_million_requests(self) -> float:
        return self.price_usd_per_h / (self.limit_per_s * 3600) * 1e6

    @property
    def tokens_per_usd(self) -> float | None:
        return None if self.tokens_out_per_s is None else self.tokens_out_per_s * 3600 / self.price_usd_per_h


@dataclass(frozen=True)
class ScalingTarget:
    """What one replica should show of one metric, as it will be scraped; above it another replica is due.

    name:      what it is in a word or two: `completed`, `received`, `in flight`, `waiting`, `KV cache`.
    system:    who scrapes it, `prometheus` or `cloudwatch`.
    metric:    its name there.
    statistic: what is made of its samples over `period_s` seconds: `rate`, `sum` or `average`.
    value:     in `unit`.
    exporter:  who has to export the metric under this name.
    """

    name: str
    system: str
    metric: str
    statistic: str
    period_s: float
    value: float
    unit: str
    reason: str
    exporter: str = ""


@dataclass(frozen=True)
class Autoscaling:
    """When to add a replica: `metric` per replica above `target` (in `unit`), within the bounds.

    targets: the same in the unit and period of each metric that may be scraped instead.
    """

    metric: str
    target: float
    unit: str
    min_replicas: int
    max_replicas: int
    targets: tuple[ScalingTarget, ...] = ()


@dataclass(frozen=True)
class Allotment:
    """Replicas of a unit in one zone and capacity type.

    zone:     empty where the fleet names none. instance_usd_per_h: price of one whole instance.
    replicas_per_instance, instances_per_replica: one of the two is 1.
    replicas: by period of the plan, 0..
    """

    unit: str
    zone: str
    capacity_type: CapacityType
    instance_usd_per_h: float
    replicas_per_instance: int
    replicas: tuple[int, ...]
    instances_per_replica: int = 1

    @property
    def packing(self) -> Packing:
        return Packing(self.replicas_per_instance, self.instances_per_replica)

    @property
    def replica_usd_per_h(self) -> float:
        """US dollars per hour of one replica, where all that share its instance are used."""
        return self.packing.replica_usd_per_h(self.instance_usd_per_h)

    def instances(self, period: int) -> int:
        """Whole instances that hold the replicas of the period."""
        return self.packing.instances(self.replicas[period])


@dataclass(frozen=True)
class PoolPlan:
    """One pool of the plan.

    replicas:     in the period with the highest demand.
    weight:       integer share of TOTAL_WEIGHT, in that period.
    expected_per_s: traffic it gets at the planned demand; utilization: that over replicas x limit.
    price_usd_per_h: of one replica; the mean of those planned where they are bought at several prices.
    allotments:   its replicas by zone, capacity type and period; none for a pool without any.
    latency_s:    mean end-to-end latency of a replica at its limit; None when it is not known.
    latency_source: where that comes from, if not from where the limit does.
    estimate_error: where the limit is an estimate, the median relative error of a step; None where it was measured.
    expected_latency_s: at the traffic that is expected, between the levels of the unit's load curve; None without one.
    limits_by_size_per_s, latencies_by_size_s: limit of a replica, and mean latency at it, if all its requests were of
                  one of the workload's sizes, in their order; empty where it has none, or nothing is known.
    traffic_by_size_per_s: requests/s by period and size, headroom included, that the pool is given where traffic goes
                  by size (`routing.bySize`); empty where it is given none.
    curve:        that load curve: mean latency and rate of one replica by the number in flight, measured or estimated
                  as it says; None where no mean latency is known, or requests are of several sizes.
    held:         the same for a number that is held in flight, where a run says it apart; else None.
    """

    unit: str
    replicas: int
    weight: int
    limit_per_s: float
    price_usd_per_h: float
    usd_per_million_requests: float
    tokens_per_usd: float | None
    expected_per_s: float
    utilization: float
    autoscaling: Autoscaling
    reason: str
    limit_source: str
    price_source: str
    allotments: tuple[Allotment, ...] = ()
    latency_s: float | None = None
    estimate_error: float | None = None
    expected_latency_s: float | None = None
    latency_source: str = ""
    limits_by_size_per_s: tuple[float, ...] = ()
    latencies_by_size_s: tuple[float, ...] = ()
    traffic_by_size_per_s: tuple[tuple[float, ...], ...] = ()
    curve: Curve | None = None
    held: Curve | None = None

    @property
    def at_once(self) -> int:
        """Requests that a replica has in hand at its limit (Little's law); 1 where its latency there is not known."""
        return 1 if self.latency_s is None else max(1, round(self.limit_per_s * self.latency_s))


@dataclass(frozen=True)
class PlanPeriod:
    """One period of a plan: its demand, and what its replicas and their starts cost."""

    demand_per_s: float
    cost_usd_per_h: float


@dataclass(frozen=True)
class Plan:
    """A plan for a fleet, complete enough to render from.

    cost_usd_per_h: mean over the periods. demand_per_s: in the highest of them.
    gap:     certified optimality gap of the cost, 0..1.
    reasons: what decided the plan, and for an infeasible one which constraint fails and by how much.
    periods: the hours of the day that is planned for, or one for all time.
    """

    version: int
    fleet: InferenceFleet
    status: PlanStatus
    cost_usd_per_h: float
    gap: float
    demand_per_s: float
    pools: tuple[PoolPlan, ...]
    tables: dict[str, Table]
    findings: tuple[Finding, ...]
    reasons: tuple[str, ...]
    periods: tuple[PlanPeriod, ...] = ()

    def pool(self, unit: str) -> PoolPlan:
        """The pool of that unit. Raises KeyError."""
        for pool in self.pools:
            if pool.unit == unit:
                return pool
        raise KeyError(unit)


def read(text: str, *, where: str) -> Plan:
    """The plan that `holdfast plan --out` wrote as `text`. Raises InputError that names `where`."""
    made = codec.loads(Plan, text, where=where)
    if made.version != VERSION:
        raise InputError(
            f"the plan is of version {made.version}, and this holdfast reads version {VERSION}",
            where=where,
            mend="plan anew",
        )
    return made
