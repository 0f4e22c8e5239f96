"""The data plane between decided weights and the traffic: a delay, and clients that stay where they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from holdfast.simulation.clock import Clock
from holdfast.simulation.scenario import DataPlaneModel

_STEP_S = 5.0
"""Between adjustments for clients that follow slowly."""

_NEAR = 1e-3
"""Of the whole traffic: closer to the decided weights nothing is adjusted any more."""


class Routing:
    """Applies weights after the delay. routable: whether a pool has a replica; sticky clients leave one without."""

    def __init__(
        self,
        model: DataPlaneModel,
        pools: Sequence[str],
        clock: Clock,
        *,
        weigh: Callable[[Sequence[float]], None],
        routable: Callable[[int], bool],
    ) -> None:
        self._model, self._pools, self._clock = model, pools, clock
        self._weigh, self._routable = weigh, routable
        self._decided: list[float] = []
        self._pinned: list[float] = []
        self._following = False

    def begin(self, weights: Mapping[str, int]) -> None:
        """Weights that are in force, with every client where they send it."""
        self._decided = self._pinned = self._shares(weights)
        self._weigh(self._decided)

    def apply(self, weights: Mapping[str, int]) -> None:
        shares = self._shares(weights)
        self._clock.after(self._model.delay_s, lambda: self._in_force(shares))

    def _shares(self, weights: Mapping[str, int]) -> list[float]:
        total = sum(weights.values())
        return [weights.get(name, 0) / total for name in self._pools]

    def _in_force(self, shares: list[float]) -> None:
        self._decided = shares
        self._mix()
        if self._model.stickiness is not None and not self._following:
            self._following = True
            self._clock.after(_STEP_S, self._follow)

    def _mix(self) -> None:
        """Sticky clients where they are, as far as there is a replica; the others where the weights send them."""
        sticky = 0.0 if self._model.stickiness is None else self._model.stickiness.share
        there = [share if self._routable(pool) else 0.0 for pool, share in enumerate(self._pinned)]
        left = 1 - sum(there)
        self._pinned = [pinned + left * new for pinned, new in zip(there, self._decided, strict=True)]
        pairs = zip(self._decided, self._pinned, strict=True)
        self._weigh([(1 - sticky) * new + sticky * pinned for new, pinned in pairs])

    def _follow(self) -> None:
        if self._model.stickiness is None:
            return
        part = 1 - math.exp(-_STEP_S / self._model.stickiness.lasts_s)
        self._pinned = [old + (new - old) * part for old, new in zip(self._pinned, self._decided, strict=True)]
        self._following = max(abs(n - p) for n, p in zip(self._decided, self._pinned, strict=True)) > _NEAR
        if self._following:
            self._clock.after(_STEP_S, self._follow)
        else:
            self._pinned = self._decided
        self._mix()
