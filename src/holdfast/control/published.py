"""The policies that merit order is compared with: they share traffic out and leave the rest to others.

static        the plan's weights and the plan's replicas, over the pools that have a ready replica
round robin   every ready replica of the fleet gets the same share: one Service over all pools
two-mode      the binary switch between weights by inverse cost and round robin

Two-mode is the controller of aws-samples/scalable-hw-agnostic-inference ("Option 3 - Failover to compute-optimized
configuration with fallback to cost-optimized"; capacity-checker-deploy.yaml, capacity-checker-config.yaml, as
stored in 2026), with its faults. Every 300 s it searches the logs of the last 300 s for the words "insufficient
capacity"; any pool's flips the whole fleet at once, and nothing but such words does: a pool that merely lost its
replicas keeps its weight. Two things here are not as published. There, the mode is a variable of a shell that a
restart resets; here it is stored, for a function has no memory. There, the fleet fails back when the load
generator has at most 5 replicas, which real traffic does not have; here, when no pool is short.
"""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.control.decision import Decision
from holdfast.control.look import Look
from holdfast.control.observation import Observation
from holdfast.model.fleet import CapacityPolicy, RoutingPolicy
from holdfast.model.plan import TOTAL_WEIGHT
from holdfast.model.pools import CapacityPool, RoutingMode
from holdfast.planning.weights import Fillable, integer_weights, inverse_cost

TWO_MODE_EVERY_S = 300.0
"""Seconds between looks of two-mode, and how far back each sees (`sleep 300`, `timedelta(minutes=5)`)."""

LOOK_EVERY_S = 10.0
"""Seconds between looks of the others; those who keep weights by readiness (kube-proxy, an ALB) are as quick."""


def static(observation: Observation, routing: RoutingPolicy, capacity: CapacityPolicy, now_s: float) -> Decision:
    """The plan's weights over the pools that have a ready replica, and the plan's replicas; the mode is left alone."""
    look = Look(observation, routing, capacity, now_s)
    ready = _ready(look)
    if not ready:
        return _held(look, observation.applied.mode, LOOK_EVERY_S)
    weights = integer_weights(look.plan_shares(ready))
    why = "the plan's weights are kept over the ready pools"
    replicas = {pool.name: look.base(pool) for pool in look.pools}
    return _decision(look, weights, observation.applied.mode, why, LOOK_EVERY_S, replicas)


def round_robin(observation: Observation, routing: RoutingPolicy, capacity: CapacityPolicy, now_s: float) -> Decision:
    """Weights in proportion to ready replicas, whatever these hold and cost."""
    look = Look(observation, routing, capacity, now_s)
    return _round_robin(look, "every ready replica gets the same share", LOOK_EVERY_S)


def two_mode(observation: Observation, routing: RoutingPolicy, capacity: CapacityPolicy, now_s: float) -> Decision:
    """Weights by inverse cost over all pools, ready or not; round robin while any pool was short in the last 300 s."""
    look = Look(observation, routing, capacity, now_s)
    if not observation.pools_known:
        return _held(look, observation.applied.mode, TWO_MODE_EVERY_S)
    short = [pool.name for pool in look.pools if _lately_short(pool, now_s)]
    if short:
        return _round_robin(look, f"capacity was short ({', '.join(short)})", TWO_MODE_EVERY_S)
    pools = [Fillable(pool.name, pool.limit_per_s, pool.usd_per_million_requests) for pool in look.pools]
    weights = integer_weights(inverse_cost(pools))
    why = "no pool was short, so the weights are by inverse cost"
    return _decision(look, weights, RoutingMode.COST_OPTIMIZED, why, TWO_MODE_EVERY_S)


def _lately_short(pool: CapacityPool, now_s: float) -> bool:
    return any(now_s - fact.at_s <= TWO_MODE_EVERY_S for fact in pool.shortages)


def _ready(look: Look) -> tuple[CapacityPool, ...]:
    """The pools with a ready replica, interruption notice or not; none when the pools are unknown."""
    return tuple(pool for pool in look.pools if pool.ready) if look.observation.pools_known else ()


def _round_robin(look: Look, why: str, every_s: float) -> Decision:
    if not _ready(look):
        return _held(look, RoutingMode.CAPACITY_OPTIMIZED, every_s)
    weights = integer_weights({pool.name: float(pool.ready) for pool in look.pools})
    return _decision(look, weights, RoutingMode.CAPACITY_OPTIMIZED, why, every_s)


def _held(look: Look, mode: RoutingMode, every_s: float) -> Decision:
    """The weights that stand: to the letter when the pools are unknown, over those that exist when none is ready."""
    if not look.observation.pools_known:
        why = "the pools are unknown, so the weights are held"
        return _decision(look, look.observation.applied.weights, look.observation.applied.mode, why, every_s)
    return _decision(look, look.standing, mode, "no pool has a ready replica, so the weights are held", every_s)


def _decision(
    look: Look,
    weights: Mapping[str, int],
    mode: RoutingMode,
    why: str,
    every_s: float,
    replicas: Mapping[str, int] | None = None,
) -> Decision:
    applied = look.observation.applied
    asked = replicas or {}
    return Decision(
        weights=dict(weights),
        replicas=asked,
        mode=mode,
        mode_since_s=applied.mode_since_s if mode is applied.mode else look.now_s,
        last_shift_s=applied.last_shift_s if applied.routes_by(weights) else look.now_s,
        next_look_s=look.now_s + every_s,
        reasons={pool.name: _reason(pool, weights.get(pool.name, 0), asked, why) for pool in look.pools},
        summary=f"The fleet is in {mode.value} mode: {why}.",
    )


def _reason(pool: CapacityPool, weight: int, asked: Mapping[str, int], why: str) -> str:
    count = asked.get(pool.name)
    clause = "its replicas are left as they are" if count is None else f"{count} asked for, {pool.planned} planned"
    return f"has {weight} of {TOTAL_WEIGHT}: {why}; {pool.ready} ready, {clause}."
