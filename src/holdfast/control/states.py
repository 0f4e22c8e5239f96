"""The lifecycle of the fleet.

                 LOSS                    PROOF
        COST ------------> FAILED_OVER ---------> FAILING_BACK
          ^                  |     ^                   |
          |                  +LOSS-+                   |
          +------------------- ARRIVAL ----------------+

Only the routing mode is stored, not the phase: in capacity-optimized mode every look starts from
FAILED_OVER and needs the proof anew before it goes on failing back. So a loss half way needs no row of
its own, and a controller that restarts half way does not know that it did.
"""

from __future__ import annotations

import enum

from holdfast.model.pools import RoutingMode


class Phase(enum.Enum):
    """Where the fleet is between its cheapest weights and those that lost capacity imposes."""

    COST = "cost"
    FAILED_OVER = "failed over"
    FAILING_BACK = "failing back"

    @property
    def mode(self) -> RoutingMode:
        return RoutingMode.COST_OPTIMIZED if self is Phase.COST else RoutingMode.CAPACITY_OPTIMIZED


class Event(enum.Enum):
    """What moves the fleet from phase to phase."""

    LOSS = "a pool cannot carry its cost-optimal share"
    PROOF = "every pool with a cost-optimal share has proved itself, and the mode has lasted its dwell time"
    ARRIVAL = "the weights are the cost-optimal ones, to the dead band"


MOVES = {
    (Phase.COST, Event.LOSS): Phase.FAILED_OVER,
    (Phase.FAILED_OVER, Event.LOSS): Phase.FAILED_OVER,
    (Phase.FAILED_OVER, Event.PROOF): Phase.FAILING_BACK,
    (Phase.FAILING_BACK, Event.ARRIVAL): Phase.COST,
}


class IllegalMoveError(ValueError):
    """The phase does not know the event: a fault of the program, not of the fleet."""


def move(phase: Phase, event: Event) -> Phase:
    """The phase after `event`. Raises IllegalMoveError."""
    try:
        return MOVES[phase, event]
    except KeyError:
        raise IllegalMoveError(f"{event.name} cannot happen to a fleet that is in {phase.name}") from None


def recall(mode: RoutingMode) -> Phase:
    """The phase that a stored mode stands for: the earliest that it can be."""
    return Phase.COST if mode is RoutingMode.COST_OPTIMIZED else Phase.FAILED_OVER
