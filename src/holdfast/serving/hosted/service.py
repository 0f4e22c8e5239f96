"""One model server as its endpoints see it."""

from __future__ import annotations

import logging
import time
from collections import deque

from holdfast.serving.errors import RequestError
from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.metrics import Published
from holdfast.serving.lifecycle import Lifecycle, Phase

_LOG = logging.getLogger("holdfast.serving")
_MOST_UNTOLD = 10_000


class Service:
    """What is served, by which names, within which bounds, and how far it is along.

    names: of the model, the one that answers call it by first. unit, node_pool: empty where nobody said.
    """

    def __init__(self, names: tuple[str, ...], bounds: Bounds, *, unit: str = "", node_pool: str = "") -> None:
        self.names = names
        self.bounds = bounds
        self.unit = unit
        self.node_pool = node_pool
        self.lifecycle = Lifecycle("the model is looked for")
        self.created = int(time.time())
        self._published: Published | None = None
        self._untold: deque[tuple[str, str, int, float]] = deque(maxlen=_MOST_UNTOLD)

    def publish(self, published: Published) -> None:
        """Count from now on in `published`, and what was answered until now."""
        self._published = published
        while self._untold:
            published.answered(*self._untold.popleft())

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an HTTP answer, also before it is known which device and task its labels will name."""
        if self._published is None:
            self._untold.append((route, method, status, seconds))
        else:
            self._published.answered(route, method, status, seconds)

    def exposition(self) -> bytes:
        """All metrics; none before it is known which device and task their labels name."""
        return b"" if self._published is None else self._published.exposition()

    def reach(self, phase: Phase, reason: str) -> None:
        """Go on to a phase, or on with it for another reason; a server that drains stays at that."""
        life = self.lifecycle
        if life.phase is not Phase.DRAINING:
            life.move(phase, reason)
            _LOG.info("%s model=%s reason=%r", phase.value, self.names[0], reason)

    def require_ready(self) -> None:
        """Raises RequestError 503 unless requests for the model are taken."""
        if self.lifecycle.phase is not Phase.READY:
            raise RequestError(503, f"the server is {self.lifecycle.phase.value}: {self.lifecycle.reason}")
