"""Holding one level of load against a real server, and measuring it."""

from __future__ import annotations

import asyncio
import math
import time
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from holdfast.limits import measured, verdict
from holdfast.limits.measured import Measured
from holdfast.load import pacers, summary
from holdfast.load.generator import Generator
from holdfast.load.http import Client, Exchange
from holdfast.load.journal import Journal
from holdfast.load.pacers import Pacer
from holdfast.load.recorder import Recorder
from holdfast.load.refusal import refusal
from holdfast.load.scrape import Scraper, Source
from holdfast.load.shards import WHOLE, Shard
from holdfast.load.subject import Subject
from holdfast.load.tally import Batch, Glance, Tally
from holdfast.load.traces import Trace
from holdfast.model.errors import InputError
from holdfast.model.fleet import Slo
from holdfast.model.records import Outcome, RequestTable, Rows
from holdfast.model.server import Point
from holdfast.model.stages import Arrivals, ClientHealth, Level

READY_S = 0.3
"""Before a level that starts at a given moment: to look at the target's metrics and to make the first requests."""


class Log(Protocol):
    """Where a bench records what happens: a run directory, or a worker's line to its crew."""

    @property
    def zero_s(self) -> float:
        """The zero of the rows on `time.perf_counter`."""

    @property
    def journal(self) -> Journal:
        """Where the rows go."""

    def begin(self, index: int, level: Level, began_s: float) -> None:
        """A level begins, `began_s` after the zero, in the target's time."""

    def observe(self, points: Sequence[Point]) -> None:
        """The server or a device said something of itself. Called from another thread."""


