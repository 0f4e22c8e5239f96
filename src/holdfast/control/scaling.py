"""How many replicas to ask of each pool, ahead of the traffic that will need them.

Every pool is asked for what the plan gives it. What cannot be had there is spilled over: the cheapest pools
that can still be had are raised until dependable capacity, ready or on its way, carries the rate at the
utilisation target. Pending replicas of a pool that lost capacity are hopes, and are not counted.

Replicas with an interruption notice count for nothing here, so their replacements are asked for at once. Whoever
carries the decision out knows whether what it scales still counts them: a Deployment whose pods are evicted at the
notice does not; one that replaces a pod only when it is gone must be asked for as many more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from holdfast.control.look import SLACK, Look
from holdfast.control.shortages import Supply
from holdfast.control.states import Phase
from holdfast.model.pools import CapacityPool

RATE_BAND = 0.1
"""Replicas are given back only when they would not be needed at a rate this share higher, either: a pod
that was just started for minutes is not worth a wobble. 10 % is half the headroom of the usual 80 % target."""

KEEP_S = 1800.0
"""How long after a pool last obtained a replica that band is granted to it, so that what a storm or a wobble left
behind is not paid until the rate falls, hours later. At most one start in so long is for nothing."""


def replicas(look: Look, weights: Mapping[str, int], phase: Phase) -> dict[str, int]:
    """Replicas to ask of each pool, given the decided weights and phase. Empty when too little is known to change any.

    Nothing is given back from the failover until one look after the failback, for the pools must be drained first; nor
    while the rate is unknown.
    """
    if not look.observation.pools_known:
        return {}
    settled = phase is Phase.COST and look.observation.applied.mode is phase.mode
    if settled and look.observation.rate_known:
        wanted = _steady(look)
    else:
        wanted = covering(look, look.rate_per_s, {p.name: max(look.due(p), asked(p)) for p in look.pools})
    return {pool.name: _obtainable(look, pool, wanted[pool.name], weights[pool.name]) for pool in look.pools}


def asked(pool: CapacityPool) -> int:
    """Replicas that the pool has been asked for, without those that will be gone."""
    return pool.lasting + pool.pending


def covering(look: Look, rate_per_s: float, start: Mapping[str, int]) -> dict[str, int]:
    """`start` within the maxima, the cheapest dependable pools raised until the rate is carried at the target."""
    wanted = {pool.name: min(start[pool.name], pool.max_replicas) for pool in look.pools}
    gap_per_s = rate_per_s / look.capacity.utilization_target
    for pool in look.pools:
        gap_per_s -= (wanted[pool.name] if look.dependable(pool) else pool.lasting) * pool.limit_per_s
    for pool in look.by_merit:
        if gap_per_s <= SLACK * rate_per_s:
            break
        if look.dependable(pool):
            more = min(math.ceil(gap_per_s / pool.limit_per_s), pool.max_replicas - wanted[pool.name])
            wanted[pool.name] += more
            gap_per_s -= more * pool.limit_per_s
    return wanted


def _steady(look: Look) -> dict[str, int]:
    """The plan and what the rate needs beyond it; what was started lately stays until the rate has clearly fallen."""
    base = {pool.name: look.due(pool) for pool in look.pools}
    least = covering(look, look.rate_per_s, base)
    kept = covering(look, look.rate_per_s * (1 + RATE_BAND), base)
    return {
        pool.name: max(least[pool.name], min(asked(pool), kept[pool.name])) if _young(look, pool) else least[pool.name]
        for pool in look.pools
    }


def _young(look: Look, pool: CapacityPool) -> bool:
    return pool.obtained_s is not None and look.now_s < pool.obtained_s + KEEP_S


def _obtainable(look: Look, pool: CapacityPool, wanted: int, weight: int) -> int:
    """What of `wanted` may be asked now, and never less than the ready replicas that the weights rely on."""
    relied_on = min(pool.lasting, look.carriers(pool, max(weight, look.standing[pool.name])))
    had = pool.lasting + pool.starting
    limit = {Supply.OPEN: pool.max_replicas, Supply.PROBE: had + 1, Supply.SHUT: had}
    granted = min(max(wanted, relied_on), limit[look.supply[pool.name]])
    return min(max(granted, pool.min_replicas), pool.max_replicas)
