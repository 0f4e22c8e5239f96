"""Holding one level of load against a real server, and measuring it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from holdfast.limits import measured, verdict
from holdfast.limits.measured import Measured
from holdfast.load import pacers, prompts, scrape
from holdfast.load.generator import Generator
from holdfast.load.http import Client, Exchange, Target
from holdfast.load.pacers import Pacer
from holdfast.load.prompts import Ask
from holdfast.load.recipes import Recipe
from holdfast.load.recorder import Recorder
from holdfast.load.rundir import RunDir
from holdfast.load.traces import Trace
from holdfast.model.errors import InputError, UnreachableError
from holdfast.model.fleet import Api, Slo, Workload
from holdfast.model.records import Outcome, RequestTable, Rows
from holdfast.model.stages import Arrivals, ClientHealth, Level


@dataclass(frozen=True)
class Subject:
    """What is measured: a target that answers `model` over the workload's API.

    recipe:     what prompts are made of.
    timeout_s:  for one request, on the wall clock.
    time_scale: an emulated target runs its time this much faster than the wall clock. Levels are given and
                everything is reported in the target's time: a rate of 2/s at a scale of 10 is sent at 20/s.
    """

    unit: str
    target: Target
    workload: Workload
    model: str
    recipe: Recipe = field(default_factory=Recipe)
    headers: tuple[tuple[str, str], ...] = ()
    stream: bool = True
    timeout_s: float = 120.0
    time_scale: float = 1.0


class Bench:
    """One subject under measurement: a client, a generator and the records of all levels so far."""

    def __init__(self, subject: Subject, slo: Slo | None, seed: int = 0, run: RunDir | None = None) -> None:
        """Without an SLO no level ends early, and answers are waited for until they time out.

        run: where requests are recorded as they end; without one they stay in memory.
        """
        self.subject = subject
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
            seed=seed,
            stream=subject.stream,
            watch=self._remember,
            recipe=subject.recipe,
        )
        self._extensions = True
        self._last: Exchange | None = None

    @property
    def _streams(self) -> bool:
        return self.subject.stream and self.subject.workload.api.makes_tokens

    @property
    def requests(self) -> RequestTable:
        """All requests so far, in the target's time from the start of the run."""
        return self._recorder.table()

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
                self._extensions = False
                self._generator.without_extensions()
            elif len(seen) and seen.ok.all():
                break
        else:
            raise self._refusal(seen)
        if self._slo is None:
            return
        if not self._streams and (self._slo.ttft.bounds() or self._slo.itl.bounds()):
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

    def _traced(self, trace: Trace) -> Iterator[Ask]:
        """Requests with the lengths of a trace."""
        subject = self.subject
        return prompts.asks(
            subject.workload,
            subject.model,
            self._seed,
            recipe=subject.recipe,
            traced=trace.lengths(),
            stream=self._streams,
            extensions=self._extensions,
        )

    async def hold(self, level: Level, index: int, pacer: Pacer | None = None) -> Measured:
        """Offers one level and measures it; `pacer` replaces the level's constant rate."""
        before = await scrape.read(self._client)
        first, start_s, scale = len(self._recorder), time.perf_counter(), self.subject.time_scale
        began_s = (start_s - self._recorder.zero_s) * scale
        if self._run is not None:
            self._run.begin(index, level, began_s)
        self._generator.reset()
        cpu_s, opened = time.process_time(), self._client.opened
        await self._offer(level, index, first, pacer)
        cpu = (time.process_time() - cpu_s) / (time.perf_counter() - start_s)
        stalls = self._generator.stalls
        after = await scrape.read(self._client)
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
            utilization=scrape.utilization(before, after),
            time_scale=scale,
        )
        notes = (*seen.stage.notes, *self._notes(rows))
        return replace(seen, stage=replace(seen.stage, notes=notes))

    def _notes(self, rows: Rows) -> Iterator[str]:
        """What the prompts of a level leave to be said."""
        recipe, api = self.subject.recipe, self.subject.workload.api
        ok = np.equal(rows.column("outcome"), Outcome.OK)
        if abs(measured.length_drift(rows, ok, "tokens_in")) > measured.MATERIAL:
            yield recipe.advice(api)
        if recipe.dialogues and len(self._recorder) > recipe.requests:
            times = len(self._recorder) / recipe.requests
            yield f"the prompts of {recipe.source} were sent {times:.1f} times; a prefix cache answers repeats faster"

    async def _offer(self, level: Level, index: int, first: int, pacer: Pacer | None) -> None:
        patience_s, scale = self._patience_s(), self.subject.time_scale
        if level.arrivals is Arrivals.CLOSED:
            assert level.concurrency is not None
            await self._generator.hold(
                level.concurrency,
                duration_s=level.duration_s / scale,
                requests=level.requests,
                stage=index,
                patience_s=patience_s,
                think_s=level.think_s / scale,
            )
            return
        assert level.rate_per_s is not None
        if pacer is None:
            points = pacers.poisson_points if level.arrivals is Arrivals.POISSON else pacers.even_points
            pacer = pacers.Paced(pacers.Constant(level.rate_per_s), points)
        times_s = pacer.times_s(level.duration_s, self._seed + index) / scale
        asks = self._traced(pacer) if isinstance(pacer, Trace) else None

        def lost() -> bool:
            if self._slo is None:
                return False
            ages_s = self._generator.ages_s(time.perf_counter()) * scale
            return verdict.hopeless(self._slo, len(times_s), self._recorder.latencies_s(first), ages_s)

        await self._generator.offer(
            times_s,
            stage=index,
            stop=lost,
            patience_s=patience_s,
            asks=asks,
            think_s=level.think_s / scale,
            talk_s=level.duration_s / scale,
            max_in_flight=level.max_in_flight,
        )

    def _patience_s(self) -> float:
        """How long answers are waited for after the last send: later ones tell nothing more about the SLO.

        Only a bound on the whole latency says how long that is; without one, until they time out.
        """
        bounds = self._slo.latency.bounds() if self._slo is not None else ()
        lost_s = max((4 * bound_s / self.subject.time_scale for _, bound_s in bounds), default=math.inf)
        return min(self.subject.timeout_s, lost_s)

    def _refusal(self, seen: RequestTable) -> InputError:
        workload, where = self.subject.workload, self.subject.target.base
        path, flags = workload.request_path, "--path and --body" if workload.api is Api.POST else "--model and --api"
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
            hint = f"check {flags}" if status in (400, 404, 405, 415, 422) else "look at the server's log"
            said = last.answer.complaint()
            return InputError(
                f"POST {path} was answered with HTTP {status}{f' ({said})' if said else ''}", where=where, mend=hint
            )
        if outcome is Outcome.MALFORMED and self._streams and b"json" in last.headers.get(b"content-type", b""):
            return InputError(f"POST {path} does not stream its answer", where=where, mend="try --no-stream")
        waited = f"no complete answer came within {self.subject.timeout_s:g} s"
        ways = {
            Outcome.RESET: "the connection was closed before an answer began",
            Outcome.TRUNCATED: "the answer began and stopped before its end",
            Outcome.TIMEOUT: waited,
            Outcome.CANCELLED: waited,
            Outcome.MALFORMED: f"the answer is not one of the {workload.api.value} API",
            Outcome.EXHAUSTED: "this machine has no file descriptor or port left",
        }
        return InputError(
            f"POST {path}: {ways[outcome]}", where=where, mend=f"look at the server's log, and at {flags}"
        )
