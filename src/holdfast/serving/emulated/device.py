"""An engine on wall time: one task that lets it advance when its steps are due, and the tickets that wait for it."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Protocol

from holdfast.serving.emulated.engine import Engine, Job, Step
from holdfast.serving.occupancy import Occupancy


class Ticket:
    """One request on the device, as the coroutine that answers it sees it.

    produced:  outputs so far, of `outputs`.
    arrived_s, admitted_s, first_s, end_s: when it came, left the queue, when its first output and its last were made,
    on the monotonic clock; NaN until then. They are the engine's own times, not when the event loop got round to them.
    preempted_s: when it had to wait again; NaN unless it does.
    """

    __slots__ = (
        "_awaited", "_waiter", "abandoned", "admitted_s", "arrived_s", "end_s", "first_s", "key", "outputs",
        "preempted_s", "produced", "prompt_tokens",
    )  # fmt: skip

    def __init__(self, job: Job, arrived_s: float) -> None:
        outputs = job.outputs
        self.key = job.key
        self.prompt_tokens = job.prompt_tokens
        self.outputs = outputs
        self.arrived_s = arrived_s
        self.admitted_s = math.nan
        self.first_s = math.nan
        self.preempted_s = math.nan
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


class Listener(Protocol):
    """Who hears of what the device does."""

    def step_ended(self, step: Step) -> None:
        """A step has ended."""

    def prefilled(self, prompt_tokens: int) -> None:
        """A request of so many prompt tokens got its first output."""

    def resumed(self, gap_s: float) -> None:
        """A preempted request got its next output so long after its last."""


class Device:
    """Drives `engine`, whose times are wall seconds of the monotonic clock."""

    def __init__(self, engine: Engine, listener: Listener) -> None:
        self._engine = engine
        self._listener = listener
        self._tickets: dict[int, Ticket] = {}
        self._submitted = 0
        self._due_changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def submit(self, prompt_tokens: int, outputs: int, names: tuple[int, ...] = ()) -> Ticket | None:
        """A ticket for the request, or None when the queue is full. names: as in `engine.Job`."""
        now_s = self._advance()
        job = Job(self._submitted, prompt_tokens, outputs, names)
        if not self._engine.submit(job, now_s):
            return None
        self._submitted += 1
        ticket = self._tickets[job.key] = Ticket(job, now_s)
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

    def stall(self, for_s: float) -> None:
        """Stand still for so many wall seconds."""
        self._engine.stall(for_s, self._advance())
        self._due_changed.set()

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
        self._listener.step_ended(step)
        tickets = self._tickets
        for key in step.preempted:
            self._preempt(key, step.start_s)
        for key in step.admitted:
            self._admit(key, step.start_s)
        for key in step.began:
            self._begin(tickets[key], step.end_s)
        for key in step.finished:
            tickets[key].end_s = step.end_s
        for key in step.produced:
            ticket = tickets[key]
            ticket.advance(ticket.produced + 1)
        for key in step.finished:
            tickets[key].advance(tickets[key].outputs)
            self._forget(key)

    def _preempt(self, key: int, at_s: float) -> None:
        # Between the start of a step and its end its client may have gone.
        ticket = self._tickets.get(key)
        if ticket is not None and ticket.produced:
            ticket.preempted_s = at_s

    def _admit(self, key: int, at_s: float) -> None:
        ticket = self._tickets.get(key)
        if ticket is not None and math.isnan(ticket.admitted_s):
            ticket.admitted_s = at_s

    def _begin(self, ticket: Ticket, at_s: float) -> None:
        if not ticket.produced:
            ticket.first_s = at_s
            self._listener.prefilled(ticket.prompt_tokens)
        else:
            self._listener.resumed(at_s - ticket.preempted_s)

    def _forget(self, key: int) -> None:
        del self._tickets[key]
        if not self._tickets:
            self._idle.set()