class Bench:
    """One subject under measurement: a client, a generator and the records of all levels so far."""

    def __init__(
        self,
        subject: Subject,
        slo: Slo | None,
        seed: int = 0,
        run: Log | None = None,
        *,
        judges: bool = True,
        sources: Sequence[Source] | None = None,
        shard: Shard = WHOLE,
        part: int = 0,
    ) -> None:
        """slo: what goodput is held against.

        run:     where requests are recorded as they end; without one they stay in memory.
        judges:  levels are held to be judged by the SLO: one that has lost it ends early, and answers that come too
                 late to tell anything are not waited for. Else, and without an SLO, until they time out.
        sources: the metrics to read meanwhile, by default the target's own.
        shard:   the part of each level that is sent from here. part: of a resumed run, how often it was (see shards).
        """
        self.subject = subject
        self._slo = slo
        self._judged = slo if judges else None
        self._shard = shard
        self._seed = seed
        self._client = Client(subject.target, timeout_s=subject.timeout_s, headers=dict(subject.headers))
        self._run = run
        self.tally = Tally(subject.unit, subject.time_scale)
        self._recorder = Recorder(
            time.perf_counter() if run is None else run.zero_s,
            None if run is None else run.journal,
            subject.time_scale,
            self._count,
        )
        self._generator = Generator(
            self._client,
            subject.workload,
            subject.model,
            self._recorder,
            seed=shard.seed(seed, part),
            prefix_seed=seed,
            stream=subject.stream,
            watch=self._remember,
            recipe=subject.recipe.part(shard),
        )
        self._scraper = Scraper(
            (subject.metrics,) if sources is None else sources,
            self._recorder.zero_s,
            time_scale=subject.time_scale,
            keep=None if run is None else run.observe,
        )
        self._last: Exchange | None = None
        self._ended: int | None = None
        self.lost = False
        """Whether the last level was given up, as its SLO was lost whatever the rest of it brought."""
        self._latencies_s = array("d")  # of the level that is held, where they may end it

    @property
    def requests(self) -> RequestTable:
        """All requests so far, in the target's time from the start of the run."""
        return self._recorder.table()

    @property
    def sent(self) -> int:
        """Requests sent so far."""
        return self._generator.sent

    @property
    def in_flight(self) -> int:
        """Requests that wait for their answer."""
        return self._generator.in_flight

    def now_s(self) -> float:
        """The run's clock, in the target's time."""
        return (time.perf_counter() - self._recorder.zero_s) * self.subject.time_scale

    def glance(self) -> Glance:
        """The last ten seconds. Ask about once a second."""
        return self.tally.glance(self.now_s(), self.sent, self.in_flight)

    def flush(self) -> None:
        """Returns when all rows so far are in the journal."""
        self._recorder.rows()

    async def close(self) -> None:
        await self._client.close()
        await self._scraper.close()
        self._recorder.close()

    async def preflight(self) -> None:
        """One request at a time until one succeeds, a few at most. Raises UnreachableError or InputError.

        A server that refuses fields it does not know is asked again without vLLM's.
        """
        for _ in range(3):
            last = await self._one()
            if last is not None and last.status in (400, 422):
                self._generator.without_extensions()
            elif last is not None and last.outcome is Outcome.CONNECT:
                raise refusal(self.subject, last)
            elif last is not None and last.outcome is Outcome.OK:
                break
        else:
            raise refusal(self.subject, last)
        tells_utilization = await self._scraper.check()
        if self._judged is not None:
            check_slo(self._judged, self.subject, tells_utilization=tells_utilization)

    async def hold(
        self, level: Level, index: int, pacer: Pacer | None = None, start_s: float | None = None
    ) -> Measured:
        """Offers one level, or this shard's part of it, and measures it.

        index:   below 0 for rows that are of no level.
        pacer:   replaces the level's constant rate.
        start_s: when the level starts, on `time.perf_counter`; None: now.
        """
        if start_s is not None:
            await asyncio.sleep(start_s - READY_S - time.perf_counter())
        async with self._scraper.watching():
            first, now_s, scale = len(self._recorder), time.perf_counter(), self.subject.time_scale
            began_s = ((now_s if start_s is None else start_s) - self._recorder.zero_s) * scale
            if self._run is not None and index >= 0:
                self._run.begin(index, level, began_s)
            self._generator.reset()
            self.lost, self._latencies_s = False, array("d")
            cpu_s, opened = time.process_time(), self._client.opened
            await self._offer(level, index, pacer, start_s)
            cpu = (time.process_time() - cpu_s) / (time.perf_counter() - now_s)
        stalls = self._generator.stalls
        rows = self._recorder.rows(first, began_s)
        seen = measured.measure(
            rows,
            level,
            index,
            client=ClientHealth(
                cpu=cpu,
                stall_max_s=stalls.worst_s,
                stalls=stalls.count,
                held=self._generator.held,
                connections=self._client.opened - opened,
            ),
            slo=self._slo,
            time_scale=scale,
        )
        stage = replace(seen.stage, notes=(*seen.stage.notes, *prompt_notes(self.subject, rows, len(self._recorder))))
        return replace(seen, stage=summary.with_server(stage, self._scraper.points, began_s))

    def end(self, index: int) -> None:
        """Gives level `index` up, if it is an open loop that is held now or begins later."""
        self._ended = index

    async def keep_up(self, times_s: Iterator[float], think_s: float = 0.0) -> None:
        """Offers a load that need not end: a request at each of `times_s`, in the target's time from now on.

        What becomes of it is in the tally.
        """
        scale = self.subject.time_scale
        await self._generator.offer(
            (time_s / scale for time_s in times_s), stage=0, patience_s=self._patience_s(), think_s=think_s / scale
        )

    async def _one(self) -> Exchange | None:
        """One request and what became of it; None when not even that could be."""
        self._last, timeout_s = None, self.subject.timeout_s
        await self._generator.hold(1, duration_s=timeout_s, requests=1, stage=-1, patience_s=timeout_s)
        return self._last

    def _remember(self, intended_s: float, exchange: Exchange) -> None:
        self._last = exchange
        if self._judged is not None and exchange.outcome is Outcome.OK:
            self._latencies_s.append(exchange.end_s - self._recorder.zero_s - intended_s)

    def _count(self, batch: Batch) -> None:
        self.tally.take(batch, self.now_s())

    async def _offer(self, level: Level, index: int, pacer: Pacer | None, start_s: float | None) -> None:
        patience_s, scale = self._patience_s(), self.subject.time_scale
        if level.arrivals is Arrivals.CLOSED:
            assert level.concurrency is not None
            requests = self._shard.requests(level.requests, level.concurrency)
            if level.requests and not requests:
                return  # fewer requests than shards; and 0 would mean no bound
            await self._generator.hold(
                self._shard.users(level.concurrency),
                duration_s=level.duration_s / scale,
                requests=requests,
                stage=index,
                patience_s=patience_s,
                think_s=level.think_s / scale,
                start_s=start_s,
            )
            return
        assert level.rate_per_s is not None
        if pacer is None:
            points = pacers.poisson_points if level.arrivals is Arrivals.POISSON else pacers.even_points
            pacer = pacers.Paced(pacers.Constant(level.rate_per_s), points)
        times_s = self._shard.times(pacer.times_s(level.duration_s, self._seed + index)) / scale

        def over() -> bool:
            self.lost = self._is_lost(len(times_s))
            return self.lost or self._ended == index

        await self._generator.offer(
            times_s,
            stage=index,
            stop=over,
            patience_s=patience_s,
            asks=self._generator.asks(self._shard.lengths(pacer.lengths())) if isinstance(pacer, Trace) else None,
            think_s=level.think_s / scale,
            talk_s=level.duration_s / scale,
            max_in_flight=self._shard.bound(level.max_in_flight),
            start_s=start_s,
        )

    def _is_lost(self, planned: int) -> bool:
        if self._judged is None:
            return False
        scale, ages_s = self.subject.time_scale, self._generator.ages_s(time.perf_counter())
        return verdict.hopeless(self._judged, planned, np.array(self._latencies_s) * scale, ages_s * scale)

    def _patience_s(self) -> float:
        """How long answers are waited for after the last send: later ones tell nothing more about the SLO.

        Only a bound on the whole latency says how long that is; without one, until they time out.
        """
        bounds = self._judged.latency.bounds() if self._judged is not None else ()
        lost_s = max((4 * bound_s / self.subject.time_scale for _, bound_s in bounds), default=math.inf)
        return min(self.subject.timeout_s, lost_s)


def check_slo(slo: Slo, subject: Subject, *, tells_utilization: bool) -> None:
    """Raises InputError for a bound on what cannot be seen of the subject."""
    if not subject.streams and (slo.ttft.bounds() or slo.itl.bounds()):
        raise InputError("the SLO bounds the stream, and the answers do not stream", mend="bound the latency")
    if slo.utilization is not None and not tells_utilization:
        raise InputError(
            "the SLO bounds the utilisation, and the target publishes none at /metrics",
            where=subject.target.base,
            mend="name its exporter with --scrape, or leave out that bound",
        )


def prompt_notes(subject: Subject, rows: Rows, sent: int) -> Iterator[str]:
    """What the prompts of a level leave to be said, when `sent` requests of the run are over with it."""
    recipe, api = subject.recipe, subject.workload.api
    ok = np.equal(rows.column("outcome"), Outcome.OK)
    if abs(measured.length_drift(rows, ok, "tokens_in")) > measured.MATERIAL:
        yield recipe.advice(api)
    if recipe.dialogues and sent > recipe.requests:
        times = sent / recipe.requests
        yield f"the prompts of {recipe.source} were sent {times:.1f} times; a prefix cache answers repeats faster"
