"""The life of a model server: loading, warming up, then ready, then draining. There is no way back."""

from __future__ import annotations

import enum


class Phase(enum.Enum):
    LOADING = "loading"
    WARMING = "warming up"
    READY = "ready"
    DRAINING = "draining"


_MOVES = {
    Phase.LOADING: frozenset({Phase.LOADING, Phase.WARMING, Phase.READY, Phase.DRAINING}),
    Phase.WARMING: frozenset({Phase.READY, Phase.DRAINING}),
    Phase.READY: frozenset({Phase.DRAINING}),
    Phase.DRAINING: frozenset[Phase](),
}


class Lifecycle:
    """The phase of one server and the reason for it, as /readiness tells them."""

    def __init__(self, reason: str) -> None:
        self._phase = Phase.LOADING
        self._reason = reason

    @property
    def phase(self) -> Phase:
        return self._phase

    @property
    def reason(self) -> str:
        return self._reason

    def move(self, phase: Phase, reason: str) -> None:
        """Enter `phase`. Raises ValueError where the table above has no such move."""
        if phase not in _MOVES[self._phase]:
            raise ValueError(f"a server cannot go from {self._phase.value} to {phase.value}")
        self._phase = phase
        self._reason = reason
