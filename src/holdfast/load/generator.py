"""Sending load: open loop at intended times, closed loop at a number in flight.

    Pacer times ---> offer() --\\
                                >--> Client --> Exchange ends --> Recorder row
    concurrency ---> hold()  --/

`offer` never waits for answers, so a slow server cannot slow the load down; what `max_in_flight` holds back counts from
when it should have been sent, and is counted. `hold` starts its users one after another, as a burst of first requests
would measure itself. Both keep the garbage collector off while they send, and measure how long the loop was blocked.
"""

from __future__ import annotations

import asyncio
import functools
import math
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from holdfast.load import prompts, stalls
from holdfast.load.agenda import Agenda
from holdfast.load.answers import Answer
from holdfast.load.http import Client, Exchange
from holdfast.load.loops import ClosedLoop, OpenLoop, Request
from holdfast.load.prompts import Ask, Lengths
from holdfast.load.recipes import Recipe
from holdfast.load.recorder import Recorder
from holdfast.load.stalls import Heartbeat, Stalls
from holdfast.load.supply import MOST_READY, Ready, Supply
from holdfast.model.fleet import Api, Workload
from holdfast.model.records import Floats, Outcome

_TICK_S = 0.05
"""How often time-outs and the stop condition are looked at, and the stock is filled."""

_SETTLE_S = 0.01
"""How often it is looked whether the last answers have come."""

_LATENCY_S = 1.0
"""Taken for the server's latency before anything is known of it: users start over as long as that."""

Stop = Callable[[], bool]
"""Asked now and then; True ends the level early."""

Watch = Callable[[float, Exchange], None]
"""Told of every finished exchange with its intended start (seconds from the run's zero)."""


def _never() -> bool:
    return False


async def _moment(start_s: float | None) -> float:
    """Waits until `start_s`, and gives it back; the present when it is None. On `time.perf_counter`."""
    now_s = time.perf_counter()
    if start_s is None:
        return now_s
    await asyncio.sleep(start_s - now_s)
    return start_s


