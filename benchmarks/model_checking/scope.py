"""A fleet small enough to be explored whole: three pools, two rates, and a clock that ticks once per look.

A State is all that the future depends on. Times are ages in looks and stop where they stop mattering, so that
states that differ only in what no longer matters are one. `after` is what one disturbance, the passing of one
look and then the look itself (decided and checked by the code as shipped) make of a state.

The fleet is a Deployment per pool: it starts what is missing of `asked`, and learns of missing capacity only by
asking. A controller keeps nothing between looks but what it wrote to the fleet; so a restart is a look whose
outcome was written in part (CRASH: the weights, not the replicas) or not at all (DOWN).
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from holdfast.control import pool_states
from holdfast.control.decide import decide
from holdfast.control.decision import Decision
from holdfast.control.invariants import check
from holdfast.control.look import easy_fill
from holdfast.control.observation import POOLS_STALE_S, RATE_STALE_S, Applied, Observation
from holdfast.control.pool_states import PoolState
from holdfast.control.shifts import DEAD_BAND
from holdfast.control.shortages import REMEMBER_S
from holdfast.control.states import IllegalMoveError
from holdfast.model.fleet import CapacityPolicy, RoutingPolicy
from holdfast.model.pools import CapacityPool, RoutingMode, Shortage
from holdfast.planning.weights import Fillable, integer_weights, merit_order

LOOK_S = 30.0
NOW_S = 1e6
ROUTING = RoutingPolicy.model_validate({"minShare": "1%", "dwell": "60s", "ramp": {"step": "30%", "every": "60s"}})
CAPACITY = CapacityPolicy.model_validate({"utilizationTarget": "80%"})

DWELL = round(ROUTING.dwell_s / LOOK_S)
PACE = round(ROUTING.ramp.every_s / LOOK_S)
HOLD = 3
"""Looks for which a shortage holds: half of Karpenter's 3 minutes, to keep the states few."""
FORGOTTEN = HOLD + round(REMEMBER_S / LOOK_S)
NOTICE = 3
"""Looks between an interruption notice and the end: 90 s, of which the last (look.LEAVE_S) is a look of its own."""
POOLS_UNKNOWN = int(POOLS_STALE_S / LOOK_S) + 1
RATE_UNKNOWN = int(RATE_STALE_S / LOOK_S) + 1
RATES_PER_S = (2.5, 5.0)


class Site(NamedTuple):
    """What does not change about a pool; `cold` is how many looks a replica takes to come up."""

    name: str
    limit_per_s: float
    usd: float
    planned: int
    least: int
    most: int
    cold: int


SITES = (
    Site("a-cheap", 2.0, 1.0, planned=2, least=1, most=4, cold=2),
    Site("b-middle", 1.5, 2.0, planned=1, least=1, most=3, cold=1),
    Site("c-dear", 1.0, 3.0, planned=1, least=0, most=4, cold=1),
)


class Pool(NamedTuple):
    """A pool now.

    draining of `ready` will be gone in `gone` looks; stable: looks since the lasting ones fell or rose from 0.
    starting: replicas that come up after 1, 2, ... looks; short: looks since capacity was refused, FORGOTTEN for none.
    obtained: whether a replica has got its capacity since that shortage expired.
    """

    asked: int
    ready: int
    draining: int
    gone: int
    stable: int
    starting: tuple[int, ...]
    obtainable: bool
    short: int
    obtained: bool


class View(NamedTuple):
    """All that the controller sees: the pools and the rate, how old these are, and what it wrote itself.

    pools is () once they are unknown; rate is the last that was seen.
    """

    pools: tuple[Pool, ...]
    pools_age: int
    rate: int
    rate_age: int
    weights: tuple[int, ...]
    cost_mode: bool
    mode_age: int
    shift_age: int


class State(NamedTuple):
    """The fleet, and what its controller saw and wrote at the last look; stations: what it made of each pool."""

    pools: tuple[Pool, ...]
    rate: int
    pools_hidden: bool
    rate_hidden: bool
    view: View
    stations: tuple[PoolState, ...]


UNKNOWN = (PoolState.UNKNOWN,) * len(SITES)


