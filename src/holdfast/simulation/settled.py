"""What a fleet has and routes by when time begins: as if the policy had run it at the first rate for long.

A policy that says how many replicas there shall be begins with the plan's; one that leaves that to an autoscaler with
those that the autoscaler gives each pool for its share, at most the pool's maximum. Otherwise the first minutes of a
scenario would be about the plan of another policy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from holdfast.control.observation import Applied, Observation
from holdfast.control.policies import Policy
from holdfast.model.fleet import CapacityPolicy, RoutingPolicy
from holdfast.model.plan import Plan
from holdfast.model.pools import CapacityPool, RoutingMode
from holdfast.planning import weights as weighing
from holdfast.simulation.fleet import Pool

_ROUNDS = 20
"""Of asking the policy for weights and the autoscaler for replicas: more than weights that depend on replicas need."""


def start(
    plan: Plan, pools: Sequence[Pool], policy: Policy, routing: RoutingPolicy, rate_per_s: float
) -> tuple[list[int], dict[str, int]]:
    """Replicas, and weights by pool."""
    capacity = plan.fleet.spec.capacity
    counts = [max(pool.planned_at(0.0), pool.planned_ahead_at(0.0)) for pool in pools]
    weights = _planned_weights(plan, pools, counts, rate_per_s)
    if policy.scales:
        return counts, weights
    for _ in range(_ROUNDS):
        weights = _decided_weights(pools, counts, policy, routing, capacity, weights, rate_per_s)
        counts = [_scaled(pool, weights, rate_per_s, capacity.utilization_target) for pool in pools]
    return counts, weights


def _planned_weights(plan: Plan, pools: Sequence[Pool], counts: Sequence[int], rate_per_s: float) -> dict[str, int]:
    """The plan's, which are those of its highest demand; where it plans hour by hour, merit order over the replicas."""
    if len(plan.periods) < 2:
        return {pool.name: pool.weight for pool in pools}
    spec = plan.fleet.spec
    fillable = [
        weighing.Fillable(pool.name, count * pool.limit_per_s, pool.usd_per_million_requests)
        for pool, count in zip(pools, counts, strict=True)
    ]
    shares = weighing.merit_order(fillable, rate_per_s, spec.capacity.utilization_target, spec.routing.min_share)
    return weighing.integer_weights(shares)


def _decided_weights(
    pools: Sequence[Pool],
    counts: Sequence[int],
    policy: Policy,
    routing: RoutingPolicy,
    capacity: CapacityPolicy,
    weights: dict[str, int],
    rate_per_s: float,
) -> dict[str, int]:
    long_ago_s = -routing.dwell_s
    seen = tuple(
        CapacityPool(
            name=pool.name,
            limit_per_s=pool.limit_per_s,
            usd_per_million_requests=pool.usd_per_million_requests,
            ready=count,
            pending=0,
            planned=pool.planned_at(0.0),
            min_replicas=pool.min_replicas,
            max_replicas=pool.max_replicas,
            ready_since_s=long_ago_s,
            at_once=pool.at_once,
        )
        for pool, count in zip(pools, counts, strict=True)
    )
    applied = Applied(weights, RoutingMode.COST_OPTIMIZED, long_ago_s, long_ago_s)
    observation = Observation(seen, rate_per_s, 0.0, 0.0, applied, {pool.name: pool.weight for pool in pools})
    return dict(policy.decide(observation, routing, capacity, 0.0).weights)


def _scaled(pool: Pool, weights: dict[str, int], rate_per_s: float, target: float) -> int:
    share = weights.get(pool.name, 0) / sum(weights.values())
    wanted = math.ceil(rate_per_s * share / (pool.limit_per_s * target) - 1e-9)
    return min(max(wanted, pool.kept), pool.max_replicas)