class Generator:
    """Sends one workload to one client and records every request."""

    def __init__(
        self,
        client: Client,
        workload: Workload,
        model: str,
        recorder: Recorder,
        *,
        seed: int = 0,
        prefix_seed: int | None = None,
        stream: bool = True,
        watch: Watch | None = None,
        asks: Iterator[Ask] | None = None,
        recipe: Recipe | None = None,
    ) -> None:
        """recipe: what prompts are made of. seed, prefix_seed: see prompts.asks.

        asks: what to send instead; a level ends early when they end.
        """
        self._client = client
        self._payload = client.poster(workload.request_path)
        self._streams = stream and workload.api.makes_tokens
        self._anything = workload.api is Api.POST
        self._made = functools.partial(
            prompts.asks, workload, model, seed, prefix_seed=prefix_seed, recipe=recipe, stream=self._streams
        )
        self._supply = Supply(self._made() if asks is None else asks, self._payload)
        self._recorder = recorder
        self._watch = watch
        self._heartbeat = Heartbeat()
        self._in_flight: dict[Exchange, float] = {}  # with their intended starts
        self._open: OpenLoop | None = None
        self._latency_s = _LATENCY_S
        self._on_end = self._ended
        self.sent = 0
        """Requests sent so far."""
        self.held = 0
        """Requests that `max_in_flight` held back since `reset`."""
        self.held_s = 0.0
        """For how long in all."""

    def reset(self) -> None:
        """Begins to count anew what is held back and how long the loop is blocked."""
        self.held, self.held_s = 0, 0.0
        self._heartbeat.stalls = Stalls()

    @property
    def stalls(self) -> Stalls:
        """How long the event loop was blocked while load was sent, since `reset`."""
        return self._heartbeat.stalls

    def without_extensions(self) -> None:
        """From now on leaves out the fields that are vLLM's and not OpenAI's."""
        self._made = functools.partial(self._made, extensions=False)
        self._supply = Supply(self._made(), self._payload)

    def asks(self, lengths: Lengths) -> Iterator[Ask]:
        """Requests as all others of these lengths, which `offer` takes."""
        return self._made(traced=lengths)

    @property
    def in_flight(self) -> int:
        """Requests that wait for their answer, also those that `max_in_flight` holds back."""
        return len(self._in_flight) + (len(self._open.waiting) if self._open is not None else 0)

    def ages_s(self, now_s: float) -> Floats:
        """How long each request in flight or held back has been waited for, from its intended start, at `now_s`."""
        held = self._open.waiting if self._open is not None else ()
        return now_s - np.array([*self._in_flight.values(), *(due_s for _, due_s in held)])

    async def offer(
        self,
        times_s: Floats | Iterator[float],
        *,
        stage: int,
        stop: Stop = _never,
        patience_s: float,
        asks: Iterator[Ask] | None = None,
        think_s: float = 0.0,
        talk_s: float = 0.0,
        max_in_flight: int = 0,
        start_s: float | None = None,
    ) -> None:
        """Sends a request at each of `times_s` (ascending seconds from the start), then waits for the answers.

        times_s:       an array; or an iterator, which is read as it is needed and may be without end.
        patience_s:    how long to wait for answers after the last send before they are cancelled.
        asks:          what to send at these times, for this once.
        think_s:       from an answer of a conversation to its next turn, which is sent beside the scheduled requests.
        talk_s:        until when conversations go on, in seconds from the start; at least to the last of `times_s`.
        max_in_flight: more are not sent but wait their turn, and count from their intended start; 0 for no bound.
        start_s:       the start on `time.perf_counter`; None for now.
        """
        supply = self._supply if asks is None else Supply(asks, self._payload)
        planned = len(times_s) if isinstance(times_s, np.ndarray) else MOST_READY
        await supply.fill(planned)
        start_s = await _moment(start_s)
        with self._sending() as agenda:
            if isinstance(times_s, np.ndarray):
                # An array, of which one number at a time becomes an object.
                dues_s, last_s = iter(array("d", (times_s + start_s).tobytes())), max([talk_s, *times_s[-1:].tolist()])
            else:
                dues_s, last_s = (time_s + start_s for time_s in times_s), math.inf
            end_s = start_s + last_s
            loop = self._open = OpenLoop(
                agenda,
                supply,
                functools.partial(self._send, stage),
                dues_s,
                think_s=think_s,
                talk_end_s=end_s,
                max_in_flight=max_in_flight,
            )
            try:
                while loop.is_scheduling or agenda or loop.waiting or self._in_flight:
                    if self._look(stop):
                        break
                    if not loop.is_scheduling and time.perf_counter() > max(end_s, loop.sent_s) + patience_s:
                        break
                    await supply.fill(planned)
                    await asyncio.sleep(_TICK_S if loop.is_scheduling else _SETTLE_S)
            finally:
                loop.stop()
            self._client.abandon()
            self._cancel(loop, stage)
            self.held += loop.held
            self.held_s += loop.held_s

    async def hold(
        self,
        concurrency: int,
        *,
        duration_s: float,
        requests: int = 0,
        stage: int,
        patience_s: float,
        think_s: float = 0.0,
        stagger_s: float | None = None,
        start_s: float | None = None,
    ) -> None:
        """Keeps `concurrency` users busy for `duration_s` or until `requests` were sent (0: no bound).

        think_s:   from a user's answer to his next request, which is intended for then.
        stagger_s: over how long the users start; by default the time from one of a user's requests to his next, as far
                   as it is known, and at most a tenth of `duration_s`.
        start_s:   when the first starts, on `time.perf_counter`; None for now.
        """
        await self._supply.fill(requests or concurrency)
        if stagger_s is None:
            stagger_s = min(self._latency_s + think_s, duration_s / 10) if concurrency > 1 else 0.0
        start_s = await _moment(start_s)
        with self._sending() as agenda:
            end_s = start_s + duration_s
            loop = ClosedLoop(
                agenda,
                self._supply,
                functools.partial(self._send, stage),
                requests=requests,
                end_s=end_s,
                think_s=think_s,
            )
            for user in range(concurrency):
                agenda.at(start_s + stagger_s * user / concurrency, loop.ask)
            try:
                while (agenda or self._in_flight) and not loop.is_spent and (now_s := time.perf_counter()) < end_s:
                    self._look(_never)
                    await self._supply.fill(concurrency)
                    await asyncio.sleep(min(_SETTLE_S if requests else _TICK_S, max(0.001, end_s - now_s)))
            finally:
                loop.stop()
            give_up_s = time.perf_counter() + patience_s
            # A tick, not an event: every look also expires what has waited too long.
            while self._in_flight and time.perf_counter() < give_up_s and not self._look(_never):  # noqa: ASYNC110
                await asyncio.sleep(_SETTLE_S)
            self._client.abandon()

    @contextmanager
    def _sending(self) -> Iterator[Agenda]:
        agenda = Agenda()
        self._heartbeat.start()
        try:
            with stalls.collector_off():
                yield agenda
        finally:
            self._heartbeat.stop()
            agenda.close()
            self._open = None

    def _send(self, stage: int, ready: Ready, due_s: float, then: Callable[[Request], None]) -> None:
        answer = Answer(streams=self._streams, keep=ready[0].follow is not None, anything=self._anything)
        request = Request(ready, answer, self._on_end, due_s, stage, then)
        self._in_flight[request] = due_s
        self.sent += 1
        self._client.send(request)

    def _ended(self, request: Exchange) -> None:
        assert isinstance(request, Request)
        del self._in_flight[request]
        intended_s = request.due_s - self._recorder.zero_s
        self._recorder.add(request.stage, intended_s, request.ask, request)
        if request.outcome is Outcome.OK:
            self._latency_s = request.end_s - request.sent_s
        if self._watch is not None:
            self._watch(intended_s, request)
        request.then(request)

    def _look(self, stop: Stop) -> bool:
        self._client.expire()
        return stop()

    def _cancel(self, loop: OpenLoop, stage: int) -> None:
        """Records what was still held back when the level ended, as set about and cancelled at that moment."""
        while loop.waiting:
            ready, due_s = loop.waiting.popleft()
            request = Request(ready, Answer(streams=self._streams), self._on_end, due_s, stage, _nothing)
            self._in_flight[request] = due_s
            now_s = request.sent_s = time.perf_counter()
            loop.held_s += now_s - due_s
            request.fail(Outcome.CANCELLED, now_s, "held back by the bound on requests in flight")


def _nothing(_: Request) -> None:
    """Nothing follows."""