class Event(enum.Enum):
    """What may happen before a look. Those that name no pool happen to the fleet or its controller."""

    NOTHING = "nothing"
    LOSE = "loses all replicas and can have none"
    RETURN = "can have replicas again"
    FALL = "loses one replica"
    NOTICE = "has an interruption notice for one more replica"
    RATE = "the rate steps up or down"
    SLOW = "what is starting takes a look longer"
    HIDE_POOLS = "the pools are hidden, or shown again"
    HIDE_RATE = "the rate is hidden, or shown again"
    CRASH = "the controller dies after it wrote the weights and before it wrote the replicas"
    DOWN = "the controller is away for a look"


class Step(NamedTuple):
    event: Event
    pool: int | None = None

    def __str__(self) -> str:
        return self.event.value if self.pool is None else f"{SITES[self.pool].name} {self.event.value}"


@dataclass(frozen=True)
class BrokenError(Exception):
    """A look at which something that must hold did not."""

    what: tuple[str, ...]

    def __str__(self) -> str:
        return "; ".join(self.what)


def settled_fleet(rate: int = 1) -> State:
    """The fleet at its plan and at rest."""
    pools = tuple(Pool(s.planned, s.planned, 0, 0, DWELL, (0,) * s.cold, True, FORGOTTEN, False) for s in SITES)
    view = View(pools, 0, rate, 0, merit_weights(pools, rate), True, DWELL, PACE)
    return after(State(pools, rate, False, False, view, UNKNOWN), Step(Event.NOTHING))


def stories() -> list[State]:
    """Every moment of what usually happens: each pool in turn lost, had again, failed back to, and reclaimed by notice.

    A loss is watched for 8 looks, past its first probe; a fleet whose capacity stays away never comes to rest.
    """
    state = settled_fleet()
    moments = [state]
    for pool in range(len(SITES)):
        for event in (Event.LOSE, Event.RETURN, Event.NOTICE):
            state = after(state, Step(event, pool))
            moments.append(state)
            for _ in range(8 if event is Event.LOSE else 2 * FORGOTTEN):
                state = after(state, Step(Event.NOTHING))
                moments.append(state)
    return list(dict.fromkeys(moments))


def steps(state: State) -> Iterator[Step]:
    """All that may happen next."""
    for index, pool in enumerate(state.pools):
        yield Step(Event.LOSE if pool.obtainable else Event.RETURN, index)
        if pool.ready > pool.draining:
            yield Step(Event.NOTICE, index)
            yield Step(Event.FALL, index)
    for event in (Event.NOTHING, Event.RATE, Event.HIDE_POOLS, Event.HIDE_RATE, Event.CRASH, Event.DOWN):
        yield Step(event)
    if any(any(pool.starting) for pool in state.pools):
        yield Step(Event.SLOW)


def after(state: State, step: Step) -> State:
    """The state after the disturbance, the passing of a look, and the look. Raises BrokenError."""
    state = _disturbed(state, step)
    state = _passed(state, slow=step.event is Event.SLOW)
    if step.event is Event.DOWN:
        return state._replace(stations=UNKNOWN)
    return _looked(state, crash=step.event is Event.CRASH)


def quiet(state: State) -> State:
    """The state when the last disturbance ends: everything can be had and seen again."""
    pools = tuple(pool._replace(obtainable=True) for pool in state.pools)
    return state._replace(pools=pools, pools_hidden=False, rate_hidden=False)


def settled(state: State) -> bool:
    """Cost-optimized, the planned replicas there and no other on its way, and the weights of plain merit order."""
    there = all(
        pool.ready == pool.asked >= site.planned and not pool.draining
        for site, pool in zip(SITES, state.pools, strict=True)
    )
    merit = merit_weights(state.pools, state.rate)
    away = sum(max(0, weight - goal) for weight, goal in zip(state.view.weights, merit, strict=True))
    # A unit of each pool may have moved, so that none is filled beyond the target by rounding.
    return state.view.cost_mode and there and away <= DEAD_BAND + len(SITES)


def merit_weights(pools: tuple[Pool, ...], rate: int) -> tuple[int, ...]:
    """The cheapest weights for what is ready."""
    standing = [(s.name, s.limit_per_s, s.usd, p.ready) for s, p in zip(SITES, pools, strict=True)]
    return tuple(plain_merit(standing, RATES_PER_S[rate], ROUTING.min_share).values())


