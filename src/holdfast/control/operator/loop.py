"""The operator: it stands for election, watches, and runs a loop for each fleet while it leads.

    standing for election --elected--> leading: a loop for each fleet --deposed--> standing for election
                                               --stop--> last looks --> the lease given back

Who does not lead watches all the same, and writes nothing: it takes over with what it has seen. What it does first then
is to stamp every route with its term, so that what its predecessor sends late is refused. A watch or a Leadership that
ends with an error ends the operator: Kubernetes starts another.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Sequence

from holdfast.control.operator import office
from holdfast.control.operator.fleet_loop import FleetLoop
from holdfast.control.operator.keeping.act import Writer
from holdfast.control.operator.metrics.readings import Readings, SourceOf
from holdfast.control.operator.plans.planned import Planned
from holdfast.control.operator.plans.planner import Planner
from holdfast.control.operator.seeing.sight import FleetKey, Sight
from holdfast.control.operator.seeing.watches import Watches
from holdfast.control.operator.steering import Steering
from holdfast.control.operator.telling.exported import Exported
from holdfast.control.operator.telling.teller import Teller
from holdfast.kube.connection import Connection
from holdfast.kube.leases import Leadership

LAST_LOOKS_S = 2.0
"""How long looks that are going on may take when the operator is to stop, which with all the rest takes at most 5 s."""

BEAT_S = 1.0

log = logging.getLogger("holdfast.operator")


class Operator:
    """One replica of the operator.

    leadership: None on trial: then nothing is written. source_of: where the rate of a fleet is read. instance: a name
    for the replica, a pod. namespaces: that are watched for fleets; all where there are none. clock: Unix seconds.
    chance: of the jitter between attempts.
    """

    def __init__(
        self,
        connection: Connection,
        leadership: Leadership | None,
        planner: Planner,
        source_of: SourceOf,
        *,
        instance: str,
        namespaces: Sequence[str] = (),
        clock: Callable[[], float],
        chance: random.Random,
    ) -> None:
        self.exported = Exported()
        self._connection, self._leadership, self._planner = connection, leadership, planner
        self._instance, self._clock, self._chance = instance, clock, chance
        self._office = office.ON_TRIAL if leadership is None else office.held(leadership, clock)
        self._sight = Sight()
        self._watches = Watches(connection, self._sight, namespaces=namespaces, clock=clock, changed=self._changed)
        self._readings = Readings(source_of, clock=clock, chance=chance, changed=lambda fleet: self._changed((fleet,)))
        self._turn = asyncio.Event() if leadership is None else leadership.changed
        self._stopping = False
        self._fleets: asyncio.TaskGroup | None = None
        self._loops: dict[FleetKey, tuple[FleetLoop, asyncio.Task[None]]] = {}
        self._beat_s = clock()

    def stop(self) -> None:
        """To end: looks that are going on are finished, and the lease is given back."""
        self._stopping = True
        self._turn.set()

    @property
    def beat_age_s(self) -> float:
        """Since the operator last did anything."""
        return self._clock() - self._beat_s

    @property
    def unready(self) -> str:
        """What it still waits for; empty when nothing."""
        unlisted = self._watches.unlisted
        return f"not listed yet: {', '.join(unlisted)}" if unlisted else ""

    async def run(self) -> None:
        """Until it is stopped. Raises what a watch or the leadership ended with."""
        async with asyncio.TaskGroup() as group:
            others = [
                group.create_task(self._watches.run(), name="watches"),
                group.create_task(self._readings.run(), name="readings"),
                group.create_task(self._beat(), name="beat"),
            ]
            standing = None
            if self._leadership is not None:
                standing = group.create_task(self._leadership.run(), name="leadership")
            while not self._stopping:
                if self._office.leads():
                    await self._lead()
                else:
                    await self._turned()
            for task in others:
                task.cancel()
            if standing is not None:
                standing.cancel()

    async def _lead(self) -> None:
        """A loop for each fleet, until we lead no more or are to stop."""
        log.info("leading", extra={"instance": self._instance})
        self.exported.lead(True)
        try:
            async with asyncio.TaskGroup() as fleets:
                self._fleets = fleets
                self._changed(tuple(self._sight.fleets))
                while self._office.leads() and not self._stopping:
                    await self._turned()
                self._fleets = None
                if self._office.leads():
                    await self._last_looks()
                for _, task in self._loops.values():
                    task.cancel()
        finally:
            self._fleets = None
            self._loops.clear()
            self.exported.lead(False)
            log.info("leading no longer", extra={"instance": self._instance})

    async def _last_looks(self) -> None:
        for loop, _ in self._loops.values():
            loop.end()
        if self._loops:
            await asyncio.wait([task for _, task in self._loops.values()], timeout=LAST_LOOKS_S)

    async def _turned(self) -> None:
        await self._turn.wait()
        self._turn.clear()

    async def _beat(self) -> None:
        while True:
            self._beat_s = self._clock()
            await asyncio.sleep(BEAT_S)

    def _changed(self, fleets: Iterable[FleetKey]) -> None:
        """Something new was told of these: loops begin, look, and end."""
        for key in fleets:
            if key not in self._sight.fleets:
                self._end(key)
            elif key in self._loops:
                self._loops[key][0].changed()
            elif self._fleets is not None:
                self._begin(key, self._fleets)

    def _begin(self, key: FleetKey, fleets: asyncio.TaskGroup) -> None:
        loop = FleetLoop(
            key,
            sight=self._sight,
            watches=self._watches,
            planned=Planned(
                self._connection,
                self._office,
                self._planner,
                clock=self._clock,
                changed=lambda: self._changed((key,)),
            ),
            readings=self._readings,
            steering=Steering(
                Writer(self._connection, self._office, clock=self._clock, chance=self._chance), self._office
            ),
            teller=Teller(self._connection, self._office, self.exported, instance=self._instance),
            exported=self.exported,
            clock=self._clock,
            chance=self._chance,
        )
        self._loops[key] = loop, fleets.create_task(loop.run(), name=f"fleet {'/'.join(key)}")

    def _end(self, key: FleetKey) -> None:
        if key in self._loops:
            self._loops.pop(key)[1].cancel()
        self._readings.forget(key)
        self.exported.forget(*key)
