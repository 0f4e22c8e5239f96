"""What a policy may promise of every decision, each as a function that returns the violations in sentences.

They judge a decision by its observation alone, without the rules that made it. Where two wishes collide, the
order here decides: a pool that is too small for one unit of weight is not kept warm (2), and an unknown rate does
not keep traffic on a dead pool (1). Promise 7, that a restart changes nothing, is in `invariants.py`: all make it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from holdfast.control import shares, shifts
from holdfast.control.decision import Decision
from holdfast.control.look import LEAVE_S, SLACK, Look
from holdfast.control.observation import MAX_WEIGHT
from holdfast.control.scaling import asked
from holdfast.model.plan import TOTAL_WEIGHT
from holdfast.model.pools import CapacityPool, RoutingMode

Promise = Callable[[Look, Decision], list[str]]
"""An invariant: the violations by a decision that was made at a look; empty when it holds."""

MAX_TARGET_GROUPS = 5
"""Target groups that one ALB action takes; not adjustable (AWS, "Quotas for your Application Load Balancers")."""


def no_traffic_to_the_dead(look: Look, decision: Decision) -> list[str]:
    """1. No traffic to a pool with no ready replica, while another pool has one."""
    ready = next((pool.name for pool in look.pools if pool.ready), None)
    if not look.observation.pools_known or ready is None:
        return []
    return [
        f"pool {pool.name} has weight {_weight(decision, pool)} and no ready replica, while {ready} has"
        for pool in look.pools
        if not pool.ready and _weight(decision, pool)
    ]


def no_overload_beside_room(look: Look, decision: Decision) -> list[str]:
    """2. No pool is given more than its counted replicas hold while another has room for a unit of weight."""
    if not look.steers:
        return []
    roomy = [pool for pool in look.ready if look.room(pool, _weight(decision, pool) + 1)]
    return [
        f"pool {pool.name} is given {look.load_per_s(_weight(decision, pool)):.4g}/s and its ready replicas "
        f"hold {look.counted_per_s(pool):.4g}/s, while {roomy[0].name} has room"
        for pool in look.pools
        if roomy and not look.room(pool, _weight(decision, pool))
    ]


def weights_can_be_applied(look: Look, decision: Decision) -> list[str]:
    """3. Weights are integers 0..999 with one sum, one for each pool. Those of unknown pools are left alone."""
    if not look.observation.pools_known:
        return []
    found = [
        f"pool {name} has the weight {weight!r}, which is not an integer within 0..{MAX_WEIGHT}"
        for name, weight in decision.weights.items()
        if not isinstance(weight, int) or not 0 <= weight <= MAX_WEIGHT
    ]
    if set(decision.weights) != {pool.name for pool in look.pools}:
        found.append(f"the weights name {sorted(decision.weights)}, which are not the pools of the fleet")
    if sum(decision.weights.values()) != TOTAL_WEIGHT:
        found.append(f"the weights sum to {sum(decision.weights.values())} and not to {TOTAL_WEIGHT}")
    return found


def target_groups_fit(look: Look, decision: Decision) -> list[str]:
    """3, for an ALB. At most 5 target groups per action."""
    count = len(decision.weights)
    if count <= MAX_TARGET_GROUPS or not look.observation.pools_known:
        return []
    return [f"the weights name {count} pools, and an ALB action takes at most {MAX_TARGET_GROUPS} target groups"]


def ready_before_shift(look: Look, decision: Decision) -> list[str]:
    """4. Traffic shifts to where replicas are ready, no faster than they are; replicas are asked for ahead of it."""
    if not look.steers:
        return []
    room_left = any(look.room(pool, _weight(decision, pool) + 1) for pool in look.ready)
    found = [
        f"pool {pool.name} is raised to {_weight(decision, pool)} ahead of its {look.counted[pool.name]} ready replicas"
        for pool in _raised(look, decision)
        if not look.counted[pool.name] or (room_left and not look.room(pool, _weight(decision, pool)))
    ]
    return found + list(_uncovered(look, decision))


def failback_is_earned(look: Look, decision: Decision) -> list[str]:
    """5. Weight comes back to a pool that has proved itself, and by steps; what moves at once is what must."""
    if not look.steers:
        return []
    found = []
    if shares.trusted_room_per_s(look) > look.load_per_s(len(look.pools)):
        found = [
            f"pool {pool.name} is raised to {_weight(decision, pool)} before it has proved itself"
            for pool in _raised(look, decision)
            if not look.proved(pool) and _weight(decision, pool) > _warm_units(look)
        ]
    failing = {pool.name for pool in shares.failing(look)}
    moved = {name: decision.weights.get(name, 0) - weight for name, weight in look.standing.items()}
    if failing:
        return found + [
            f"pool {name} loses weight though it can carry it"
            for name in moved
            if moved[name] < 0 and name not in failing
        ]
    units = sum(change for change in moved.values() if change > 0)
    if units > shifts.step_units(look):
        found.append(f"{units} units of weight move at once, where a step is {shifts.step_units(look)}")
    if units and look.now_s < look.observation.applied.last_shift_s + look.routing.ramp.every_s:
        found.append(f"a step is taken {look.now_s - look.observation.applied.last_shift_s:.3g} s after the last")
    return found


def no_flapping(look: Look, decision: Decision) -> list[str]:
    """6. A mode lasts at least its dwell time, unless capacity is lost again."""
    applied = look.observation.applied
    if decision.mode is applied.mode:
        return [] if decision.mode_since_s == applied.mode_since_s else ["the clock of an unchanged mode was set anew"]
    if decision.mode is RoutingMode.CAPACITY_OPTIMIZED:
        return [] if look.steers and look.lost else ["the fleet fails over though no capacity is lost"]
    lasted_s = look.now_s - applied.mode_since_s
    if lasted_s >= look.routing.dwell_s:
        return []
    return [f"{applied.mode.value} mode lasted {lasted_s:.3g} s of its {look.routing.dwell_s:.3g} s"]


def unseen_pools_are_held(look: Look, decision: Decision) -> list[str]:
    """8. When the pools are unknown, the last good weights are held, and nobody's replicas are touched."""
    if look.observation.pools_known:
        return []
    held = dict(decision.weights) == dict(look.observation.applied.weights)
    found = [] if held else ["weights change though nothing is known"]
    return found + (["replicas change though nothing is known"] if decision.replicas else [])


