"""Shortages: facts about capacity that could not be had, when they are forgotten, and what they permit.

A shortage holds until it expires. Then nobody knows: the capacity may be back for one replica, for all, or
for none. So the pool is probed with one replica beyond those that have their capacity, and only when the probe
got its own, or nothing was heard for REMEMBER_S, is the pool asked for all that it should have. It need not be
ready for that: a model may load for a quarter of an hour, and what was short was an instance.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

from holdfast.model.pools import CapacityPool, Shortage

HOLD_S = 180.0
"""How long a shortage holds by default: Karpenter keeps an unavailable offering out of use for 3 minutes."""

REMEMBER_S = 600.0
"""How long an expired shortage still asks for a probe; a replica of a large model takes minutes to come up."""


class Supply(enum.Enum):
    """What may be asked of a pool."""

    OPEN = "all that it should have"
    PROBE = "one replica more than have their capacity"
    SHUT = "no more than have their capacity"


def record(
    known: Iterable[Shortage], pool: str, at_s: float, reason: str, hold_s: float = HOLD_S
) -> tuple[Shortage, ...]:
    """`known` and the fact that `pool` could not get capacity at `at_s`, believed for `hold_s` seconds."""
    return merge(known, (Shortage(pool, at_s, at_s + hold_s, reason),))


def merge(*sources: Iterable[Shortage]) -> tuple[Shortage, ...]:
    """One fact per pool, ordered by pool: the one that holds longest, whichever source reported it."""
    longest: dict[str, Shortage] = {}
    for fact in (fact for source in sources for fact in source):
        rival = longest.get(fact.pool)
        if rival is None or _lasting(fact) > _lasting(rival):
            longest[fact.pool] = fact
    return tuple(longest[pool] for pool in sorted(longest))


def remembered(known: Iterable[Shortage], now_s: float) -> tuple[Shortage, ...]:
    """The facts that still bear on a decision at `now_s`: those that hold, and those that ask for a probe."""
    return tuple(fact for fact in known if now_s < fact.expires_s + REMEMBER_S)


def supply(pool: CapacityPool, now_s: float) -> Supply:
    """What may be asked of the pool at `now_s`, by the longest-lasting of its shortages."""
    facts = remembered(pool.shortages, now_s)
    if not facts:
        return Supply.OPEN
    newest = max(facts, key=_lasting)
    if newest.holds(now_s):
        return Supply.SHUT
    obtained = pool.obtained_s is not None and pool.obtained_s >= newest.expires_s
    return Supply.OPEN if obtained else Supply.PROBE


def _lasting(fact: Shortage) -> tuple[float, float, str]:
    return fact.expires_s, fact.at_s, fact.reason
