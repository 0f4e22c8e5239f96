"""Compiled functions that carry requests, replicas and pools (`rows`) through time.

A replica serves n requests at once, each going forward at 1 / seconds[n - 1] of the work 1 per second. Its virtual
time V counts the work that each request in service has been given since the replica was last empty, so a request of
work w that starts at V finishes when virtual time reaches V + w, however the number in service changes meanwhile: a
heap by finishing point is all that egalitarian sharing needs (A. Parekh, R. Gallager, IEEE/ACM Trans. Netw. 1, 1993,
doi:10.1109/90.234856).

A replica is brought up to date only when someone looks at it (drawn, killed, read), and only if a request of it is
done by then or another one joins: it knows when the next one will be. There is no list of events for the
fleet, except that exact least-outstanding balancing must know every departure in its order: it keeps, for each pool, a
heap of replicas by next departure and a ring of replicas for each number outstanding.

At one instant, departures come before the arrival or event that shares it.

All compiled code, with the constants in it, is in this one file: numba's cache on disk sees changes of the file of the
function called, not of the files that it calls into or takes a number from. It is compiled without numba's reference
counts (`_nrt`), which would cost it most of its speed: no function here makes or keeps an array.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from holdfast.model.errors import InputError
from holdfast.simulation.rows import NOWHERE, State

try:
    import numba
except ImportError as error:
    raise InputError(
        "simulating takes numba, which is not installed", mend="install it with: pip install 'holdfast[simulate]'"
    ) from error

RANDOM, ROUND_ROBIN, LEAST_OUTSTANDING, TWO_CHOICES = range(4)
"""Balances: how a pool draws a replica."""

WEIGHTED, COMPOSITE = range(2)
"""Ingresses: what the data plane does with an attempt that went wrong."""

ABSENT, TAKING, DRAINING, DEAD = range(4)
"""Phases of a replica: its number is free; it takes traffic; it finishes its own; it is dead and still drawn."""

ACCEPTED, REFUSED, BROKEN = range(3)
"""What becomes of an attempt at a pool."""

SERVED, FAILED, SHED = range(3)
"""How a request ends: answered, lost with a replica, refused for good."""

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compiled at the first call, and kept on disk where numba finds a folder that it may write to.

    Divisions by zero give infinities, as in numpy.
    """
    options: dict[str, Any] = {"error_model": "numpy", "_nrt": False}
    try:
        return cast(Function, numba.njit(cache=True, **options)(function))
    except RuntimeError:
        # No such folder, as in a container whose files are read-only; `kept` tells.
        return cast(Function, numba.njit(**options)(function))


def inlined(function: Function) -> Function:
    """Compiled into its callers: a call pushes seven words for each array of the state, and was most of the time."""
    options: dict[str, Any] = {"error_model": "numpy", "_nrt": False, "forceinline": True}
    return cast(Function, numba.njit(**options)(function))


@inlined
def _uniform(s: State) -> float:
    """The next random number in [0, 1): splitmix64 (G. Steele, D. Lea, C. Flood, OOPSLA 2014)."""
    fleet = s.fleet[0]
    fleet.random += np.uint64(0x9E3779B97F4A7C15)
    z = np.uint64(fleet.random)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return float(z >> np.uint64(11)) * 2.0**-53


@inlined
def _one_of(s: State, n: int) -> int:
    return int(_uniform(s) * n)


@compiled
def _write_end(s: State, arrived_s: float, end_s: float, pool: int, replica: int, how: int) -> None:
    fleet = s.fleet[0]
    if fleet.ends < s.ends.size:
        end = s.ends[fleet.ends]
        end.arrived_s = arrived_s
        end.end_s = end_s
        end.pool = pool
        end.replica = replica
        end.how = how
        fleet.ends += 1


