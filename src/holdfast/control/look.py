"""One look at the fleet under its policies, and what follows from it about each pool."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from holdfast.control.observation import Observation
from holdfast.model.fleet import CapacityPolicy, RoutingPolicy
from holdfast.model.plan import TOTAL_WEIGHT
from holdfast.model.pools import CapacityPool
from holdfast.planning.weights import Fillable, integer_weights, merit_order

SLACK = 1e-9
"""Relative error granted to sums of floats before a bound counts as broken."""

TRICKLE_PER_S = 1e-9
"""Stands for a rate of 0, at which shares would mean nothing: the next request still has a cheapest pool to go to."""


@dataclass(frozen=True)
class Look:
    """An observation, the policies to judge it by, and the time. Pools come in the order of their names."""

    observation: Observation
    routing: RoutingPolicy
    capacity: CapacityPolicy
    now_s: float

    @cached_property
    def pools(self) -> tuple[CapacityPool, ...]:
        return tuple(sorted(self.observation.pools, key=lambda pool: pool.name))

    @cached_property
    def ready(self) -> tuple[CapacityPool, ...]:
        return tuple(pool for pool in self.pools if pool.ready > 0)

    @cached_property
    def by_merit(self) -> tuple[CapacityPool, ...]:
        """The pools, the cheapest per request first."""
        return tuple(sorted(self.pools, key=lambda pool: (pool.usd_per_million_requests, pool.name)))

    @property
    def steers(self) -> bool:
        """Whether enough is known, and left open by the policy, for merit order and failover."""
        known = self.observation.pools_known and self.observation.rate_known
        return known and bool(self.ready) and not self.is_static

    @property
    def is_static(self) -> bool:
        return self.routing.policy == "static"

    @property
    def rate_per_s(self) -> float:
        """The rate, at least TRICKLE_PER_S. Raises ValueError when it is unknown: nothing follows from a stale one."""
        rate = self.observation.rate_per_s
        if rate is None or not self.observation.rate_known:
            raise ValueError("the rate is unknown")
        return max(rate, TRICKLE_PER_S)

    @cached_property
    def standing(self) -> dict[str, int]:
        """The weights in force over the pools that exist, brought to TOTAL_WEIGHT; the plan's where there are none."""
        weights = {pool.name: self.observation.applied.weights.get(pool.name, 0) for pool in self.pools}
        if sum(weights.values()) == TOTAL_WEIGHT:
            return weights
        return integer_weights(weights if any(weights.values()) else self.plan_shares(self.pools))

    def plan_shares(self, among: tuple[CapacityPool, ...]) -> dict[str, float]:
        """The plan's weights for the pools `among`, 0 for the others; by planned capacity where it gives them none."""
        names = {pool.name for pool in among}
        planned = {name: float(self.observation.plan_weights.get(name, 0)) for name in names}
        if not any(planned.values()):
            planned = {pool.name: self.base(pool) * pool.limit_per_s for pool in among}
        if not any(planned.values()):
            planned = {pool.name: pool.limit_per_s for pool in among}
        return {pool.name: planned.get(pool.name, 0.0) for pool in self.pools}

    def base(self, pool: CapacityPool) -> int:
        """The replicas that the plan gives the pool, within its bounds."""
        return min(max(pool.planned, pool.min_replicas), pool.max_replicas)

    def load_per_s(self, weight: int) -> float:
        """Requests/s that a weight stands for at the current rate."""
        return weight * self.rate_per_s / TOTAL_WEIGHT

    def room(self, pool: CapacityPool, weight: int, filled: float = 1.0) -> bool:
        """Whether the ready replicas of the pool, filled to that share of their limit, carry the weight."""
        return self.load_per_s(weight) <= pool.ready_limit_per_s * filled * (1 + SLACK)

    @cached_property
    def share_per_s(self) -> Mapping[str, float]:
        """Requests/s of each pool were all planned replicas ready: its cost-optimal share, at most their limit.

        Without the warm share: a pool that is only kept warm is not missed when it goes.
        """
        limits = {pool.name: self.base(pool) * pool.limit_per_s for pool in self.pools}
        fillable = [Fillable(pool.name, limits[pool.name], pool.usd_per_million_requests) for pool in self.pools]
        shares = merit_order(fillable, self.rate_per_s, self.capacity.utilization_target)
        return {name: min(share * self.rate_per_s, limits[name]) for name, share in shares.items()}

    def needed(self, pool: CapacityPool) -> int:
        """Replicas that carry the pool's cost-optimal share at the utilisation target, at most the planned ones."""
        per_replica = pool.limit_per_s * self.capacity.utilization_target
        return min(math.ceil(self.share_per_s[pool.name] / per_replica * (1 - SLACK)), self.base(pool))

    def proved_at_s(self, pool: CapacityPool) -> float:
        """From when on the pool counts as stable, if it stays as it is."""
        return pool.ready_since_s + self.routing.dwell_s

    def proved(self, pool: CapacityPool) -> bool:
        """Enough ready replicas for its cost-optimal share, and stable for the dwell time."""
        return pool.ready > 0 and pool.ready >= self.needed(pool) and self.now_s >= self.proved_at_s(pool)

    @cached_property
    def dead(self) -> tuple[CapacityPool, ...]:
        """Pools that have weight and no ready replica, while another pool has one."""
        return tuple(pool for pool in self.pools if self.ready and not pool.ready and self.standing[pool.name])

    @cached_property
    def lost(self) -> tuple[CapacityPool, ...]:
        """Pools that cannot carry their cost-optimal share; none where there is no pool to fail over to.

        The bound is the limit here and the utilisation target in `proved`, so that a rate that wobbles
        about either does not move a pool to and fro.
        """
        if not self.ready:
            return ()
        return tuple(pool for pool in self.pools if pool.ready_limit_per_s < self.share_per_s[pool.name] * (1 - SLACK))

    @cached_property
    def all_proved(self) -> bool:
        """Whether every pool with a cost-optimal share has proved itself."""
        return all(self.proved(pool) for pool in self.pools if self.needed(pool))
