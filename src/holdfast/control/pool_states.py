"""The lifecycle of a pool, as merit order sees it.

                     +-------> SHORT, DRAINING <------------------+
                     |                 |                          |
    IDLE, LOST ------+------------> PROVING ------> RAMPING ----> SERVING

From anywhere to IDLE and LOST (all replicas are gone) and to UNKNOWN (blind), from there to anywhere; from
SHORT and DRAINING to RAMPING and SERVING at once when the rate falls. What cannot be: that a pool without a
lasting replica is trusted at the next look, for trust takes the dwell time.

The state is derived at every look and never stored, so a look may find a pool several moves further on. MOVES
says what it may find when the look before was less than the dwell time ago.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from holdfast.control.look import Look
from holdfast.control.shifts import DEAD_BAND, Shift
from holdfast.control.states import IllegalMoveError
from holdfast.model.pools import CapacityPool


class PoolState(enum.Enum):
    """What a pool is to the fleet."""

    UNKNOWN = "the pools or the rate are unknown"
    IDLE = "no replica lasts and none is needed"
    LOST = "no replica is ready though its cost-optimal share needs some"
    SHORT = "the ready replicas cannot carry its cost-optimal share, even filled to their limit"
    DRAINING = "replicas have an interruption notice, and those that last cannot carry its cost-optimal share"
    PROVING = "ready, but with few replicas or not for long enough to be given more"
    RAMPING = "proved, and on its way up to its weight"
    SERVING = "proved, and near its weight"


ANY = frozenset(PoolState)
UNTRUSTED = ANY - {PoolState.RAMPING, PoolState.SERVING}

MOVES: Mapping[PoolState, frozenset[PoolState]] = {
    PoolState.UNKNOWN: ANY,
    PoolState.IDLE: UNTRUSTED,
    PoolState.LOST: UNTRUSTED,
    PoolState.SHORT: ANY,
    PoolState.DRAINING: ANY,
    PoolState.PROVING: ANY,
    PoolState.RAMPING: ANY,
    PoolState.SERVING: ANY,
}


def follow(before: Mapping[str, PoolState], after: Mapping[str, PoolState]) -> None:
    """Check the moves of all pools between two looks that are less than the dwell time apart.

    Raises IllegalMoveError: the two observations contradict each other.
    """
    for name in before.keys() & after.keys():
        if after[name] not in MOVES[before[name]]:
            raise IllegalMoveError(f"pool {name} cannot go from {before[name].name} to {after[name].name} in one look")


def state(look: Look, pool: CapacityPool, shift: Shift) -> PoolState:
    """What the pool is to the fleet at this look."""
    if not look.observation.pools_known or not look.observation.rate_known:
        return PoolState.UNKNOWN
    if look.lacks(pool):
        return _lacking(pool)
    if not pool.lasting:
        return PoolState.IDLE
    if not look.proved(pool):
        return PoolState.PROVING
    target = (shift.target or shift.weights)[pool.name]
    return PoolState.RAMPING if target > shift.weights[pool.name] + DEAD_BAND else PoolState.SERVING


def _lacking(pool: CapacityPool) -> PoolState:
    if pool.draining:
        return PoolState.DRAINING
    return PoolState.SHORT if pool.ready else PoolState.LOST
