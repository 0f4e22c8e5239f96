"""A decision in sentences, for logs, status fields and the person who was woken at 3 a.m."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.control.look import Look
from holdfast.control.pool_states import PoolState
from holdfast.control.shifts import Shift
from holdfast.control.shortages import Supply
from holdfast.control.states import Phase
from holdfast.model.plan import TOTAL_WEIGHT
from holdfast.model.pools import CapacityPool


def reasons(look: Look, shift: Shift, states: Mapping[str, PoolState], replicas: Mapping[str, int]) -> dict[str, str]:
    """One sentence per pool: what it gets, why, and what is asked of it."""
    return {
        pool.name: f"has {shift.weights.get(pool.name, 0)} of {TOTAL_WEIGHT}: "
        f"{_state_clause(look, pool, states[pool.name], shift)}; {_replica_clause(look, pool, replicas)}."
        for pool in look.pools
    }


def summary(look: Look, phase: Phase, shift: Shift) -> str:
    """One sentence for the fleet."""
    lost = look.lost if look.steers else ()
    without = f" without {', '.join(pool.name for pool in lost)}" if lost else ""
    return f"The fleet is in {phase.mode.value} mode ({phase.value}{without}): {shift.why}."


def _state_clause(look: Look, pool: CapacityPool, state: PoolState, shift: Shift) -> str:
    if state is PoolState.UNKNOWN:
        return shift.why
    if state is PoolState.IDLE:
        return "none ready, and its cost-optimal share is nothing"
    if state is PoolState.LOST:
        return f"none ready, {pool.pending} pending, where its share needs {look.needed(pool)}"
    if state is PoolState.SHORT:
        return f"only {pool.ready} ready, {pool.pending} pending, where its share needs {look.needed(pool)}"
    if state is PoolState.DRAINING:
        notice = f"{pool.draining} of {pool.ready} ready have an interruption notice"
        return f"{notice}, {pool.pending} pending, where its share needs {look.needed(pool)}"
    if state is PoolState.PROVING:
        return f"{_proof_clause(look, pool)} before it is given more"
    if state is PoolState.RAMPING:
        return f"it has proved itself and goes up to {(shift.target or shift.weights)[pool.name]} by steps"
    used = look.load_per_s(shift.weights[pool.name]) / pool.lasting_limit_per_s
    return f"in order of cost, filling its {pool.lasting} ready to {used:.0%} of their limit"


def _proof_clause(look: Look, pool: CapacityPool) -> str:
    missing = look.needed(pool) - pool.lasting
    if missing > 0:
        return f"{missing} more must be ready"
    return f"its {pool.lasting} ready must last {look.proved_at_s(pool) - look.now_s:.0f} s more"


def _replica_clause(look: Look, pool: CapacityPool, replicas: Mapping[str, int]) -> str:
    if pool.name not in replicas:
        return "its replicas are left as they are"
    count = replicas[pool.name]
    clause = f"{count} asked for, {look.due(pool)} planned"
    found = look.supply[pool.name]
    if found is Supply.OPEN:
        return clause
    facts = "; ".join(fact.reason for fact in pool.shortages)
    return f"{clause}, as its capacity is {'short' if found is Supply.SHUT else 'being probed'} ({facts})"
