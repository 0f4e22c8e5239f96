"""The weights to go to: merit order over what is ready, as far as it is trusted.

Trust is a property of capacity, not of a pool. The ready limit of a pool falls into tranches, and merit
order fills the tranches instead of the pools:

    tranche     whose                          how much of the ready limit             filled
    warm        every pool whose planned       its minimum share                       first
                replicas carry a unit
    trusted     a pool that has proved itself  all the rest, up to where it is full    by cost
                one that has not               what it carries already, up to there    by cost
    untrusted   one that has not               the rest, up to there                   by cost, after all trusted
    leaving     one with interruption notices  the replicas that have one, up to there by cost, after all others
    crowding    every pool                     up to where it is crowded               evenly
    overload    every pool                     up to its limit; then beyond            evenly

All but `leaving` are of replicas that last; that one is there only where these cannot carry the rate (`Look.counted`).
So a pool that came back holds what it has and gains nothing while others have room below their target,
yet it is used before anything is overloaded: capacity on probation is better than none. One that lost
some of its replicas keeps what the remaining ones can carry. When everybody has proved himself, this is
plain merit order.

A pool is full at the utilisation target, and one of few replicas where requests begin to wait in it (`Look.full_at`):
the same load that is nothing to a pool of thirty keeps a lone replica's requests waiting for seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from holdfast.control.look import SLACK, Look
from holdfast.model.plan import TOTAL_WEIGHT
from holdfast.model.pools import CapacityPool
from holdfast.planning.weights import integer_weights

Level = Callable[[CapacityPool, int], float]
"""A share of the limit, 0..1, of a pool that has a weight."""


def _limit(pool: CapacityPool, weight: int) -> float:
    return 1.0


class Tranche(NamedTuple):
    """A part of a pool's limit; those of a lower `rank` are filled first."""

    rank: tuple[int, float, str]
    pool: str
    part_per_s: float


def target_weights(look: Look) -> dict[str, int]:
    """The weights that `look` calls for, however far from those in force. Needs a ready pool."""
    loads = dict.fromkeys((pool.name for pool in look.pools), 0.0)
    left_per_s = look.rate_per_s
    for tranche in sorted(tranche for pool in look.ready for tranche in _tranches(look, pool)):
        taken_per_s = min(left_per_s, tranche.part_per_s)
        loads[tranche.pool] += taken_per_s
        left_per_s -= taken_per_s
    left_per_s = _spread(look, loads, left_per_s, look.crowded_at)
    left_per_s = _spread(look, loads, left_per_s, _limit)
    whole_per_s = sum(look.counted_per_s(pool) for pool in look.ready)
    for pool in look.ready:
        loads[pool.name] += max(0.0, left_per_s) * look.counted_per_s(pool) / whole_per_s
    return _levelled(look, fit(look, settle(look, integer_weights(loads))))


def _spread(look: Look, loads: dict[str, float], left_per_s: float, level: Level) -> float:
    """Raise `loads` by `left_per_s`, in proportion to the room of each ready pool up to the level; what is left."""
    room = {
        pool.name: max(0.0, look.counted_per_s(pool) * level(pool, TOTAL_WEIGHT) - loads[pool.name])
        for pool in look.ready
    }
    spread_per_s = min(left_per_s, sum(room.values()))
    if spread_per_s > 0:
        scale = spread_per_s / sum(room.values())
        loads.update({name: loads[name] + scale * room[name] for name in room})
    return left_per_s - max(0.0, spread_per_s)


def trusted_per_s(look: Look, pool: CapacityPool) -> float:
    """What the pool's lasting replicas may be given without crowding them or going beyond what is proved."""
    full_per_s = pool.lasting_limit_per_s * look.full_at(pool)
    if look.proved(pool):
        return full_per_s
    held_per_s = max(look.load_per_s(look.standing[pool.name]), look.warm_share * look.rate_per_s)
    return min(full_per_s, held_per_s)


def trusted_room_per_s(look: Look) -> float:
    """What could still be carried by merit without giving more to a pool on probation; may be negative."""
    return sum(trusted_per_s(look, pool) for pool in look.ready) - look.rate_per_s


def _warm_per_s(look: Look, pool: CapacityPool) -> float:
    """The pool's warm share; none where its planned replicas do not carry a unit.

    Otherwise replicas that a failover left behind would be kept by the warm share that they make possible.
    """
    if look.carriers(pool, 1) > look.due(pool):
        return 0.0
    return min(look.warm_share * look.rate_per_s, pool.lasting_limit_per_s * look.capacity.utilization_target)


