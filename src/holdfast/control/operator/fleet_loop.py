"""One fleet: look at it, steer it, tell of it; and wait until something changes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
from collections.abc import Callable
from dataclasses import replace

from holdfast.control.operator import by_hand
from holdfast.control.operator.account import Account
from holdfast.control.operator.exported import Exported
from holdfast.control.operator.planned import Planned
from holdfast.control.operator.readings import Readings
from holdfast.control.operator.sight import FleetKey, Sight
from holdfast.control.operator.steering import Steered, Steering
from holdfast.control.operator.telling import Teller
from holdfast.control.operator.watches import Watches
from holdfast.kube import kinds
from holdfast.model.fleet import RoutingPolicy

SETTLE_S = 0.05
"""From a change to the look at it: changes come in groups."""

SOONEST_S = 0.2
"""Between two looks at least, however much changes."""

LATEST_S = 30.0
"""Between two looks at most: what is only compared with the clock is due by then."""

AGAIN_S, AGAIN_MOST_S = 1.0, 60.0
"""After a look that failed; doubled each time."""

SYNC_S = 15.0
"""How long a loop that starts waits to see its fleet whole before it says that it cannot."""

log = logging.getLogger("holdfast.operator")


class FleetLoop:
    """One fleet, from our first look at it to our last."""

    def __init__(
        self,
        key: FleetKey,
        *,
        sight: Sight,
        watches: Watches,
        planned: Planned,
        readings: Readings,
        steering: Steering,
        teller: Teller,
        exported: Exported,
        clock: Callable[[], float],
        chance: random.Random,
    ) -> None:
        self._key, self._sight, self._watches = key, sight, watches
        self._planned, self._readings, self._steering = planned, readings, steering
        self._teller, self._exported, self._clock, self._chance = teller, exported, clock, chance
        self._changed = asyncio.Event()
        self._changed_s: float | None = None
        self._ending = False
        self._started_s = clock()

    def changed(self) -> None:
        """Something new was told of the fleet."""
        if self._changed_s is None:
            self._changed_s = self._clock()
        self._changed.set()

    def end(self) -> None:
        """The look that is going on is the last."""
        self._ending = True
        self._changed.set()

    async def run(self) -> None:
        """Looks whenever something changed, and when time alone changes something."""
        failed = 0
        while not self._ending:
            began_s = self._clock()
            self._changed.clear()
            try:
                next_s = await self._look()
                failed = 0
            except Exception as error:
                # A fault of ours must not take other fleets down, and may be of this moment alone.
                log.exception("look failed", extra={"fleet": "/".join(self._key)})
                next_s = began_s + min(AGAIN_MOST_S, AGAIN_S * 2.0 ** min(failed, 10)) * (1 + self._chance.random())
                failed += 1
                await self._tell_failure(error)
                await self._pause(next_s)
                continue
            await self._wait(began_s, next_s)
