"""The weights to go to: merit order over what is ready, as far as it is trusted.

Trust is a property of capacity, not of a pool. The ready limit of a pool falls into tranches, and merit
order fills the tranches instead of the pools:

    tranche     whose                          how much of the ready limit             filled
    warm        every pool whose planned       its minimum share                       first
                replicas carry a unit
    trusted     a pool that has proved itself  all the rest                            by cost
                one that has not               what it carries already                 by cost
    untrusted   one that has not               the rest                                last but one
    leaving     one with interruption notices  the replicas that have one              last

All but the last are of replicas that last; the last is there only where these cannot carry the rate (`Look.counted`).
So a pool that came back holds what it has and gains nothing while others have room below their target,
yet it is used before anything is overloaded: capacity on probation is better than none. One that lost
some of its replicas keeps what the remaining ones can carry. When everybody has proved himself, this is
plain merit order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdfast.control.look import SLACK, Look
from holdfast.model.plan import TOTAL_WEIGHT
from holdfast.model.pools import CapacityPool
from holdfast.planning.weights import Fillable, integer_weights, merit_order


def target_weights(look: Look) -> dict[str, int]:
    """The weights that `look` calls for, however far from those in force. Needs a ready pool and the rate."""
    tranches = [(pool.name, tranche) for pool in look.ready for tranche in _tranches(look, pool)]
    filled = merit_order([tranche for _, tranche in tranches], look.rate_per_s, look.capacity.utilization_target)
    shares = dict.fromkeys((pool.name for pool in look.pools), 0.0)
    for name, tranche in tranches:
        shares[name] += filled[tranche.name]
    return fit(look, settle(look, integer_weights(shares)))


def warm_share(look: Look) -> float:
    """The share that every ready pool keeps, 0..1: the policy's, or an equal part where that is less."""
    return min(look.routing.min_share, 1 / len(look.ready))


def trusted_per_s(look: Look, pool: CapacityPool) -> float:
    """The part of the pool's lasting limit that may be counted on."""
    if look.proved(pool):
        return pool.lasting_limit_per_s
    held_per_s = max(look.load_per_s(look.standing[pool.name]), warm_share(look) * look.rate_per_s)
    return min(pool.lasting_limit_per_s, held_per_s / look.capacity.utilization_target)


def _warm_per_s(look: Look, pool: CapacityPool) -> float:
    """The part of the pool's limit that its warm share takes; none where its planned replicas do not carry a unit.

    Otherwise replicas that a failover left behind would be kept by the warm share that they make possible.
    """
    if look.carriers(pool, 1) > look.due(pool):
        return 0.0
    return warm_share(look) * look.rate_per_s / look.capacity.utilization_target


def _tranches(look: Look, pool: CapacityPool) -> Iterator[Fillable]:
    lasting = pool.lasting_limit_per_s
    warm = min(lasting, _warm_per_s(look, pool))
    trusted = trusted_per_s(look, pool)
    beyond = look.by_merit[-1].usd_per_million_requests + 1.0
    cost = pool.usd_per_million_requests
    yield Fillable(f"{pool.name}/warm", warm, -1.0)
    yield Fillable(f"{pool.name}/trusted", max(0.0, trusted - warm), cost)
    yield Fillable(f"{pool.name}/untrusted", lasting - max(trusted, warm), beyond + cost)
    if pool.draining:
        yield Fillable(f"{pool.name}/leaving", look.counted_per_s(pool) - lasting, 2 * beyond + cost)


def settle(look: Look, weights: dict[str, int]) -> dict[str, int]:
    """`weights` with single units moved until none is above the utilisation target while a proved one has room below;
    and, where the whole fleet is that full, above `Look.crowded_at`.

    A unit of a high rate is more than a small pool carries well: 1 of 100 of 97/s fills one replica of 1/s to 97 %,
    where requests wait for half a minute.
    """
    proved = [pool for pool in look.ready if look.proved(pool)]
    eased = _eased(look, weights, look.capacity.utilization_target, proved)
    return _eased(look, eased, look.crowded_at, proved)


def fit(look: Look, weights: dict[str, int]) -> dict[str, int]:
    """`weights` with single units moved until no pool is above its ready limit while another has room for one.

    Rounding to integers, and the guarantee of 1 to a warm pool, can put a small pool above its limit.
    """
    return _eased(look, weights, 1.0, look.ready)


def _eased(look: Look, weights: dict[str, int], filled: float, among: Sequence[CapacityPool]) -> dict[str, int]:
    """`weights` with single units moved from pools above `filled` of their limit to those `among` that stay below."""
    eased = dict(weights)
    receivers = sorted(among, key=lambda pool: (not look.proved(pool), look.rank[pool.name]))
    for _ in range(TOTAL_WEIGHT):
        givers = overfull(look, eased, filled)
        receiver = next((pool for pool in receivers if look.room(pool, eased[pool.name] + 1, filled)), None)
        if not givers or receiver is None:
            break
        giver = max(givers, key=lambda pool: look.load_per_s(eased[pool.name]) / max(look.counted_per_s(pool), SLACK))
        eased[giver.name] -= 1
        eased[receiver.name] += 1
    return eased


def overfull(look: Look, weights: dict[str, int], filled: float = 1.0) -> tuple[CapacityPool, ...]:
    """Pools that are given more than that share of the limit of their counted replicas."""
    return tuple(pool for pool in look.pools if not look.room(pool, weights[pool.name], filled))


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
