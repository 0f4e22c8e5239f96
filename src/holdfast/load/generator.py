"""Sending load: open loop at intended times, closed loop at a number in flight.

    Pacer times ---> offer() --\\
                                >--> Client --> Exchange ends --> Recorder row
    concurrency ---> hold()  --/

`offer` never waits for answers, so a slow server cannot slow the load down. `hold` starts its users at once; the
burst is cut off with the warm-up.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import time
from collections.abc import Callable, Iterator

import numpy as np

from holdfast.load import prompts
from holdfast.load.answers import Answer
from holdfast.load.http import Client, Exchange
from holdfast.load.prompts import Ask
from holdfast.load.recorder import Recorder
from holdfast.model.fleet import Api, Workload
from holdfast.model.records import Floats, Outcome

_PREPARED = 512
"""Bodies serialised before a level starts; beyond that they are made as they are sent (about 30 us per 200 words)."""

_SLICE = 8
"""Bodies made in one go: well below a millisecond."""

_TICK_S = 0.05
"""How often time-outs and the stop condition are looked at."""

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
        stream: bool = True,
        watch: Watch | None = None,
    ) -> None:
        self._client = client
        self._path = workload.api.path
        self._streams = stream and workload.api is not Api.IMAGES
        self._make = functools.partial(prompts.asks, workload, model, seed, stream=self._streams)
        self._asks = self._make()
        self._recorder = recorder
        self._watch = watch
        self._intended: dict[Exchange, float] = {}

    def without_extensions(self) -> None:
        """From now on leaves out the fields that are vLLM's and not OpenAI's."""
        self._asks = self._make(extensions=False)

    def ages_s(self, now_s: float) -> Floats:
        """How long each request in flight has been waited for, from its intended start, at `now_s`."""
        return now_s - np.array(list(self._intended.values()))

    async def offer(
        self,
        times_s: Floats,
        *,
        stage: int,
        stop: Stop = _never,
        patience_s: float,
        start_s: float | None = None,
    ) -> None:
        """Sends a request at each of `times_s` (seconds from `start_s` or now on), then waits for the answers.

        patience_s: how long to wait for answers after the last send before they are cancelled.
        start_s: on `time.perf_counter`; nothing is sent before.
        """
        ready = await self._prepare(len(times_s))
        start_s = await _moment(start_s)
        looked_s = start_s
        for offset_s in times_s:
            due_s = start_s + float(offset_s)
            while (left_s := due_s - time.perf_counter()) > 0:
                await asyncio.sleep(min(left_s, _TICK_S))
                if self._look(stop):
                    self._client.abandon()
                    return
            # A load that is always behind its schedule never sleeps, so it has to look here too.
            if time.perf_counter() - looked_s > _TICK_S:
                looked_s = time.perf_counter()
                await asyncio.sleep(0)
                if self._look(stop):
                    self._client.abandon()
                    return
            self._send(next(ready), stage, due_s)
        await self._settle(stop, patience_s)

    async def hold(
        self,
        concurrency: int,
        *,
        duration_s: float,
        requests: int = 0,
        stage: int,
        patience_s: float,
        start_s: float | None = None,
    ) -> None:
        """Keeps `concurrency` requests in flight for `duration_s` or until `requests` were sent (0: no bound)."""
        ready = await self._prepare(requests or concurrency)
        start_s = await _moment(start_s)
        end_s = start_s + duration_s
        left = requests or -1

        def start() -> None:
            nonlocal left
            now_s = time.perf_counter()
            if left != 0 and now_s < end_s:
                left -= 1
                self._send(next(ready), stage, now_s, again)

        def again(exchange: Exchange) -> None:
            # Through the loop, not from within the callback that ended the last one; and not at once after a
            # refused connection, which takes no time and would make the user spin.
            if exchange.outcome is Outcome.CONNECT:
                loop.call_later(_TICK_S, start)
            else:
                loop.call_soon(start)

        loop = asyncio.get_running_loop()
        for _ in range(concurrency):
            start()
        while time.perf_counter() < end_s and left != 0:
            await asyncio.sleep(min(_TICK_S, max(0.001, end_s - time.perf_counter())))
            self._look(_never)
        end_s = 0.0
        await self._settle(_never, patience_s)

    async def _prepare(self, count: int) -> Iterator[tuple[Ask, bytes]]:
        def make() -> Iterator[tuple[Ask, bytes]]:
            for ask in self._asks:
                yield ask, self._client.payload(self._path, ask.body)

        pieces, first = make(), list[tuple[Ask, bytes]]()
        while len(first) < min(count, _PREPARED):
            first += itertools.islice(pieces, _SLICE)
            await asyncio.sleep(0)  # others measure on this loop, too
        return itertools.chain(first, pieces)

    def _send(
        self, ready: tuple[Ask, bytes], stage: int, due_s: float, then: Callable[[Exchange], None] | None = None
    ) -> None:
        ask, payload = ready
        intended_s = due_s - self._recorder.zero_s

        def ended(exchange: Exchange) -> None:
            del self._intended[exchange]
            self._recorder.add(stage, intended_s, ask, exchange)
            if self._watch is not None:
                self._watch(intended_s, exchange)
            if then is not None:
                then(exchange)

        exchange = Exchange(payload, Answer(streams=self._streams), ended)
        self._intended[exchange] = due_s
        self._client.send(exchange)

    def _look(self, stop: Stop) -> bool:
        self._client.expire()
        return stop()

    async def _settle(self, stop: Stop, patience_s: float) -> None:
        give_up_s = time.perf_counter() + patience_s
        # A tick, not an event: every look also expires what has waited too long.
        while self._intended and time.perf_counter() < give_up_s and not self._look(stop):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        self._client.abandon()
