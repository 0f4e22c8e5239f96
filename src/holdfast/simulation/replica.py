"""The life of one replica: a pod and the node that is launched for it.

    ASKED --launch--> PROVISIONING --join--> STARTING --pass--> READY --release--> DRAINING --end--> GONE
      |                    |                    |                                                     ^
      +-------cancel-------+-------cancel-------+-----------------------------------------------------+
                           +--------die---------+-----die-----+---------die---------------------------+

A replica is paid from its launch until it is gone.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class State(enum.Enum):
    ASKED = "asked for; no instance yet"
    PROVISIONING = "its instance is launched"
    STARTING = "on its node: image, model, graph"
    READY = "takes traffic"
    DRAINING = "takes none, and finishes what it has"
    GONE = "gone, and its instance with it"

    @property
    def paid(self) -> bool:
        return self in (State.PROVISIONING, State.STARTING, State.READY, State.DRAINING)


class Move(enum.Enum):
    LAUNCH = "launch"
    JOIN = "join"
    PASS = "pass"
    RELEASE = "release"
    END = "end"
    CANCEL = "cancel"
    DIE = "die"


MOVES = {
    (State.ASKED, Move.LAUNCH): State.PROVISIONING,
    (State.PROVISIONING, Move.JOIN): State.STARTING,
    (State.STARTING, Move.PASS): State.READY,
    (State.READY, Move.RELEASE): State.DRAINING,
    (State.DRAINING, Move.END): State.GONE,
    (State.ASKED, Move.CANCEL): State.GONE,
    (State.PROVISIONING, Move.CANCEL): State.GONE,
    (State.STARTING, Move.CANCEL): State.GONE,
    (State.PROVISIONING, Move.DIE): State.GONE,
    (State.STARTING, Move.DIE): State.GONE,
    (State.READY, Move.DIE): State.GONE,
    (State.DRAINING, Move.DIE): State.GONE,
}


class IllegalMoveError(ValueError):
    """The state does not know the move: a fault of the program, not of the fleet."""


@dataclass(eq=False)
class Replica:
    """One replica of pool `pool`, bought in its lot `lot` from its launch on.

    number:  in the traffic, from READY on.
    gone_at_s: when it will be gone by an interruption notice; None without one.
    """

    pool: int
    asked_s: float
    lot: int = -1
    state: State = State.ASKED
    number: int = -1
    launched_s: float | None = None
    ready_s: float | None = None
    gone_s: float | None = None
    gone_at_s: float | None = None

    def move(self, move: Move, now_s: float) -> None:
        """Make the move. Raises IllegalMoveError."""
        try:
            self.state = MOVES[self.state, move]
        except KeyError:
            raise IllegalMoveError(f"a replica that is {self.state.name} cannot {move.value}") from None
        if move is Move.LAUNCH:
            self.launched_s = now_s
        elif move is Move.PASS:
            self.ready_s = now_s
        elif self.state is State.GONE:
            self.gone_s = now_s

    @property
    def lasting(self) -> bool:
        """Whether it counts towards what its pool shall have: neither leaving nor about to be gone."""
        return self.gone_at_s is None and self.state not in (State.DRAINING, State.GONE)