def unknown_rate_withdraws_nothing(look: Look, decision: Decision) -> list[str]:
    """8, for who goes by the rate. While it is unknown, weight leaves only pools that cannot carry it at the presumed
    rate, and no replica that has its capacity is given back.
    """
    if not look.observation.pools_known or look.observation.rate_known:
        return []
    failing = {pool.name for pool in shares.failing(look)}
    found = [
        f"pool {pool.name} loses weight though the rate is unknown and it can carry the presumed one"
        for pool in look.pools
        if _weight(decision, pool) < look.standing[pool.name] and pool.name not in failing
    ]
    return found + [
        f"pool {pool.name} is asked for {_asked(decision, pool)} of its {pool.lasting + pool.starting} replicas though "
        "the rate is unknown"
        for pool in look.pools
        if _asked(decision, pool) < min(pool.lasting + pool.starting, pool.max_replicas)
    ]


def left_before_death(look: Look, decision: Decision) -> list[str]:
    """9. Weight has left replicas with an interruption notice before they die, for replicas that last.

    At once where those that last carry the whole rate; where they do not, in the last LEAVE_S at the latest.
    """
    lasting = [pool.name for pool in look.pools if pool.lasting]
    if not look.observation.pools_known or not lasting:
        return []
    rate_per_s = look.observation.rate_per_s if look.observation.rate_known else None
    enough = rate_per_s is not None and rate_per_s <= sum(pool.lasting_limit_per_s for pool in look.pools)
    return [
        f"pool {pool.name} has weight {_weight(decision, pool)} and only replicas that will be gone, "
        f"while {lasting[0]} has others"
        for pool in look.pools
        if pool.draining and not pool.lasting and _weight(decision, pool)
        if enough or look.now_s >= pool.gone_at_s - LEAVE_S
    ]


ALL: tuple[Promise, ...] = (
    no_traffic_to_the_dead,
    no_overload_beside_room,
    weights_can_be_applied,
    ready_before_shift,
    failback_is_earned,
    no_flapping,
    unseen_pools_are_held,
    unknown_rate_withdraws_nothing,
    left_before_death,
)


def _weight(decision: Decision, pool: CapacityPool) -> int:
    return decision.weights.get(pool.name, 0)


def _asked(decision: Decision, pool: CapacityPool) -> int:
    """Replicas that are asked for and last."""
    return decision.replicas.get(pool.name, asked(pool))


def _raised(look: Look, decision: Decision) -> list[CapacityPool]:
    return [pool for pool in look.pools if _weight(decision, pool) > look.standing[pool.name]]


def _warm_units(look: Look) -> int:
    return math.ceil(look.routing.min_share * TOTAL_WEIGHT) + 1


def _uncovered(look: Look, decision: Decision) -> Iterator[str]:
    """Pools that could be asked for more while what is ready or on its way does not carry the rate."""
    on_the_way = sum(
        (_asked(decision, pool) if look.dependable(pool) else pool.lasting) * pool.limit_per_s for pool in look.pools
    )
    wanted_per_s = look.rate_per_s / look.capacity.utilization_target
    if on_the_way >= wanted_per_s * (1 - 2 * SLACK):
        return
    for pool in look.pools:
        if look.dependable(pool) and _asked(decision, pool) < pool.max_replicas:
            yield f"pool {pool.name} is not raised though {on_the_way:.4g}/s of {wanted_per_s:.4g}/s are on their way"
