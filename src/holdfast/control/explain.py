"""A decision in sentences, for logs, status fields and the person who was woken at 3 a.m."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.control.look import Look
from holdfast.control.shifts import DEAD_BAND, Shift
from holdfast.control.shortages import Supply, supply
from holdfast.control.states import Phase, PoolState
from holdfast.model.plan import TOTAL_WEIGHT
from holdfast.model.pools import CapacityPool


def pool_state(look: Look, pool: CapacityPool, shift: Shift) -> PoolState:
    """What the pool is to the fleet at this look. Needs known pools and a known rate."""
    if pool in look.lost:
        return PoolState.SHORT if pool.ready else PoolState.LOST
    if not pool.ready:
        return PoolState.LOST if look.needed(pool) else PoolState.IDLE
    if not look.proved(pool):
        return PoolState.PROVING
    target = (shift.target or shift.weights)[pool.name]
    return PoolState.RAMPING if target > shift.weights[pool.name] + DEAD_BAND else PoolState.SERVING


def reasons(look: Look, shift: Shift, replicas: Mapping[str, int]) -> dict[str, str]:
    """One sentence per pool: what it gets, why, and what is asked of it."""
    return {
        pool.name: f"{_weight_clause(look, pool, shift)}; {_replica_clause(look, pool, replicas)}."
        for pool in look.pools
    }


def summary(look: Look, phase: Phase, shift: Shift) -> str:
    """One sentence for the fleet."""
    lost = look.lost if look.steers else ()
    without = f" without {', '.join(pool.name for pool in lost)}" if lost else ""
    return f"The fleet is in {phase.mode.value} mode ({phase.value}{without}): {shift.why}."


def _weight_clause(look: Look, pool: CapacityPool, shift: Shift) -> str:
    weight = shift.weights.get(pool.name, 0)
    if look.is_static or not look.observation.pools_known or not look.observation.rate_known:
        return f"has {weight} of {TOTAL_WEIGHT}: {shift.why}"
    return f"has {weight} of {TOTAL_WEIGHT}: {_state_clause(look, pool, shift)}"


def _state_clause(look: Look, pool: CapacityPool, shift: Shift) -> str:
    state = pool_state(look, pool, shift)
    if state is PoolState.IDLE:
        return "none ready, and its cost-optimal share is nothing"
    if state is PoolState.LOST:
        return f"none ready, {pool.pending} pending, where its share needs {look.needed(pool)}"
    if state is PoolState.SHORT:
        return f"only {pool.ready} ready, {pool.pending} pending, where its share needs {look.needed(pool)}"
    if state is PoolState.PROVING:
        return f"{_proof_clause(look, pool)} before it is given more"
    if state is PoolState.RAMPING:
        return f"it has proved itself and goes up to {(shift.target or shift.weights)[pool.name]} by steps"
    used = look.load_per_s(shift.weights[pool.name]) / pool.ready_limit_per_s
    return f"in order of cost, filling its {pool.ready} ready to {used:.0%} of their limit"


def _proof_clause(look: Look, pool: CapacityPool) -> str:
    missing = look.needed(pool) - pool.ready
    if missing > 0:
        return f"{missing} more must be ready"
    return f"its {pool.ready} ready must last {look.proved_at_s(pool) - look.now_s:.0f} s more"


def _replica_clause(look: Look, pool: CapacityPool, replicas: Mapping[str, int]) -> str:
    if pool.name not in replicas:
        return "its replicas are left as they are"
    count = replicas[pool.name]
    clause = f"{count} asked for, {look.base(pool)} planned"
    found = supply(pool, look.now_s)
    if found is Supply.OPEN or look.is_static:
        return clause
    facts = "; ".join(fact.reason for fact in pool.shortages)
    return f"{clause}, as its capacity is {'short' if found is Supply.SHUT else 'being probed'} ({facts})"
