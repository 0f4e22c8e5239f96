"""What metrics say of the fleets, asked every few seconds, so that no look waits for an answer."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from holdfast.control.operator.metrics.sources import Source
from holdfast.control.operator.seeing.seen import Reading
from holdfast.control.operator.seeing.sight import FleetKey
from holdfast.manifests.placement import Placement
from holdfast.model.errors import InputError
from holdfast.telemetry.errors import UnreadError

HIGHEST_S = 600.0
"""Between two questions for the highest rate of the last day, which is a thousand times as much work."""

AGAIN_S = 60.0
"""Before a source is asked for again that cannot be used at all."""

SourceOf = Callable[[Sequence[Placement]], Awaitable[Source]]

log = logging.getLogger("holdfast.operator")


class Readings:
    """The last reading of each fleet that is asked about.

    source_of: of a fleet with these pools, as `sources.Sources.of`. changed: called when a fleet has another reading,
    and when the first attempt at one came to nothing.
    """

    def __init__(
        self,
        source_of: SourceOf,
        *,
        clock: Callable[[], float],
        chance: random.Random,
        changed: Callable[[FleetKey], None],
    ) -> None:
        self._source_of, self._clock, self._chance, self._changed = source_of, clock, chance, changed
        self._asked: dict[FleetKey, tuple[Sequence[Placement], asyncio.Task[None]]] = {}
        self._known: dict[FleetKey, tuple[Reading, float]] = {}
        self._tried: set[FleetKey] = set()
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Asks, until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            # A group ends with its last task, and fleets come and go.
            await asyncio.get_running_loop().create_future()

    def ask(self, fleet: FleetKey, placed: Sequence[Placement]) -> None:
        """From now on, about the fleet with these pools."""
        known = self._asked.get(fleet)
        if self._group is None or (known is not None and (known[0] is placed or known[0] == placed)):
            return
        if known is not None:
            known[1].cancel()
        task = self._group.create_task(self._follow(fleet, placed), name=f"rate of {'/'.join(fleet)}")
        self._asked[fleet] = placed, task

    def forget(self, fleet: FleetKey) -> None:
        """Nothing is asked about the fleet any more."""
        if fleet in self._asked:
            self._asked.pop(fleet)[1].cancel()
        self._known.pop(fleet, None)
        self._tried.discard(fleet)

    def tried(self, fleet: FleetKey) -> bool:
        """Whether a reading was made, or could not be: nobody need wait for the first one any more."""
        return fleet in self._tried

    def read(self, fleet: FleetKey, now_s: float) -> Reading:
        """The last reading, as old as it is by now."""
        if fleet not in self._known:
            return Reading(None, math.inf)
        last, at_s = self._known[fleet]
        return replace(last, age_s=last.age_s + max(0.0, now_s - at_s))

    async def _follow(self, fleet: FleetKey, placed: Sequence[Placement]) -> None:
        problem: str | None = None
        highest_per_s, highest_s = None, -math.inf
        while True:
            source, said, now_s = None, "", self._clock()
            try:
                source = await self._source_of(placed)
                found = await source.reading(now_s)
                self._known[fleet] = replace(found, highest_per_s=highest_per_s), now_s
            except (InputError, UnreadError) as error:
                said = str(error)
            except Exception as error:
                # A fault of ours, or of a library, is no reason to leave all fleets alone.
                log.exception("reading failed", extra={"fleet": "/".join(fleet)})
                said = f"{type(error).__name__}: {error}"
            if not said or fleet not in self._tried:
                self._tried.add(fleet)
                self._changed(fleet)
            if said != problem:
                _say(fleet, said)
            problem = said
            if source is not None and not said and now_s >= highest_s + HIGHEST_S:
                highest_per_s, highest_s = await _highest(fleet, source, now_s) or highest_per_s, now_s
            await asyncio.sleep((AGAIN_S if source is None else source.every_s) * self._chance.uniform(0.9, 1.1))


async def _highest(fleet: FleetKey, source: Source, now_s: float) -> float | None:
    """None where nobody says: the rate now is worth as much without it."""
    try:
        return await source.highest_per_s(now_s)
    except UnreadError as error:
        log.warning("highest rate unknown", extra={"fleet": "/".join(fleet), "because": str(error)})
        return None


def _say(fleet: FleetKey, problem: str) -> None:
    context = {"fleet": "/".join(fleet)}
    if problem:
        log.warning("rate unknown", extra={**context, "because": problem})
    else:
        log.info("rate known", extra=context)