@inlined
def _count_served(s: State, pool: int, replica: int, arrived_s: float, work: float, end_s: float) -> None:
    row, fleet = s.pools[pool], s.fleet[0]
    latency_s = end_s - arrived_s
    row.served += 1
    row.work += work
    row.latency_s += latency_s
    if latency_s > fleet.late_s:
        row.late += 1
    place = 0
    if latency_s >= fleet.lowest_s:
        place = min(int(math.log(latency_s / fleet.lowest_s) / fleet.log_growth) + 1, s.latencies.shape[1] - 1)
    s.latencies[pool, place] += 1
    if s.ends.size > 0:
        _write_end(s, arrived_s, end_s, pool, replica - row.first, SERVED)


@inlined
def _sift_down(rows: NDArray[Any], first: int, n: int) -> None:
    """Let the root of the heap rows[first : first + n] find its place."""
    finish, arrived_s, work = rows[first].finish, rows[first].arrived_s, rows[first].work
    tried, tries = rows[first].tried, rows[first].tries
    at = 0
    while True:
        child = 2 * at + 1
        if child >= n:
            break
        if child + 1 < n and rows[first + child + 1].finish < rows[first + child].finish:
            child += 1
        if rows[first + child].finish >= finish:
            break
        rows[first + at] = rows[first + child]
        at = child
    _put(rows[first + at], finish, arrived_s, work, tried, tries)


@inlined
def _push(
    rows: NDArray[Any], first: int, n: int, finish: float, arrived_s: float, work: float, tried: int, tries: int
) -> None:
    """Add a request to the heap rows[first : first + n]."""
    at = n
    while at > 0:
        parent = (at - 1) >> 1
        if rows[first + parent].finish <= finish:
            break
        rows[first + at] = rows[first + parent]
        at = parent
    _put(rows[first + at], finish, arrived_s, work, tried, tries)


@inlined
def _put(row: Any, finish: float, arrived_s: float, work: float, tried: int, tries: int) -> None:
    row.finish = finish
    row.arrived_s = arrived_s
    row.work = work
    row.tried = tried
    row.tries = tries


@inlined
def _advance(s: State, index: int, until_s: float) -> None:
    """Let the requests of one replica that are done by `until_s` go, and those that wait move up."""
    replica = s.replicas[index]
    done_s = replica.next_s
    if done_s > until_s:
        return
    n = replica.serving
    pool = s.pools[replica.pool]
    rows, first = s.serving, pool.first_slot + (index - pool.first) * pool.slots
    start_s = replica.now_s
    while True:
        top = rows[first]
        now_s = done_s
        virtual = top.finish
        _count_served(s, replica.pool, index, top.arrived_s, top.work, now_s)
        if replica.waiting > 0:
            place = pool.first_waiting + (index - pool.first) * pool.queue + replica.head
            rows[first] = s.waiting[place]
            rows[first].finish = virtual + rows[first].work
            replica.head = replica.head + 1 if replica.head + 1 < pool.queue else 0
            replica.waiting -= 1
        else:
            n -= 1
            if n == 0:
                virtual = 0.0
                done_s = math.inf
                break
            rows[first] = rows[first + n]
        if n > 1:
            _sift_down(rows, first, n)
        done_s = now_s + (rows[first].finish - virtual) * s.seconds[pool.first_seconds + n - 1]
        if done_s > until_s:
            break
    pool.busy_s += now_s - start_s
    replica.now_s = now_s
    replica.virtual = virtual
    replica.next_s = done_s
    replica.serving = n


@inlined
def _bring_up(s: State, index: int, now_s: float) -> None:
    """Bring one replica, whose next departure is later, up to now."""
    replica = s.replicas[index]
    if replica.serving > 0:
        pool = s.pools[replica.pool]
        past_s = now_s - replica.now_s
        replica.virtual += past_s / s.seconds[pool.first_seconds + replica.serving - 1]
        pool.busy_s += past_s
    replica.now_s = now_s


@compiled
def _leave_level(s: State, index: int) -> None:
    replica = s.replicas[index]
    pool = s.pools[replica.pool]
    at = pool.first_level + replica.level
    if replica.after == index:
        s.levels[at] = NOWHERE
        return
    s.replicas[replica.before].after = replica.after
    s.replicas[replica.after].before = replica.before
    if s.levels[at] == index:
        s.levels[at] = replica.after