def plain_merit(pools: Sequence[tuple[str, float, float, int]], rate_per_s: float, min_share: float) -> dict[str, int]:
    """Weights by merit order alone, whatever has proved itself, for pools of (name, limit of a replica, cost, ready).

    Each is filled to the target, or where its ease ends, or with the share that keeps it warm.
    """
    target = CAPACITY.utilization_target
    fillable = []
    for name, limit_per_s, usd, ready in pools:
        whole_per_s = ready * limit_per_s
        warm_per_s = min(min_share * rate_per_s, target * whole_per_s)
        full_per_s = max(min(target, easy_fill(ready)) * whole_per_s, warm_per_s)
        fillable.append(Fillable(name, full_per_s / target, usd))
    return integer_weights(merit_order(fillable, rate_per_s, target, min_share))


def _disturbed(state: State, step: Step) -> State:
    if step.pool is not None:
        pools = list(state.pools)
        pools[step.pool] = _struck(pools[step.pool], step.event)
        return state._replace(pools=tuple(pools))
    if step.event is Event.RATE:
        return state._replace(rate=1 - state.rate)
    if step.event is Event.HIDE_POOLS:
        return state._replace(pools_hidden=not state.pools_hidden)
    if step.event is Event.HIDE_RATE:
        return state._replace(rate_hidden=not state.rate_hidden)
    return state


def _struck(pool: Pool, event: Event) -> Pool:
    if event is Event.RETURN:
        return pool._replace(obtainable=True)
    if event is Event.FALL:
        return pool._replace(ready=pool.ready - 1, stable=-1)
    if event is Event.NOTICE:
        gone = pool.gone if pool.draining else NOTICE + 1
        return pool._replace(draining=pool.draining + 1, gone=gone, stable=-1)
    stable = -1 if pool.ready > pool.draining else pool.stable
    nothing = (0,) * len(pool.starting)
    return pool._replace(ready=0, draining=0, gone=0, stable=stable, starting=nothing, obtainable=False)


def _passed(state: State, slow: bool) -> State:
    pools = tuple(_aged(site, pool, slow) for site, pool in zip(SITES, state.pools, strict=True))
    view = state.view._replace(
        mode_age=min(state.view.mode_age + 1, DWELL), shift_age=min(state.view.shift_age + 1, PACE)
    )
    if not state.pools_hidden:
        view = view._replace(pools=tuple(map(_outside, pools)), pools_age=0)
    elif view.pools_age + 1 < POOLS_UNKNOWN:
        view = view._replace(pools=tuple(map(_older, view.pools)), pools_age=view.pools_age + 1)
    else:
        view = view._replace(pools=(), pools_age=POOLS_UNKNOWN)
    if not state.rate_hidden:
        view = view._replace(rate=state.rate, rate_age=0)
    elif view.rate_age + 1 < RATE_UNKNOWN:
        view = view._replace(rate_age=view.rate_age + 1)
    else:
        view = view._replace(rate_age=RATE_UNKNOWN)
    return state._replace(pools=pools, view=view)


def _outside(pool: Pool) -> Pool:
    """What of a pool can be seen: not what could be had, nor how far a replica has come."""
    return pool._replace(obtainable=True, starting=(sum(pool.starting),))


def _older(pool: Pool) -> Pool:
    """The pool a look later, as one who does not see it anew must take it."""
    gone = max(0, pool.gone - 1)
    short = min(pool.short + 1, FORGOTTEN)
    obtained = pool.obtained and short < FORGOTTEN
    return pool._replace(gone=gone, stable=min(pool.stable + 1, DWELL), short=short, obtained=obtained)


def _aged(site: Site, pool: Pool, slow: bool) -> Pool:
    pool = _older(pool)
    if pool.draining and not pool.gone:
        pool = pool._replace(ready=pool.ready - pool.draining, draining=0)
    if not slow:
        pool = _risen(pool, pool.starting[0])._replace(starting=(*pool.starting[1:], 0))
    missing = pool.asked - pool.ready - sum(pool.starting)
    if missing <= 0 or pool.short < HOLD:
        return pool
    if not pool.obtainable:
        return pool._replace(short=0, obtained=False)
    starting = (*pool.starting[:-1], pool.starting[-1] + missing)
    return pool._replace(starting=starting, obtained=pool.short < FORGOTTEN)


