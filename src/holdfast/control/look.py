"""One look at the fleet under its policies, and what follows from it about each pool.

Replicas with an interruption notice are ready and yet not to be counted on. So a pool has three counts: those
that are `ready` (all of them), those that last (`CapacityPool.lasting`), and those that traffic may go to now
(`Look.counted`). Proof, loss and scaling go by what lasts; room goes by what is counted.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from holdfast.control import shortages
from holdfast.control.observation import Observation
from holdfast.control.shortages import Supply
from holdfast.model.fleet import CapacityPolicy, RoutingPolicy
from holdfast.model.plan import TOTAL_WEIGHT
from holdfast.model.pools import CapacityPool
from holdfast.planning.weights import Fillable, integer_weights, merit_order

SLACK = 1e-9
"""Relative error granted to sums of floats before a bound counts as broken."""

TRICKLE_PER_S = 1e-9
"""Stands for a rate of 0, at which shares would mean nothing: the next request still has a cheapest pool to go to."""

DOUBLES_S = 3600.0
"""Seconds in which an unseen rate is presumed to rise by as much as it was: our estimate, as plans go by the hour."""

LEAVE_S = 30.0
"""How long before replicas with an interruption notice are gone their weight has left, whatever the rest can carry.

Two looks and the seconds that a load balancer takes to apply weights, and what is in flight can still end.
EC2 gives 120 s of notice (Amazon EC2 User Guide, "Spot Instance interruption notices")."""


EASY_WAIT = 0.5
"""Mean wait, in service times, up to which a pool is filled at ease."""


@functools.cache
def easy_fill(servers: int) -> float:
    """The share of their limit, 0..1, at which requests wait EASY_WAIT in the mean: less for few than for many.

    servers: replicas x requests that each has in hand at its limit. n of them, alike, with one queue, filled to rho:
    wait = rho^(sqrt(2 (n + 1)) - 1) / (2 n (1 - rho)) service times (Sakasegawa, Ann. Inst. Statist. Math. 29, 1977,
    doi:10.1007/BF02532775, for M/D/n). One is at ease to 50 %, two to 70 %, 28 to 97 %.
    """
    exponent = math.sqrt(2 * (servers + 1)) - 1
    low, high = 0.0, 1.0
    for _ in range(40):
        filled = (low + high) / 2
        waits = filled**exponent > 2 * EASY_WAIT * servers * (1 - filled)
        low, high = (low, filled) if waits else (filled, high)
    return low


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
    def counted(self) -> Mapping[str, int]:
        """Ready replicas of each pool that traffic may go to: those that last, where these carry the rate.

        Where they do not, or the rate is unknown, replicas with an interruption notice serve until LEAVE_S before
        they are gone: their requests have nowhere better to go. When nothing else is left, to the end.
        """
        lasting = {pool.name: pool.lasting for pool in self.pools}
        if self.lasting_carries:
            return lasting
        staying = {pool.name: pool.lasting if self.leaving(pool) else pool.ready for pool in self.pools}
        return staying if any(staying.values()) else {pool.name: pool.ready for pool in self.pools}

    @cached_property
    def lasting_carries(self) -> bool:
        """Whether the replicas that last carry the rate, filled to their limit; no when the rate is unknown."""
        whole_per_s = sum(pool.lasting_limit_per_s for pool in self.pools)
        return self.observation.rate_known and self.rate_per_s <= whole_per_s * (1 + SLACK)

    def leaving(self, pool: CapacityPool) -> bool:
        """Whether replicas of the pool will be gone so soon that they must be left now."""
        return pool.draining > 0 and self.now_s >= pool.gone_at_s - LEAVE_S

    @cached_property
    def ready(self) -> tuple[CapacityPool, ...]:
        """The pools that traffic may go to."""
        return tuple(pool for pool in self.pools if self.counted[pool.name])

    def counted_per_s(self, pool: CapacityPool) -> float:
        """The limit of the pool's replicas that traffic may go to."""
        return self.counted[pool.name] * pool.limit_per_s

    @cached_property
    def by_merit(self) -> tuple[CapacityPool, ...]:
        """The pools, the cheapest per request first."""
        return tuple(sorted(self.pools, key=lambda pool: (pool.usd_per_million_requests, pool.name)))

    @cached_property
    def rank(self) -> Mapping[str, int]:
        """The place of each pool in `by_merit`."""
        return {pool.name: place for place, pool in enumerate(self.by_merit)}

    @cached_property
    def steers(self) -> bool:
        """Whether enough is known, and is there, for merit order and failover."""
        return self.observation.pools_known and self.observation.rate_known and bool(self.ready)

    @cached_property
    def rate_per_s(self) -> float:
        """The rate to go by, at least TRICKLE_PER_S: the one that was read, or where it is unknown the presumed one."""
        rate = self.observation.rate_per_s
        known = rate is not None and self.observation.rate_known
        return max(rate if rate is not None and known else self.presumed_per_s, TRICKLE_PER_S)

    @cached_property
    def presumed_per_s(self) -> float:
        """What an unknown rate is taken for: the last reading, risen since, at most to what is planned for now.

        That is what the planned replicas carry at the target, by the hour where the plan goes by the hour; or the
        last reading, where it was more. Without any reading it is taken for that at once.
        """
        planned_per_s = sum(self.base(pool) * pool.limit_per_s for pool in self.pools)
        most_per_s = planned_per_s * self.capacity.utilization_target
        last = self.observation.rate_per_s
        if last is None:
            return most_per_s
        return min(last * (1 + self.observation.rate_age_s / DOUBLES_S), max(last, most_per_s))

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

    def due(self, pool: CapacityPool) -> int:
        """Those, and the ones that the plan will have given it by the time that they are up."""
        return max(self.base(pool), min(pool.planned_ahead, pool.max_replicas))

    def load_per_s(self, weight: int) -> float:
        """Requests/s that a weight stands for at the current rate."""
        return weight * self.rate_per_s / TOTAL_WEIGHT

    def room(self, pool: CapacityPool, weight: int, filled: float = 1.0) -> bool:
        """Whether the counted replicas of the pool, filled to that share of their limit, carry the weight."""
        return self.load_per_s(weight) <= self.counted_per_s(pool) * filled * (1 + SLACK)

    def carriers(self, pool: CapacityPool, weight: int) -> int:
        """Replicas that carry the weight at the utilisation target."""
        per_replica = pool.limit_per_s * self.capacity.utilization_target
        return math.ceil(self.load_per_s(weight) / per_replica * (1 - SLACK))

    @cached_property
    def warm_share(self) -> float:
        """The share that every ready pool keeps, 0..1: the policy's, or an equal part where that is less."""
        return min(self.routing.min_share, 1 / max(1, len(self.ready)))

    def full_at(self, pool: CapacityPool, weight: int = TOTAL_WEIGHT) -> float:
        """The share of its limit, 0..1, at which the pool is full: the target, or where requests begin to wait.

        Those of a weight that only keeps it warm, or that is a single unit, are too few to matter: they may.
        """
        target = self.capacity.utilization_target
        return target if weight <= self._few else min(target, easy_fill(self.counted[pool.name] * pool.at_once))

    @cached_property
    def _few(self) -> int:
        """The weight that only keeps a pool warm, or is a single unit."""
        return max(1, math.ceil(self.warm_share * TOTAL_WEIGHT))

    def crowded_at(self, pool: CapacityPool, weight: int = TOTAL_WEIGHT) -> float:
        """The share of its limit, 0..1, from which the pool is crowded: the middle between full and the limit."""
        return (1 + self.full_at(pool, weight)) / 2

    @cached_property
    def share_per_s(self) -> Mapping[str, float]:
        """Requests/s of each pool were all planned replicas ready: its cost-optimal share, at most their limit.

        Without the warm share: a pool that is only kept warm is not missed when it goes.
        """
        limits = {pool.name: self.base(pool) * pool.limit_per_s for pool in self.pools}
        fillable = [Fillable(pool.name, limits[pool.name], pool.usd_per_million_requests) for pool in self.pools]
        shares = merit_order(fillable, self.rate_per_s, self.capacity.utilization_target)
        return {name: min(share * self.rate_per_s, limits[name]) for name, share in shares.items()}

    @cached_property
    def _needs(self) -> Mapping[str, int]:
        target = self.capacity.utilization_target
        return {
            pool.name: min(
                math.ceil(self.share_per_s[pool.name] / (pool.limit_per_s * target) * (1 - SLACK)), self.base(pool)
            )
            for pool in self.pools
        }

    def needed(self, pool: CapacityPool) -> int:
        """Replicas that carry the pool's cost-optimal share at the utilisation target, at most the planned ones."""
        return self._needs[pool.name]

    def proved_at_s(self, pool: CapacityPool) -> float:
        """From when on the pool counts as stable, if it stays as it is."""
        return pool.ready_since_s + self.routing.dwell_s

    def proved(self, pool: CapacityPool) -> bool:
        """Enough lasting replicas for its cost-optimal share, and stable for the dwell time."""
        return pool.name in self._proved

    @cached_property
    def _proved(self) -> frozenset[str]:
        return frozenset(
            pool.name
            for pool in self.pools
            if pool.lasting >= max(1, self.needed(pool)) and self.now_s >= self.proved_at_s(pool)
        )

    @cached_property
    def supply(self) -> Mapping[str, Supply]:
        """What may be asked of each pool."""
        return {pool.name: shortages.supply(pool, self.now_s) for pool in self.pools}

    def dependable(self, pool: CapacityPool) -> bool:
        """Whether replicas that are asked of the pool can be expected to come."""
        return pool.name in self._dependable

    @cached_property
    def _dependable(self) -> frozenset[str]:
        lost = {pool.name for pool in self.lost}
        return frozenset(name for name, supply in self.supply.items() if supply is Supply.OPEN and name not in lost)

    @cached_property
    def dead(self) -> tuple[CapacityPool, ...]:
        """Pools that have weight and no replica that traffic may go to, while another pool has one."""
        if not self.ready:
            return ()
        return tuple(pool for pool in self.pools if not self.counted[pool.name] and self.standing[pool.name])

    @cached_property
    def lost(self) -> tuple[CapacityPool, ...]:
        """Pools that cannot carry their cost-optimal share; none where there is no pool to fail over to.

        The bound is the limit here and the utilisation target in `proved`, so that a rate that wobbles
        about either does not move a pool to and fro.
        """
        if not any(pool.lasting for pool in self.pools):
            return ()
        return tuple(pool for pool in self.pools if self.lacks(pool))

    def lacks(self, pool: CapacityPool) -> bool:
        """Whether the lasting replicas of the pool cannot carry its cost-optimal share, even filled to their limit.

        An interruption notice is a loss to come: there is time to ask elsewhere, so half the headroom is reason enough.
        """
        filled = (1 + self.capacity.utilization_target) / 2 if pool.draining else 1.0
        return pool.lasting_limit_per_s * filled < self.share_per_s[pool.name] * (1 - SLACK)

    @cached_property
    def all_proved(self) -> bool:
        """Whether every pool with a cost-optimal share has proved itself."""
        return all(self.proved(pool) for pool in self.pools if self.needed(pool))