@compiled
def _join_level(s: State, index: int, level: int) -> None:
    """Stand last in the ring of those with `level` requests outstanding."""
    replica = s.replicas[index]
    pool = s.pools[replica.pool]
    head = s.levels[pool.first_level + level]
    replica.level = level
    if head == NOWHERE:
        s.levels[pool.first_level + level] = index
        replica.before = index
        replica.after = index
    else:
        last = s.replicas[head].before
        replica.before = last
        replica.after = head
        s.replicas[last].after = index
        s.replicas[head].before = index
    pool.lowest = min(pool.lowest, level)


@compiled
def _sooner(s: State, one: int, other: int) -> bool:
    one_s, other_s = s.replicas[one].next_s, s.replicas[other].next_s
    return one_s < other_s or (one_s == other_s and one < other)


@compiled
def _settle_due(s: State, pool: Any, at: int, index: int) -> None:
    """Let the replica at place `at` of its pool's heap of departures find its place."""
    first = pool.first
    while at > 0:
        parent = (at - 1) >> 1
        if not _sooner(s, index, s.due[first + parent]):
            break
        s.due[first + at] = s.due[first + parent]
        s.replicas[s.due[first + at]].due_place = at
        at = parent
    while True:
        child = 2 * at + 1
        if child >= pool.due:
            break
        if child + 1 < pool.due and _sooner(s, s.due[first + child + 1], s.due[first + child]):
            child += 1
        if not _sooner(s, s.due[first + child], index):
            break
        s.due[first + at] = s.due[first + child]
        s.replicas[s.due[first + at]].due_place = at
        at = child
    s.due[first + at] = index
    s.replicas[index].due_place = at


@compiled
def _forget_due(s: State, index: int) -> None:
    replica = s.replicas[index]
    pool = s.pools[replica.pool]
    at = replica.due_place
    if at == NOWHERE:
        return
    replica.due_place = NOWHERE
    pool.due -= 1
    if at < pool.due:
        _settle_due(s, pool, at, s.due[pool.first + pool.due])


@compiled
def _note(s: State, index: int) -> None:
    """Keep a replica that is drawn in its place by its next departure and by how many it has now."""
    replica = s.replicas[index]
    pool = s.pools[replica.pool]
    outstanding = replica.serving + replica.waiting
    if replica.level != outstanding:
        _leave_level(s, index)
        _join_level(s, index, outstanding)
    if replica.serving == 0:
        _forget_due(s, index)
        return
    if replica.due_place == NOWHERE:
        replica.due_place = pool.due
        pool.due += 1
    _settle_due(s, pool, replica.due_place, index)


@compiled
def _let_go(s: State, pool: Any, until_s: float) -> None:
    """Let the requests of a pool's drawn replicas that are done by `until_s` go, in their order."""
    while pool.due > 0:
        index = s.due[pool.first]
        next_s = s.replicas[index].next_s
        if next_s > until_s:
            break
        _advance(s, index, next_s)
        _note(s, index)


@inlined
def _at(s: State, pool: Any, place: int) -> int:
    return int(s.members[pool.first + place])