def _risen(pool: Pool, up: int) -> Pool:
    first = up and pool.ready == pool.draining
    return pool._replace(ready=pool.ready + up, stable=0 if first else pool.stable)


def _looked(state: State, crash: bool) -> State:
    decision = decided(state.view)
    before = {site.name: station for site, station in zip(SITES, state.stations, strict=True)}
    try:
        pool_states.follow(before, decision.states)
    except IllegalMoveError as error:
        raise BrokenError((str(error),)) from error
    view = state.view._replace(
        weights=tuple(decision.weights[site.name] for site in SITES),
        cost_mode=decision.mode is RoutingMode.COST_OPTIMIZED,
        mode_age=0 if decision.mode_since_s == NOW_S else state.view.mode_age,
        shift_age=0 if decision.last_shift_s == NOW_S else state.view.shift_age,
    )
    return state._replace(
        pools=state.pools if crash else tuple(map(_scaled, SITES, state.pools, (decision,) * len(SITES))),
        view=view,
        stations=tuple(decision.states.get(site.name, PoolState.UNKNOWN) for site in SITES),
    )


@functools.cache
def decided(view: View) -> Decision:
    """What the code as shipped decides on a view, and checks. Raises BrokenError."""
    observation = observe(view)
    decision = decide(observation, ROUTING, CAPACITY, NOW_S)
    broken = check(observation, decision, ROUTING, CAPACITY, NOW_S)
    if broken:
        raise BrokenError(tuple(broken))
    return decision


def _scaled(site: Site, pool: Pool, decision: Decision) -> Pool:
    """The pool when it has been asked for what was decided; those that last go first, as a Deployment might have it."""
    wanted = decision.replicas.get(site.name)
    asked = pool.asked if wanted is None else wanted + pool.draining
    starting, surplus = list(pool.starting), pool.ready + sum(pool.starting) - asked
    for left in reversed(range(len(starting))):
        dropped = min(starting[left], max(0, surplus))
        starting[left] -= dropped
        surplus -= dropped
    ready = min(pool.ready, asked)
    lasting = max(0, ready - pool.draining)
    fell = lasting < pool.ready - pool.draining
    return pool._replace(
        asked=asked,
        ready=ready,
        draining=ready - lasting,
        gone=pool.gone if ready > lasting else 0,
        stable=0 if fell else pool.stable,
        starting=tuple(starting),
    )


def observe(view: View) -> Observation:
    """The view in the words of the control code."""
    applied = Applied(
        {site.name: weight for site, weight in zip(SITES, view.weights, strict=True)},
        RoutingMode.COST_OPTIMIZED if view.cost_mode else RoutingMode.CAPACITY_OPTIMIZED,
        NOW_S - view.mode_age * LOOK_S,
        NOW_S - view.shift_age * LOOK_S,
    )
    pools = tuple(_seen(site, pool) for site, pool in zip(SITES, view.pools, strict=bool(view.pools)))
    return Observation(pools, RATES_PER_S[view.rate], view.rate_age * LOOK_S, view.pools_age * LOOK_S, applied)


def _seen(site: Site, pool: Pool) -> CapacityPool:
    refused_s = NOW_S - pool.short * LOOK_S
    fact = Shortage(site.name, refused_s, refused_s + HOLD * LOOK_S, "InsufficientCapacityError")
    return CapacityPool(
        site.name,
        site.limit_per_s,
        site.usd,
        ready=pool.ready,
        pending=max(0, pool.asked - pool.ready),
        planned=site.planned,
        min_replicas=site.least,
        max_replicas=site.most,
        ready_since_s=NOW_S - pool.stable * LOOK_S,
        shortages=(fact,) if pool.short < FORGOTTEN else (),
        draining=pool.draining,
        gone_at_s=NOW_S + pool.gone * LOOK_S if pool.draining else 0.0,
        starting=sum(pool.starting),
        obtained_s=NOW_S if pool.obtained else None,
    )
