"""What a mix is chosen from, and what it must do.

Where a replica takes several instances they are bought together and are one to every program: `Problem.prices` and
`Problem.vcpus` are then of all of them, and `Problem.instances` counts such groups.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from holdfast.model.fleet import CapacityType, Loss
from holdfast.model.packing import Packing
from holdfast.planning.mix.highs import Floats, Ints

_LEAST_WORK = 0.01
"""Share of what one replica may be filled to. See Problem.planned_limits."""


@dataclass(frozen=True)
class Supply:
    """A unit's instances in one zone and capacity type.

    zone:               availability zone; empty where the fleet names none.
    instance_usd_per_h: price of one whole instance, US dollars per hour.
    max_replicas:       most replicas that can be had here; None where only the unit's own maximum bounds them.
    quota, vcpus:       the quota that its instances count against, None for none, and the vCPUs of one instance.
    """

    instance_usd_per_h: float
    zone: str = ""
    capacity_type: CapacityType = CapacityType.ON_DEMAND
    max_replicas: int | None = None
    quota: str | None = None
    vcpus: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.instance_usd_per_h < math.inf:
            raise ValueError("the price of an instance must be positive and finite")
        if (self.max_replicas is not None and self.max_replicas < 0) or self.vcpus < 0:
            raise ValueError("the replicas and the vCPUs of a supply cannot be negative")


@dataclass(frozen=True)
class Candidate:
    """A unit that replicas can be bought of.

    limits_per_s: breaking point of one replica in requests/s, if all its requests are of one bucket, by bucket; 0 for
                  a bucket that it cannot serve (too long for its context), but not for all.
    supplies:     where and how its instances can be bought, each zone and capacity type once.
    replicas_per_instance, instances_per_replica: one of the two is 1.
    min_replicas, max_replicas: over all supplies, in every period.
    startup_s:    seconds that a new replica is paid for before it serves.
    """

    unit: str
    limits_per_s: tuple[float, ...]
    supplies: tuple[Supply, ...]
    replicas_per_instance: int = 1
    min_replicas: int = 0
    max_replicas: int = 100
    accelerator: str = ""
    instance_type: str = ""
    startup_s: float = 0.0
    instances_per_replica: int = 1

    def __post_init__(self) -> None:
        if not all(0 <= limit < math.inf for limit in self.limits_per_s) or not any(self.limits_per_s):
            raise ValueError(f"the limits of {self.unit!r} must be finite and not negative, and one above 0")
        one_of_each = min(self.replicas_per_instance, self.instances_per_replica) == 1
        if not one_of_each or not 0 <= self.min_replicas <= self.max_replicas:
            raise ValueError(f"the replicas of {self.unit!r} are out of order")
        places = {(supply.zone, supply.capacity_type) for supply in self.supplies}
        if not places or len(places) < len(self.supplies):
            raise ValueError(f"the supplies of {self.unit!r} must be one or more, and differ in zone or capacity type")
        if not 0 <= self.startup_s < math.inf:
            raise ValueError(f"the start-up time of {self.unit!r} must be finite and not negative")

    @property
    def packing(self) -> Packing:
        return Packing(self.replicas_per_instance, self.instances_per_replica)

    def instances(self, replicas: int) -> int:
        """Whole instances that hold the replicas."""
        return self.packing.instances(replicas)


@dataclass(frozen=True)
class Requirement:
    """What a mix must do.

    demand_per_s:       requests/s by period and bucket; periods are equally long and follow each other in a circle (the
                        day repeats).
    utilization_target: how full replicas are planned, 0..1 of their limits.
    survive:            each loss of these kinds leaves replicas that carry the demand, filled to their limits.
    min_share:          share of a period's requests that a pool with replicas gets at least, 0..1; less where one
                        replica (or min_replicas) cannot carry it, or there are not as many requests that it can serve.
    max_pools:          most units with replicas, over all periods together; None for any number.
    quotas:             vCPUs by quota class. period_h: length of a period in hours.
    """

    demand_per_s: tuple[tuple[float, ...], ...]
    utilization_target: float
    survive: frozenset[Loss] = frozenset()
    min_share: float = 0.0
    max_pools: int | None = None
    quotas: Mapping[str, int] = field(default_factory=dict)
    period_h: float = 1.0

    def __post_init__(self) -> None:
        rates = [rate for period in self.demand_per_s for rate in period]
        lengths = {len(period) for period in self.demand_per_s}
        if len(lengths) != 1 or not all(0 <= rate < math.inf for rate in rates):
            raise ValueError("the demand must be finite and not negative, for the same buckets in every period")
        if not all(sum(period) > 0 for period in self.demand_per_s):
            raise ValueError("the demand of a period must be positive")
        if not (0 < self.utilization_target <= 1 and 0 <= self.min_share <= 1):
            raise ValueError("the utilisation target must be in 0..1 and above 0, the least share in 0..1")
        if (self.max_pools is not None and self.max_pools < 1) or any(vcpus < 0 for vcpus in self.quotas.values()):
            raise ValueError("a mix has at least one pool, and a quota is not negative")
        if not 0 < self.period_h < math.inf:
            raise ValueError("a period has a length")


@dataclass(frozen=True)
class Problem:
    """Candidates and requirement, and both as arrays: by unit, by supply (of all units in order), by bucket."""

    candidates: tuple[Candidate, ...]
    requirement: Requirement

    def __post_init__(self) -> None:
        buckets = len(self.requirement.demand_per_s[0])
        names = [candidate.unit for candidate in self.candidates]
        if len(set(names)) < len(names):
            raise ValueError("two candidates have the same name")
        for candidate in self.candidates:
            if len(candidate.limits_per_s) != buckets:
                raise ValueError(f"{candidate.unit!r} has {len(candidate.limits_per_s)} limits for {buckets} buckets")

    @functools.cached_property
    def supplies(self) -> tuple[tuple[Candidate, Supply], ...]:
        return tuple((candidate, supply) for candidate in self.candidates for supply in candidate.supplies)

    @functools.cached_property
    def unit_of(self) -> Ints:
        """The unit's index of each supply."""
        return np.repeat(np.arange(len(self.candidates)), [len(c.supplies) for c in self.candidates])

    @functools.cached_property
    def demand(self) -> Floats:
        """(periods, buckets), requests/s."""
        return np.array(self.requirement.demand_per_s, dtype=float)

    @functools.cached_property
    def limits(self) -> Floats:
        """(units, buckets), requests/s."""
        return np.array([c.limits_per_s for c in self.candidates], dtype=float)

    @functools.cached_property
    def planned_limits(self) -> Floats:
        """(periods, units, buckets), requests/s: the limits that programs are built with.

        A replica that all requests of a period, of the sizes that it serves, keep busy for less than _LEAST_WORK of
        what it may be filled to is planned as if they did for that long. One replica carries them all either way, so no
        answer changes; but the solver takes 1e-6 of a replica for none (`highs.FEASIBLE`).
        """
        work = np.divide(self.demand[:, None, :], self.limits, out=np.zeros(self._shape), where=self.limits > 0)
        busy = work.sum(axis=2, keepdims=True) / (_LEAST_WORK * self.requirement.utilization_target)
        planned: Floats = self.limits * np.where(busy > 0, np.minimum(busy, 1.0), 1.0)
        return planned

    @property
    def _shape(self) -> tuple[int, int, int]:
        return (len(self.demand), *self.limits.shape)

    @functools.cached_property
    def prices(self) -> Floats:
        """US dollars per hour of one instance, by supply."""
        return np.array([s.instance_usd_per_h * c.instances_per_replica for c, s in self.supplies])

    @functools.cached_property
    def per_instance(self) -> Ints:
        """Replicas that one instance holds, by supply."""
        return np.array([candidate.replicas_per_instance for candidate, _ in self.supplies])

    def vcpus(self, quota: str) -> Ints:
        """vCPUs of one instance that count against the quota, by supply."""
        return np.array([s.vcpus * c.instances_per_replica if s.quota == quota else 0 for c, s in self.supplies])

    @functools.cached_property
    def start_usd(self) -> Floats:
        """US dollars that the start of one instance costs, by supply."""
        usd: Floats = self.prices * np.array([candidate.startup_s / 3600 for candidate, _ in self.supplies])
        return usd

    @functools.cached_property
    def max_by_unit(self) -> Ints:
        return np.array([candidate.max_replicas for candidate in self.candidates])

    @functools.cached_property
    def min_by_unit(self) -> Ints:
        return np.array([candidate.min_replicas for candidate in self.candidates])

    @functools.cached_property
    def max_by_supply(self) -> Ints:
        """Most replicas of each supply, its own and its unit's bound together."""
        bounds = [
            c.max_replicas if s.max_replicas is None else min(c.max_replicas, s.max_replicas) for c, s in self.supplies
        ]
        return np.array(bounds)

    @functools.cached_property
    def has_own_max(self) -> npt.NDArray[np.bool_]:
        """Which supplies bound their replicas by themselves."""
        return np.array([supply.max_replicas is not None for _, supply in self.supplies])

    @functools.cached_property
    def floors(self) -> Floats:
        """(periods, units): least requests/s of a pool with replicas. See Requirement.min_share.

        No more than its part of what it can serve, so that all floors can be kept together whatever the units serve.
        """
        served = self.limits > 0
        slowest = np.where(served, self.limits, math.inf).min(axis=1)
        one = self.requirement.utilization_target * slowest * np.maximum(1, self.min_by_unit)
        share = self.requirement.min_share * self.demand.sum(axis=1, keepdims=True)
        fair = self.demand @ served.T / len(self.candidates)
        least: Floats = np.minimum(np.minimum(share, fair), one)
        return least

    def by_unit(self, by_supply: npt.NDArray[np.generic]) -> Floats:
        """Sums over the supplies of each unit."""
        sums = np.bincount(self.unit_of, weights=by_supply.astype(float), minlength=len(self.candidates))
        return sums.astype(float)

    def instances(self, replicas: npt.NDArray[np.generic]) -> Ints:
        """Whole instances that hold the replicas of each supply."""
        return -(-replicas.astype(np.int64) // self.per_instance)

    def hardest(self) -> tuple[int, ...]:
        """Periods whose demand no other period covers in every bucket, the first of equals: a mix that can carry
        these can carry all."""
        kept: list[int] = []
        for period in np.argsort(-self.demand.sum(axis=1), kind="stable"):
            if not any((self.demand[other] >= self.demand[period]).all() for other in kept):
                kept.append(int(period))
        return tuple(kept)


def one_rate(rates_per_s: Sequence[float]) -> tuple[tuple[float, ...], ...]:
    """Demand by period of requests that are all alike."""
    return tuple((rate,) for rate in rates_per_s)
