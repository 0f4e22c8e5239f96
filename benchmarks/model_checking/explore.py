"""Exhaustive exploration of the small scope: every order of every disturbance, to a depth, and the way back to rest.

Breadth first from given roots, one state for each set of circumstances, so the shortest way to a fault is found
first. At each look the decision is checked against all that its policy promises (among it that a controller that
starts anew decides the same), and the moves of the pools against their table. From each state that was reached,
everything is then given back and time passes: the fleet must come to rest, and at rest be settled. The quiet
successor of a state is one state, so what is not at rest after finitely many looks is a cycle, and is found as one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from benchmarks.model_checking import scope
from benchmarks.model_checking.scope import BrokenError, Event, State, Step

NOTHING = Step(Event.NOTHING)


@dataclass
class Explored:
    """What was visited. came_from: how each state was first reached, None for a root.

    settling: for each state, and all on its way to rest, the looks until it is settled for good when left alone.
    """

    came_from: dict[State, tuple[State, Step] | None] = field(default_factory=dict)
    settling: dict[State, int] = field(default_factory=dict)
    transitions: int = 0
    depth: int = 0

    @property
    def states(self) -> int:
        return len(self.came_from)

    @property
    def slowest(self) -> int:
        """Looks until the slowest state is settled."""
        return max(self.settling.values(), default=0)

    def way(self, state: State) -> list[Step]:
        """The disturbances that lead to a state from its root."""
        found = []
        while (origin := self.came_from[state]) is not None:
            state, step = origin
            found.append(step)
        return found[::-1]


class CounterexampleError(AssertionError):
    """The shortest way to something that must not be."""

    def __init__(self, what: str, way: Iterable[Step], state: State) -> None:
        listed = "".join(f"\n  {number}. {step}" for number, step in enumerate(way, 1))
        super().__init__(f"{what}, after{listed or ' nothing'}\nin {scope.observe(state.view)}")


def explore(roots: Iterable[State], depth: int, *, until_s: float = math.inf) -> Explored:
    """All that `depth` disturbances lead to from `roots`, each level whole; none is begun after `until_s` of CPU time.

    Raises CounterexampleError.
    """
    found = Explored(came_from=dict.fromkeys(roots))
    frontier = list(found.came_from)
    while frontier and found.depth < depth and time.process_time() < until_s:
        reached = []
        for state in frontier:
            for step in scope.steps(state):
                twin = _after(found, state, step)
                found.transitions += 1
                if twin not in found.came_from:
                    found.came_from[twin] = (state, step)
                    reached.append(twin)
        frontier = reached
        found.depth += 1
    return found


def settle(found: Explored, most_looks: int) -> None:
    """Follow every state of `found`, left alone, until it is at rest; it must be settled within `most_looks`.

    Raises CounterexampleError.
    """
    for start in found.came_from:
        state = scope.quiet(start)
        path: dict[State, None] = {}
        while state not in found.settling:
            path[state] = None
            following = _after_quiet(found, start, state)
            if following == state:
                found.settling[state] = 0
            elif following in path:
                raise CounterexampleError("no rest", found.way(start), state)
            state = following
        if not scope.settled(state) and not found.settling[state]:
            raise CounterexampleError("at rest and not settled", found.way(start), state)
        for passed in reversed(path):
            if passed not in found.settling:
                later = found.settling[state]
                found.settling[passed] = later + 1 if later or not scope.settled(passed) else 0
            state = passed
        if found.settling[state] > most_looks:
            what = f"{found.settling[state]} looks until settled, more than {most_looks}"
            raise CounterexampleError(what, found.way(start), state)


def _after(found: Explored, state: State, step: Step) -> State:
    try:
        return scope.after(state, step)
    except BrokenError as broken:
        raise CounterexampleError(str(broken), [*found.way(state), step], state) from broken


def _after_quiet(found: Explored, start: State, state: State) -> State:
    try:
        return scope.after(state, NOTHING)
    except BrokenError as broken:
        raise CounterexampleError(f"{broken} on the way to rest", found.way(start), state) from broken
