"""Holding one level of load against a real server, and measuring it."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass
from typing import Protocol

from holdfast.limits import measured, verdict
from holdfast.limits.measured import Measured
from holdfast.load import pacers, scrape
from holdfast.load.generator import Generator
from holdfast.load.http import Client, Exchange, Target
from holdfast.load.journal import Journal
from holdfast.load.recorder import Recorder
from holdfast.load.shards import WHOLE, Shard
from holdfast.model.errors import InputError, UnreachableError
from holdfast.model.fleet import Slo, Workload
from holdfast.model.records import Outcome, RequestTable
from holdfast.model.stages import Arrivals, ClientHealth, Level

READY_S = 0.3
"""Before a level that starts at a given moment: to look at the target's metrics and to make the first requests."""


@dataclass(frozen=True)
class Subject:
    """What is measured: a target that answers `model` over the workload's API.

    timeout_s:  for one request, on the wall clock.
    time_scale: an emulated target runs its time this much faster than the wall clock. Levels are given and
                everything is reported in the target's time: a rate of 2/s at a scale of 10 is sent at 20/s.
    """

    unit: str
    target: Target
    workload: Workload
    model: str
    headers: tuple[tuple[str, str], ...] = ()
    stream: bool = True
    timeout_s: float = 120.0
    time_scale: float = 1.0


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


