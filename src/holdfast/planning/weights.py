"""Traffic shares over pools, and the integers that a load balancer takes.

merit order         the least cost at the planned rate; the default
inverse cost        each pool in proportion to 1 / cost per request, whatever it holds; what the field uses
capacity optimised  round robin over replicas, each taking min(mean of the limits, own limit)

Merit order: fill the pool with the lowest cost per request to its limit x the utilisation target, then the
next. When all pools are at the target, the rest of the load is spread in proportion to what is left up to
their limits, and beyond that in proportion to the limits: then the fleet is overloaded evenly. Every pool
that can take traffic keeps `min_share`, so that it stays warm and measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from holdfast.model.fleet import FleetSpec, WeightPolicy
from holdfast.model.plan import TOTAL_WEIGHT, Plan
from holdfast.model.tables import Column, Table


@dataclass(frozen=True)
class Fillable:
    """What filling needs of a pool: its whole limit (requests/s, 0 when none is ready), its cost key, its replicas."""

    name: str
    limit_per_s: float
    usd_per_million_requests: float
    replicas: int = 1


@dataclass(frozen=True)
class Weighting:
    """The weights of one policy.

    plain:   as the policy has them, integers that sum to TOTAL_WEIGHT.
    weights: the same with units moved off pools that would be above their limits while others have room.
    """

    policy: WeightPolicy
    plain: dict[str, int]
    weights: dict[str, int]

    @property
    def moved(self) -> int:
        """Units of weight that had to move."""
        return sum(max(0, self.plain[name] - self.weights[name]) for name in self.plain)

    @property
    def sentence(self) -> str:
        """What a plan says of them."""
        moved = (
            f"; {self.moved} of {TOTAL_WEIGHT} moved off pools that would be above their limits" if self.moved else ""
        )
        return f"Weights by {_WORDS[self.policy]}{moved}."


_WORDS = {
    WeightPolicy.MERIT_ORDER: "merit order",
    WeightPolicy.INVERSE_COST: "inverse cost per request",
    WeightPolicy.CAPACITY_OPTIMIZED: "round robin at the adjusted throughput",
}


def weigh(policy: WeightPolicy, pools: Sequence[Fillable], rate_per_s: float, spec: FleetSpec) -> Weighting:
    """Integer weights of the pools at `rate_per_s` (above 0) by the policy; all zero when no pool has a limit."""
    shares: dict[WeightPolicy, Callable[[], dict[str, float]]] = {
        WeightPolicy.MERIT_ORDER: lambda: merit_order(
            pools, rate_per_s, spec.capacity.utilization_target, spec.routing.min_share
        ),
        WeightPolicy.INVERSE_COST: lambda: inverse_cost(pools),
        WeightPolicy.CAPACITY_OPTIMIZED: lambda: capacity_optimized(pools),
    }
    return of_shares(policy, shares[policy](), pools, rate_per_s)


def of_shares(
    policy: WeightPolicy, shares: Mapping[str, float], pools: Sequence[Fillable], rate_per_s: float
) -> Weighting:
    """The shares of a policy as integer weights, and those with what is above a pool's limit moved off it."""
    plain = integer_weights(shares)
    carries = {pool.name: pool.limit_per_s / rate_per_s * TOTAL_WEIGHT for pool in pools}
    return Weighting(policy, plain, within_limits(plain, carries))


def compare(plan: Plan) -> Table:
    """The weights of every policy for the replicas of a plan, as each policy has them, and what they come to."""
    pools = [
        Fillable(pool.unit, pool.replicas * pool.limit_per_s, pool.usd_per_million_requests, pool.replicas)
        for pool in plan.pools
        if pool.replicas
    ]
    weighed = [weigh(policy, pools, plan.demand_per_s, plan.fleet.spec) for policy in WeightPolicy]
    return Table(
        title=f"Weights by policy, at {plan.demand_per_s:.4g} requests/s",
        columns=(Column("unit"), *(Column(one.policy.value, "%") for one in weighed)),
        rows=tuple((pool.name, *(one.plain[pool.name] for one in weighed)) for pool in pools),
        notes=tuple(_account(one, pools, plan.demand_per_s) for one in weighed) if pools else (),
    )


def _account(weighing: Weighting, pools: Sequence[Fillable], rate_per_s: float) -> str:
    """What a million requests cost with these weights, replicas filled, and how full the fullest pool is."""
    cost = math.fsum(pool.usd_per_million_requests * weighing.plain[pool.name] for pool in pools) / TOTAL_WEIGHT
    filled = {pool.name: weighing.plain[pool.name] / TOTAL_WEIGHT * rate_per_s / pool.limit_per_s for pool in pools}
    fullest = max(filled, key=lambda name: filled[name])
    mended = f"; the plan would move {weighing.moved} of {TOTAL_WEIGHT} to pools with room" if weighing.moved else ""
    return (
        f"{weighing.policy.value}: {cost:.2f} USD per million requests at full replicas; "
        f"{fullest} is filled to {filled[fullest]:.0%} of its limit{mended}."
    )


