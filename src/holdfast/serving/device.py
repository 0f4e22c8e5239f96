"""An engine on wall time: one task that lets it advance when its steps are due, and the tickets that wait for it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

from holdfast.serving.engine import Engine, Job, Occupancy, Step


class Ticket:
    """One request on the device, as the coroutine that answers it sees it.

    produced:  outputs so far, of `outputs`.
    arrived_s, first_s, end_s: when it came, when its first output and its last were made, on the monotonic
    clock; NaN until then. They are the engine's own times, not when the event loop got round to them.
    """

    __slots__ = ("_awaited", "_waiter", "abandoned", "arrived_s", "end_s", "first_s", "key", "outputs", "produced")

    def __init__(self, key: int, outputs: int, arrived_s: float) -> None:
        self.key = key
        self.outputs = outputs
        self.arrived_s = arrived_s
        self.first_s = math.nan
        self.end_s = math.nan
        self.produced = 0
        self.abandoned = False
        self._awaited = outputs
        self._waiter: asyncio.Future[None] | None = None

    @property
    def ended(self) -> bool:
        return self.abandoned or self.produced >= self.outputs

    async def reach(self, count: int) -> bool:
        """Wait until at least `count` outputs exist; False when the request is abandoned first."""
        if self.produced < count and not self.abandoned:
            self._awaited = count
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return not self.abandoned

    def advance(self, produced: int) -> None:
        self.produced = produced
        if produced >= self._awaited:
            self._wake()

    def abandon(self) -> None:
        self.abandoned = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Device:
    """Drives `engine`, whose times are wall seconds of the monotonic clock; `on_step` hears of every step."""

    def __init__(self, engine: Engine, on_step: Callable[[Step], None]) -> None:
        self._engine = engine
        self._on_step = on_step
        self._tickets: dict[int, Ticket] = {}
        self._submitted = 0
        self._due_changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def submit(self, prompt_tokens: int, outputs: int) -> Ticket | None:
        """A ticket for the request, or None when the queue is full."""
        now_s = self._advance()
        key = self._submitted
        if not self._engine.submit(Job(key, prompt_tokens, outputs), now_s):
            return None
        self._submitted += 1
        ticket = self._tickets[key] = Ticket(key, outputs, now_s)
        self._idle.clear()
        self._due_changed.set()
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """Give up a request, as when its client has gone. Nothing happens when it has ended."""
        now_s = self._advance()
        if ticket.key in self._tickets:
            self._engine.cancel(ticket.key, now_s)
            self._forget(ticket.key)
            ticket.abandon()

    def occupancy(self) -> Occupancy:
        self._advance()
        return self._engine.occupancy()

    def busy_s(self) -> float:
        """Wall seconds that the device was at work, up to now."""
        return self._engine.busy_s(self._advance())

    @property
    def in_flight(self) -> int:
        return len(self._tickets)

    async def idle(self) -> None:
        """Wait until no request is left on the device."""
        await self._idle.wait()

    async def run(self) -> None:
        """Advance the engine whenever a step is due, for as long as the task lives."""
        loop = asyncio.get_running_loop()
        while True:
            self._due_changed.clear()
            # The clock is monotonic() because uvloop's own counts in whole milliseconds, coarser than a step may be.
            now_s = self._advance()
            wait_s = self._engine.next_s() - now_s
            timer = loop.call_later(wait_s, self._due_changed.set) if wait_s < math.inf else None
            await self._due_changed.wait()
            if timer is not None:
                timer.cancel()

    def _advance(self) -> float:
        now_s = time.monotonic()
        for step in self._engine.advance(now_s):
            self._deliver(step)
        return now_s

    def _deliver(self, step: Step) -> None:
        self._on_step(step)
        tickets = self._tickets
        for key in step.finished:
            tickets[key].end_s = step.end_s
        for key in step.produced:
            ticket = tickets[key]
            if not ticket.produced:
                ticket.first_s = step.end_s
            ticket.advance(ticket.produced + 1)
        for key in step.finished:
            tickets[key].advance(tickets[key].outputs)
            self._forget(key)

    def _forget(self, key: int) -> None:
        del self._tickets[key]
        if not self._tickets:
            self._idle.set()