class Bench:
    """One subject under measurement: a client, a generator and the records of all levels so far."""

    def __init__(
        self,
        subject: Subject,
        slo: Slo | None,
        seed: int = 0,
        run: Log | None = None,
        *,
        shard: Shard = WHOLE,
        part: int = 0,
    ) -> None:
        """Without an SLO no level ends early, and answers are waited for until they time out.

        run:   where requests are recorded as they end; without one they stay in memory.
        shard: the part of each level that is sent from here. part: of a resumed run, how often it was (see shards).
        """
        self.subject = subject
        self._shard = shard
        self._slo = slo
        self._seed = seed
        self._client = Client(subject.target, timeout_s=subject.timeout_s, headers=dict(subject.headers))
        self._run = run
        self._recorder = Recorder(
            time.perf_counter() if run is None else run.zero_s, None if run is None else run.journal, subject.time_scale
        )
        self._generator = Generator(
            self._client,
            subject.workload,
            subject.model,
            self._recorder,
            seed=shard.seed(seed, part),
            stream=subject.stream,
            watch=self._remember,
        )
        self._last: Exchange | None = None

    @property
    def requests(self) -> RequestTable:
        """All requests so far, in the target's time from the start of the run."""
        return self._recorder.table()

    def flush(self) -> None:
        """Returns when all rows so far are in the journal."""
        self._recorder.rows()

    async def close(self) -> None:
        await self._client.close()
        self._recorder.close()

    async def preflight(self) -> None:
        """One request at a time until one succeeds, a few at most. Raises UnreachableError or InputError.

        A server that refuses fields it does not know is asked again without vLLM's.
        """
        for _ in range(3):
            seen = await self._one()
            if len(seen) and int(seen.status[-1]) in (400, 422):
                self._generator.without_extensions()
            elif len(seen) and seen.ok.all():
                break
        else:
            raise self._refusal(seen)
        streams = self.subject.stream and self.subject.workload.api.makes_tokens
        if self._slo is None:
            return
        if not streams and (self._slo.ttft.bounds() or self._slo.itl.bounds()):
            raise InputError("the SLO bounds the stream, and the answers do not stream", mend="bound the latency")
        if self._slo.utilization is not None and (await scrape.read(self._client)).busy_s is None:
            raise InputError(
                "the SLO bounds the utilisation, and the target publishes none at /metrics",
                where=self.subject.target.base,
                mend="leave out that bound",
            )

    async def _one(self) -> RequestTable:
        first, timeout_s = len(self._recorder), self.subject.timeout_s
        await self._generator.hold(1, duration_s=timeout_s, requests=1, stage=-1, patience_s=timeout_s)
        return self._recorder.table(first)

    def _remember(self, _: float, exchange: Exchange) -> None:
        self._last = exchange

    async def hold(
        self, level: Level, index: int, shape: pacers.Shape | None = None, start_s: float | None = None
    ) -> Measured:
        """Offers one level, or this shard's part of it, and measures it.

        index: below 0 for rows that are of no level. shape: replaces the level's constant rate.
        start_s: when the level starts, on `time.perf_counter`; None: now.
        """
        if start_s is not None:
            await asyncio.sleep(start_s - READY_S - time.perf_counter())
        before = await scrape.read(self._client)
        first, now_s, scale = len(self._recorder), time.perf_counter(), self.subject.time_scale
        began_s = ((now_s if start_s is None else start_s) - self._recorder.zero_s) * scale
        if self._run is not None and index >= 0:
            self._run.begin(index, level, began_s)
        cpu_s = time.process_time()
        await self._offer(level, index, shape, start_s)
        cpu = (time.process_time() - cpu_s) / (time.perf_counter() - now_s)
        after = await scrape.read(self._client)
        return measured.measure(
            self._recorder.rows(first, began_s),
            level,
            index,
            client=ClientHealth(cpu=cpu),
            slo=self._slo,
            utilization=scrape.utilization(before, after),
            time_scale=scale,
        )

    async def _offer(self, level: Level, index: int, shape: pacers.Shape | None, start_s: float | None) -> None:
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
                start_s=start_s,
            )
            return
        assert level.rate_per_s is not None
        points = pacers.poisson_points if level.arrivals is Arrivals.POISSON else pacers.even_points
        shape = shape or pacers.Constant(level.rate_per_s)
        times_s = self._shard.times(pacers.schedule(shape, level.duration_s, self._seed + index, points)) / scale

        def lost() -> bool:
            if self._slo is None:
                return False
            ages_s = self._generator.ages_s(time.perf_counter()) * scale
            return verdict.hopeless(self._slo, len(times_s), self._recorder.latencies_s(), ages_s)

        await self._generator.offer(times_s, stage=index, stop=lost, patience_s=patience_s, start_s=start_s)

    def _patience_s(self) -> float:
        """How long answers are waited for after the last send: later ones tell nothing more about the SLO.

        Only a bound on the whole latency says how long that is; without one, until they time out.
        """
        bounds = self._slo.latency.bounds() if self._slo is not None else ()
        lost_s = max((4 * bound_s / self.subject.time_scale for _, bound_s in bounds), default=math.inf)
        return min(self.subject.timeout_s, lost_s)

    def _refusal(self, seen: RequestTable) -> InputError:
        where, path, api = self.subject.target.base, self.subject.workload.api.path, self.subject.workload.api.value
        last = self._last
        if not len(seen) or last is None:
            return UnreachableError("no request could be sent", where=where, mend="mend the URL")
        outcome, status = Outcome(int(seen.outcome[-1])), int(seen.status[-1])
        if outcome is Outcome.CONNECT:
            reason = f" ({last.error})" if last.error else ""
            return UnreachableError(
                f"no connection to the endpoint{reason}", where=where, mend="start it, or mend the URL"
            )
        if outcome in (Outcome.HTTP_ERROR, Outcome.REJECTED):
            hint = "check --model and --api" if status in (400, 404, 422) else "look at the server's log"
            said = last.answer.complaint()
            return InputError(
                f"POST {path} was answered with HTTP {status}{f' ({said})' if said else ''}", where=where, mend=hint
            )
        streams = self.subject.stream and self.subject.workload.api.makes_tokens
        if outcome is Outcome.MALFORMED and streams and b"json" in last.headers.get(b"content-type", b""):
            return InputError(f"POST {path} does not stream its answer", where=where, mend="try --no-stream")
        waited = f"no complete answer came within {self.subject.timeout_s:g} s"
        ways = {
            Outcome.RESET: "the connection was closed before an answer began",
            Outcome.TRUNCATED: "the answer began and stopped before its end",
            Outcome.TIMEOUT: waited,
            Outcome.CANCELLED: waited,
            Outcome.MALFORMED: f"the answer is not one of the {api} API",
            Outcome.EXHAUSTED: "this machine has no file descriptor or port left",
        }
        return InputError(f"POST {path}: {ways[outcome]}", where=where, mend="look at the server's log, and at --api")