@inlined
def _draw(s: State, pool: Any, now_s: float, avoided: int) -> int:
    """A replica of the pool by the fleet's balance, another one than `avoided` where there is one."""
    n = pool.members
    balance = s.fleet[0].balance
    place = n
    if avoided != NOWHERE and n > 1 and s.replicas[avoided].place != NOWHERE:
        place = s.replicas[avoided].place
    others = n if place == n else n - 1
    if balance == ROUND_ROBIN:
        if pool.turn == place:
            pool.turn = pool.turn + 1 if pool.turn + 1 < n else 0
        index = _at(s, pool, pool.turn)
        pool.turn = pool.turn + 1 if pool.turn + 1 < n else 0
    elif balance == LEAST_OUTSTANDING:
        _let_go(s, pool, now_s)
        while s.levels[pool.first_level + pool.lowest] == NOWHERE:
            pool.lowest += 1
        index = s.levels[pool.first_level + pool.lowest]
        if index == avoided and others < n:
            index = s.replicas[index].after
            level = pool.lowest
            while index in (avoided, NOWHERE):
                level += 1
                index = s.levels[pool.first_level + level]
    else:
        drawn = _one_of(s, others)
        index = _at(s, pool, drawn if drawn < place else drawn + 1)
        if balance == TWO_CHOICES and others > 1:
            # Envoy draws both from all replicas, so that both may be the same one, and keeps the first in a tie.
            drawn = _one_of(s, others)
            other = _at(s, pool, drawn if drawn < place else drawn + 1)
            _advance(s, index, now_s)
            _advance(s, other, now_s)
            one, two = s.replicas[index], s.replicas[other]
            if two.serving + two.waiting < one.serving + one.waiting:
                index = other
    return index


@inlined
def _offer(
    s: State, number: int, avoided: int, now_s: float, arrived_s: float, work: float, tried: int, tries: int
) -> tuple[int, int]:
    """One attempt at a pool: what becomes of it, and the replica that it met or NOWHERE."""
    pool = s.pools[number]
    if pool.members == 0:
        return REFUSED, NOWHERE
    index = _draw(s, pool, now_s, avoided)
    replica = s.replicas[index]
    if replica.phase == DEAD:
        if s.fleet[0].balance == LEAST_OUTSTANDING:
            # It looks idle. It waits its turn among those that are.
            _leave_level(s, index)
            _join_level(s, index, 0)
        return BROKEN, index
    _advance(s, index, now_s)
    if replica.serving < pool.slots:
        _bring_up(s, index, now_s)
        first = pool.first_slot + (index - pool.first) * pool.slots
        _push(s.serving, first, replica.serving, replica.virtual + work, arrived_s, work, tried, tries)
        left = s.serving[first].finish - replica.virtual
        replica.next_s = now_s + left * s.seconds[pool.first_seconds + replica.serving]
        replica.serving += 1
    elif replica.waiting < pool.queue:
        place = replica.head + replica.waiting
        if place >= pool.queue:
            place -= pool.queue
        row = s.waiting[pool.first_waiting + (index - pool.first) * pool.queue + place]
        _put(row, 0.0, arrived_s, work, tried, tries)
        replica.waiting += 1
    else:
        return REFUSED, index
    if s.fleet[0].balance == LEAST_OUTSTANDING:
        _note(s, index)
    return ACCEPTED, index


@inlined
def _has(pools: int, number: int) -> bool:
    """Whether a set of pools, as bits, holds one."""
    return bool((pools >> number) & 1)


@inlined
def _pool_by_weight(s: State, tried: int, last: int) -> int:
    """A pool with weight that the request has not been sent to; when there is none, any but the last, where possible.

    last: the pool of the attempt before, NOWHERE at the first.
    """
    total = s.fleet[0].weight
    if not tried:
        # Nearly every request: without branches, which a processor could only guess.
        point = _uniform(s) * total
        passed = 0
        reached = 0.0
        for number in range(s.pools.size):
            reached += s.pools[number].weight
            passed += point >= reached
        if passed < s.pools.size:
            return passed
    else:
        total = 0.0
        for number in range(s.pools.size):
            if not _has(tried, number):
                total += s.pools[number].weight
    if total == 0.0:
        tried = 1 << last
        for number in range(s.pools.size):
            if number != last:
                total += s.pools[number].weight
    if total == 0.0:
        return last
    left = _uniform(s) * total
    chosen = NOWHERE
    for number in range(s.pools.size):
        weight = s.pools[number].weight
        if weight > 0.0 and not _has(tried, number):
            chosen = number
            left -= weight
            if left < 0.0:
                break
    return chosen


@compiled
def _pool_in_order(s: State, tried: int, last: int) -> int:
    """The first pool with replicas that the request has not been sent to; failing that, the first but the last."""
    for passed in (tried, 1 << last):
        for number in range(s.pools.size):
            if s.pools[number].members > 0 and not _has(passed, number):
                return number
    return last