def inverse_cost(pools: Sequence[Fillable]) -> dict[str, float]:
    """Shares (summing to 1) in proportion to 1 / cost per request; all zero when no pool has a limit above 0.

    What the pools hold has no part in it, so a small pool may get more than it carries. Costs must be above 0.
    """
    return _in_proportion({p.name: 1 / p.usd_per_million_requests if p.limit_per_s > 0 else 0.0 for p in pools})


def capacity_optimized(pools: Sequence[Fillable]) -> dict[str, float]:
    """Shares (summing to 1) of a round robin over all replicas, each taking its adjusted throughput.

    target = mean of the pools' limits per replica, adjusted_i = min(target, limit_i): a replica below the mean takes
    that much less, or plain round robin would break it first. All zero when no pool has a limit above 0.
    """
    limits = {pool.name: pool.limit_per_s / pool.replicas for pool in pools if pool.limit_per_s > 0}
    target = math.fsum(limits.values()) / max(1, len(limits))
    return _in_proportion({pool.name: pool.replicas * min(target, limits.get(pool.name, 0.0)) for pool in pools})


def _in_proportion(parts: Mapping[str, float]) -> dict[str, float]:
    whole = math.fsum(parts.values())
    return {name: part / whole if whole else 0.0 for name, part in parts.items()}


def merit_order(
    pools: Sequence[Fillable], rate_per_s: float, utilization_target: float, min_share: float = 0.0
) -> dict[str, float]:
    """Shares (summing to 1) of `rate_per_s` by merit order; all zero when no pool has a limit above 0.

    utilization_target: 0..1, how full a pool is made before the next is used.
    min_share: 0..1, what every pool with a limit gets at least, as far as its own limit allows it.
    """
    order = sorted((p for p in pools if p.limit_per_s > 0), key=lambda p: (p.usd_per_million_requests, p.name))
    shares = dict.fromkeys((p.name for p in pools), 0.0)
    if not order:
        return shares
    limits = {p.name: p.limit_per_s for p in order}
    rate = max(rate_per_s, 1e-9)
    floor = {p.name: min(min_share * rate, p.limit_per_s * utilization_target) for p in order}
    load = dict(floor)
    left = rate - sum(load.values())
    for pool in order:
        taken = min(max(left, 0.0), limits[pool.name] * utilization_target - load[pool.name])
        load[pool.name] += taken
        left -= taken
    if left > 0:
        room = {name: limits[name] - load[name] for name in limits}
        spread = min(left, sum(room.values()))
        if spread > 0:
            scale = spread / sum(room.values())
            load = {name: load[name] + room[name] * scale for name in limits}
        left -= spread
    if left > 1e-12 * rate:
        whole = sum(limits.values())
        load = {name: load[name] + left * limits[name] / whole for name in limits}
    total = sum(load.values())
    return shares | {name: load[name] / total for name in load}


def integer_weights(shares: Mapping[str, float], total: int = TOTAL_WEIGHT) -> dict[str, int]:
    """Integers that sum to `total`, nearest to the shares by largest remainder.

    A share above 0 gets at least 1, so that a warm pool is never rounded away; a share of 0 gets 0. All
    zero when no share is above 0. Ties go to the pool named first. Raises ValueError when there are more
    positive shares than `total`, or a share is negative or not finite.
    """
    if any(not math.isfinite(share) or share < 0 for share in shares.values()):
        raise ValueError("a traffic share is negative or not a number")
    positive = [name for name, share in shares.items() if share > 0]
    if len(positive) > total:
        raise ValueError(f"{len(positive)} pools cannot each have a weight of at least 1 of {total}")
    weights = dict.fromkeys(shares, 0)
    if not positive:
        return weights
    whole = sum(shares[name] for name in positive)
    exact = {name: shares[name] / whole * total for name in positive}
    for name in positive:
        weights[name] = max(1, math.floor(exact[name]))
    by_remainder = sorted(positive, key=lambda name: exact[name] - weights[name], reverse=True)
    missing = total - sum(weights.values())
    for step in range(missing):
        weights[by_remainder[step % len(by_remainder)]] += 1
    while missing < 0:
        # Only the guarantee of 1 can overshoot: take it back where the weight is furthest above its share.
        most = max((n for n in reversed(positive) if weights[n] > 1), key=lambda n: weights[n] - exact[n])
        weights[most] -= 1
        missing += 1
    return weights


def within_limits(weights: Mapping[str, int], carries: Mapping[str, float]) -> dict[str, int]:
    """`weights` with single units moved off pools that get more than they carry, onto those with the most room.

    carries: what each pool takes at its limit, in units of weight. Rounding, and the guarantee of 1 to a warm
    pool, can overload a small pool; when no pool has room for a whole unit, the rest stays where it is.
    """
    moved = dict(weights)
    for giver in moved:
        while moved[giver] > carries[giver] * (1 + 1e-9):
            receiver = max(moved, key=lambda name: carries[name] - moved[name])
            if moved[receiver] + 1 > carries[receiver] * (1 + 1e-9):
                return moved
            moved[giver] -= 1
            moved[receiver] += 1
    return moved
