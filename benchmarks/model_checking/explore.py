"""Exhaustive exploration of the small scope: every order of every disturbance, to a depth, and the way back to rest.

Breadth first from given roots, one state for each set of circumstances, so the shortest way to a fault is found
first. At each look the decision is checked against all that its policy promises (among it that a controller that
starts anew decides the same), and the moves of the pools against their table. From each state that was reached,
everything is then given back and time passes: the fleet must come to rest, and at rest be settled. The quiet
successor of a state is one state, so what is not at rest after finitely many looks is a cycle, and is found as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from benchmarks.model_checking import scope
from benchmarks.model_checking.scope import BrokenError, Event, State, Step

NOTHING = Step(Event.NOTHING)


@dataclass
class Explored:
    """What was visited. came_from: how each state was first reached, None for a root. rest: looks from each to rest."""

    came_from: dict[State, tuple[State, Step] | None] = field(default_factory=dict)
    rest: dict[State, int] = field(default_factory=dict)
    transitions: int = 0
    depth: int = 0

    @property
    def states(self) -> int:
        return len(self.came_from)

    @property
    def longest_rest(self) -> int:
        """Looks that the slowest state takes to come to rest, left alone."""
        return max(self.rest.values(), default=0)

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


def explore(roots: Iterable[State], depth: int, more: Callable[[], bool] = lambda: True) -> Explored:
    """All that `depth` disturbances lead to from `roots`, each level whole; none is begun once `more` says no.

    Raises CounterexampleError.
    """
    found = Explored(came_from=dict.fromkeys(roots))
    frontier = list(found.came_from)
    while frontier and found.depth < depth and more():
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
    """Follow every state of `found`, left alone, until it is at rest, which it must be within `most_looks`.

    Raises CounterexampleError.
    """
    for start in found.came_from:
        state = scope.quiet(start)
        path: dict[State, None] = {}
        while state not in found.rest:
            if state in path or len(path) > most_looks:
                raise CounterexampleError(f"no rest within {most_looks} looks", found.way(start), state)
            after = _after_quiet(found, start, state)
            if after == state and not scope.settled(state):
                raise CounterexampleError("at rest and not settled", found.way(start), state)
            if after == state:
                found.rest[state] = 0
            else:
                path[state] = None
                state = after
        for looks, passed in enumerate(reversed(path), found.rest[state] + 1):
            found.rest[passed] = looks


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