@inlined
def _pool(s: State, tried: int, last: int) -> int:
    """The pool of the next attempt."""
    if s.fleet[0].ingress == WEIGHTED:
        return _pool_by_weight(s, tried, last)
    if last != NOWHERE:
        return _pool_in_order(s, tried, last)
    number = _pool_by_weight(s, tried, last)
    return number if s.pools[number].members > 0 else _pool_in_order(s, 1 << number, number)


@inlined
def _send(
    s: State, now_s: float, arrived_s: float, work: float, tried: int, tries: int, last: int, avoided: int
) -> None:
    """Find a place for a request: the first attempt (`tries` 0) and as many more as it has left."""
    fleet = s.fleet[0]
    while True:
        number = _pool(s, tried, last)
        pool = s.pools[number]
        if tries == 0:
            pool.arrived += 1
        else:
            pool.taken += 1
        outcome, index = _offer(s, number, avoided if number == last else NOWHERE, now_s, arrived_s, work, tried, tries)
        if outcome == ACCEPTED:
            return
        if tries == fleet.retries or (outcome == REFUSED and fleet.ingress == COMPOSITE):
            if outcome == BROKEN:
                pool.failed += 1
            else:
                pool.refused += 1
            replica = NOWHERE if index == NOWHERE else index - pool.first
            _write_end(s, arrived_s, now_s, number, replica, FAILED if outcome == BROKEN else SHED)
            return
        pool.retried += 1
        tried |= 1 << number
        tries += 1
        last = number
        avoided = index


@compiled
def _lose(s: State, index: int, request: Any) -> None:
    """A request whose replica died under it: sent again, or failed."""
    fleet = s.fleet[0]
    number = s.replicas[index].pool
    pool = s.pools[number]
    if request.tries == fleet.retries:
        pool.failed += 1
        _write_end(s, request.arrived_s, fleet.now_s, number, index - pool.first, FAILED)
        return
    pool.retried += 1
    tried = request.tried | 1 << number
    _send(s, fleet.now_s, request.arrived_s, request.work, tried, request.tries + 1, number, index)


@compiled
def _dismiss(s: State, index: int) -> None:
    """Stop drawing a replica."""
    replica = s.replicas[index]
    pool = s.pools[replica.pool]
    at = replica.place
    if at == NOWHERE:
        return
    for place in range(at + 1, pool.members):
        moved = s.members[pool.first + place]
        s.members[pool.first + place - 1] = moved
        s.replicas[moved].place = place - 1
    pool.members -= 1
    replica.place = NOWHERE
    if at < pool.turn:
        pool.turn -= 1
    if pool.turn >= pool.members:
        pool.turn = 0
    if s.fleet[0].balance == LEAST_OUTSTANDING:
        _leave_level(s, index)
        _forget_due(s, index)


@compiled
def add(s: State, number: int) -> int:
    """Let a replica of the pool take traffic: its index among the pool's, or NOWHERE when the pool is full."""
    pool = s.pools[number]
    now_s = s.fleet[0].now_s
    for index in range(pool.first, pool.first + pool.most):
        replica = s.replicas[index]
        if replica.phase == DRAINING:
            _advance(s, index, now_s)
            if replica.serving == 0:
                replica.phase = ABSENT
        if replica.phase != ABSENT:
            continue
        replica.phase = TAKING
        replica.pool = number
        replica.now_s = now_s
        replica.virtual = 0.0
        replica.next_s = math.inf
        replica.serving = 0
        replica.waiting = 0
        replica.head = 0
        replica.due_place = NOWHERE
        replica.place = pool.members
        s.members[pool.first + pool.members] = index
        pool.members += 1
        if s.fleet[0].balance == LEAST_OUTSTANDING:
            _join_level(s, index, 0)
        return int(index - pool.first)
    return NOWHERE


@compiled
def drain(s: State, index: int) -> None:
    _let_go_of(s, index)
    _dismiss(s, index)
    s.replicas[index].phase = DRAINING


