"""Traffic shares over pools, and the integers that a load balancer takes.

Merit order: fill the pool with the lowest cost per request to its limit x the utilisation target, then the
next. When all pools are at the target, the rest of the load is spread in proportion to what is left up to
their limits, and beyond that in proportion to the limits: then the fleet is overloaded evenly. Every pool
that can take traffic keeps `min_share`, so that it stays warm and measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from holdfast.model.plan import TOTAL_WEIGHT


@dataclass(frozen=True)
class Fillable:
    """What filling needs of a pool: its whole limit (requests/s, 0 when none is ready) and its cost key."""

    name: str
    limit_per_s: float
    usd_per_million_requests: float


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