def _tranches(look: Look, pool: CapacityPool) -> Iterator[Tranche]:
    full_per_s = pool.lasting_limit_per_s * look.full_at(pool)
    warm_per_s, trusted_per = _warm_per_s(look, pool), trusted_per_s(look, pool)
    cost = pool.usd_per_million_requests
    yield Tranche((0, cost, pool.name), pool.name, warm_per_s)
    yield Tranche((1, cost, pool.name), pool.name, max(0.0, trusted_per - warm_per_s))
    yield Tranche((2, cost, pool.name), pool.name, max(0.0, full_per_s - max(trusted_per, warm_per_s)))
    leaving_per_s = look.counted_per_s(pool) * look.full_at(pool) - full_per_s
    yield Tranche((3, cost, pool.name), pool.name, leaving_per_s)


def settle(look: Look, weights: dict[str, int]) -> dict[str, int]:
    """`weights` with single units moved until no pool is fuller than by merit while a proved one is not, and none
    crowded while another need not be.

    A unit of a high rate is more than a small pool carries well: 1 of 100 of 97/s fills one replica of 1/s to 97 %,
    where requests wait for half a minute. Pools on probation help where the proved are full.
    """
    proved = [pool for pool in look.ready if look.proved(pool)]
    full = trusted_room_per_s(look) <= look.load_per_s(len(look.pools))
    eased = _eased(look, weights, look.full_at, proved)
    return _eased(look, eased, look.crowded_at, look.ready if full else proved)


def fit(look: Look, weights: dict[str, int]) -> dict[str, int]:
    """`weights` with single units moved until no pool is above its ready limit while another has room for one.

    Rounding to integers, and the guarantee of 1 to a warm pool, can put a small pool above its limit.
    """
    return _eased(look, weights, _limit, look.ready)


def _eased(look: Look, weights: dict[str, int], level: Level, among: Sequence[CapacityPool]) -> dict[str, int]:
    """`weights` with single units moved from pools above that share of their limit to those `among` that stay below."""
    eased = dict(weights)
    receivers = sorted(among, key=lambda pool: (not look.proved(pool), look.rank[pool.name]))
    for _ in range(TOTAL_WEIGHT):
        givers = overfull(look, eased, level)
        receiver = next((pool for pool in receivers if _takes(look, pool, eased[pool.name] + 1, level)), None)
        if not givers or receiver is None:
            break
        giver = max(givers, key=lambda pool: look.load_per_s(eased[pool.name]) / max(look.counted_per_s(pool), SLACK))
        eased[giver.name] -= 1
        eased[receiver.name] += 1
    return eased


def _levelled(look: Look, weights: dict[str, int]) -> dict[str, int]:
    """`weights` with single units moved off pools above their limit where that makes the fullest less full.

    Where nobody has room for a unit, one that is half as much again as a small pool carries is 1 % of a large one.
    """
    levelled = dict(weights)

    def filled(pool: CapacityPool, more: int = 0) -> float:
        return look.load_per_s(levelled[pool.name] + more) / look.counted_per_s(pool)

    for _ in range(TOTAL_WEIGHT):
        giver, receiver = max(look.ready, key=filled), min(look.ready, key=lambda pool: (filled(pool, 1), pool.name))
        if filled(giver) <= 1 + SLACK or filled(receiver, 1) >= filled(giver) * (1 - SLACK):
            break
        levelled[giver.name] -= 1
        levelled[receiver.name] += 1
    return levelled


def _takes(look: Look, pool: CapacityPool, weight: int, level: Level) -> bool:
    return look.room(pool, weight, level(pool, weight))


def overfull(look: Look, weights: Mapping[str, int], level: Level = _limit) -> tuple[CapacityPool, ...]:
    """Pools that are given more than that share of the limit of their counted replicas."""
    return tuple(pool for pool in look.pools if not _takes(look, pool, weights[pool.name], level))


def failing(look: Look) -> tuple[CapacityPool, ...]:
    """Pools that cannot carry their standing weight: none is counted, or above the limit while another has room."""
    roomy = any(look.room(pool, look.standing[pool.name] + 1) for pool in look.ready)
    overloaded = overfull(look, look.standing) if roomy else ()
    found = {pool.name for pool in (*look.dead, *overloaded)}
    return tuple(pool for pool in look.pools if pool.name in found)


def distance(weights: dict[str, int], target: dict[str, int]) -> int:
    """Units of weight that must move from pool to pool to get from one to the other."""
    return sum(max(0, target[name] - weights[name]) for name in weights)


def toward(
    weights: dict[str, int], target: dict[str, int], units: int, givers: frozenset[str] | None = None
) -> dict[str, int]:
    """`weights` after at most `units` moved toward `target`, only from `givers` where they are given.

    Unit by unit from the largest surplus to the largest deficit, so every weight stays between its two ends.
    """
    moved = dict(weights)
    sources = [name for name in moved if givers is None or name in givers]
    for _ in range(units):
        giver = max(sources, key=lambda name: moved[name] - target[name], default=None)
        if giver is None or moved[giver] <= target[giver]:
            break
        receiver = max(moved, key=lambda name: target[name] - moved[name])
        moved[giver] -= 1
        moved[receiver] += 1
    return moved