@compiled
def _let_go_of(s: State, index: int) -> None:
    """Bring a replica up to now; where departures are watched, in their order among its pool's."""
    now_s = s.fleet[0].now_s
    if s.fleet[0].balance == LEAST_OUTSTANDING:
        _let_go(s, s.pools[s.replicas[index].pool], now_s)
    _advance(s, index, now_s)
    _bring_up(s, index, now_s)


@compiled
def kill(s: State, index: int, noticed: bool) -> None:
    """A replica dies: what it served is lost, the oldest first, and then what waited."""
    _let_go_of(s, index)
    replica = s.replicas[index]
    pool = s.pools[replica.pool]
    serving, waiting = replica.serving, replica.waiting
    drawn = replica.place != NOWHERE
    replica.next_s = math.inf
    replica.serving = 0
    replica.waiting = 0
    replica.phase = DEAD
    if noticed or not drawn:
        _dismiss(s, index)
        replica.phase = ABSENT
    elif s.fleet[0].balance == LEAST_OUTSTANDING:
        _note(s, index)
    first = pool.first_slot + (index - pool.first) * pool.slots
    for _ in range(serving):
        oldest = first
        for row in range(first + 1, first + serving):
            if s.serving[row].arrived_s < s.serving[oldest].arrived_s:
                oldest = row
        _lose(s, index, s.serving[oldest])
        s.serving[oldest].arrived_s = math.inf
    ring = pool.first_waiting + (index - pool.first) * pool.queue
    for place in range(replica.head, replica.head + waiting):
        _lose(s, index, s.waiting[ring + place % pool.queue])


@compiled
def notice(s: State, index: int) -> None:
    """Stop drawing a dead replica, and free its number."""
    _dismiss(s, index)
    s.replicas[index].phase = ABSENT


@compiled
def run(s: State, until_s: float, arrivals_s: NDArray[np.float64], work: NDArray[np.float64]) -> None:
    """Send every arrival, and come to `until_s`."""
    for i in range(arrivals_s.size):
        _send(s, arrivals_s[i], arrivals_s[i], work[i], 0, 0, NOWHERE, NOWHERE)
    s.fleet[0].now_s = until_s


@compiled
def are_between(times_s: NDArray[np.float64], start_s: float, end_s: float) -> bool:
    """Whether the times ascend in [start, end)."""
    for time_s in times_s:
        if not start_s <= time_s < end_s:
            return False
        start_s = time_s
    return True


@compiled
def are_positive(numbers: NDArray[np.float64]) -> bool:
    """Whether all are finite and above 0."""
    # numba compiles no generator expressions.
    for number in numbers:  # noqa: SIM110
        if not 0.0 < number < math.inf:
            return False
    return True


@compiled
def catch_up(s: State, in_flight: NDArray[np.int64], waiting: NDArray[np.int64]) -> None:
    """Bring every replica up to now, and add up the requests that each pool has in service and waiting."""
    now_s = s.fleet[0].now_s
    for number in range(s.pools.size):
        pool = s.pools[number]
        if s.fleet[0].balance == LEAST_OUTSTANDING:
            _let_go(s, pool, now_s)
        for index in range(pool.first, pool.first + pool.most):
            replica = s.replicas[index]
            if replica.phase == TAKING or replica.phase == DRAINING:
                _advance(s, index, now_s)
                _bring_up(s, index, now_s)
                in_flight[number] += replica.serving
                waiting[number] += replica.waiting
                if s.fleet[0].balance == LEAST_OUTSTANDING and replica.phase == TAKING:
                    _note(s, index)


def kept() -> bool | None:
    """Whether this file's compiled code is on disk already; None where numba may write nowhere: it never will be."""
    folder = cast(Any, run).stats.cache_path
    if folder is None:
        return None
    written_s = Path(__file__).stat().st_mtime
    return any(index.stat().st_mtime >= written_s for index in Path(folder).glob("kernel.run-*.nbi"))
