"""Several processes that hold a level together, as one bench would.

    Crew --(job, levels)--> worker 0: shard 0/n, its own connections, loop, records
         <--(rows)--------- worker 1: shard 1/n
                            ...

No word is said about a single request. The workers start a level together at a moment on the monotonic clock, which
the processes of one machine share, and each sends its part of the one schedule (see shards). Their rows are put
together and measured as one table, so every percentile is exact; the client's health is the worst worker's. The crew
itself reads the metrics of the target, once for all.

A level that is judged may be lost before its end. Each worker judges its own part, and the first that has lost it ends
the level for all: as the parts are every nth request of one schedule, what is late in one is late in the others. The
fewer requests a part has, the larger the share of them that must be late (see verdict.hopeless).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from holdfast.limits import measured
from holdfast.limits.measured import Measured
from holdfast.load import merging, messages, summary
from holdfast.load.bench import READY_S, Log, check_slo, prompt_notes
from holdfast.load.journal import ROW, Journal, RecordedRows
from holdfast.load.pacers import Pacer
from holdfast.load.scrape import Scraper, Source
from holdfast.load.shards import WHOLE, Shard
from holdfast.load.subject import Subject
from holdfast.load.tally import Glance, Tally
from holdfast.model.errors import HoldfastError
from holdfast.model.fleet import Slo
from holdfast.model.records import RequestTable
from holdfast.model.stages import Level

_ORDER_S = 0.1
"""For an order to reach every worker, beside the time that they need to get ready."""

_SPARE_S = 60.0
"""A worker that is this much later than a level can last does not answer any more."""

_FAREWELL_S = 10.0
"""For a worker that was told to stop to hand over its last rows and end; then it is killed."""


class Crew:
    """Does what a Bench does, with several processes. To be closed, also when the preflight failed."""

    def __init__(
        self,
        subject: Subject,
        seed: int,
        workers: int,
        run: Log | None = None,
        *,
        slo: Slo | None = None,
        judges: bool = True,
        sources: Sequence[Source] | None = None,
        shard: Shard = WHOLE,
        part: int = 0,
    ) -> None:
        """See Bench; run, shard and part are of the crew as a whole, and its workers split the shard among them."""
        self.subject = subject
        self.tally = Tally(subject.unit, subject.time_scale)
        self._slo = slo
        self._judged = slo if judges else None
        self._run = run
        self._zero_s = time.perf_counter() if run is None else run.zero_s
        self._journal = Journal.in_memory() if run is None else run.journal
        # Of the utilisation the workers know nothing: the crew reads the metrics.
        told = None if self._judged is None else self._judged.model_copy(update={"utilization": None})
        self._jobs = [messages.Job(subject, seed, own, part, self._zero_s, told) for own in shard.split(workers)]
        self._workers: list[_Worker] = []
        self._scraper = Scraper(
            (subject.metrics,) if sources is None else sources,
            self._zero_s,
            time_scale=subject.time_scale,
            keep=None if run is None else run.observe,
        )

    @property
    def requests(self) -> RequestTable:
        """All requests so far, in the target's time from the start of the run."""
        return RecordedRows(self._journal, 0, len(self._journal)).table()

    @property
    def in_flight(self) -> int:
        """Requests that wait for their answer, as far as the workers have told."""
        return sum(worker.counts.in_flight for worker in self._workers)

    def now_s(self) -> float:
        """The run's clock, in the target's time."""
        return (time.perf_counter() - self._zero_s) * self.subject.time_scale

    def glance(self) -> Glance:
        """The last ten seconds. Ask about once a second."""
        return self.tally.glance(self.now_s(), sum(worker.counts.sent for worker in self._workers), self.in_flight)

    async def preflight(self) -> None:
        """Starts the workers, each of which tries the target. Raises what Bench.preflight raises."""
        for number, job in enumerate(self._jobs, 1):
            self._workers.append(await _Worker.start(f"worker {number} of {len(self._jobs)}", job, self._keep))
        for answer in await self._answers(4 * self.subject.timeout_s):
            if isinstance(answer, messages.Refused):
                raise answer.error
        tells_utilization = await self._scraper.check()
        if self._judged is not None:
            check_slo(self._judged, self.subject, tells_utilization=tells_utilization)

    async def hold(
        self, level: Level, index: int, pacer: Pacer | None = None, start_s: float | None = None
    ) -> Measured:
        """Offers one level and measures it; see Bench.hold. Raises HoldfastError when a worker is lost."""
        if start_s is None:
            start_s = time.perf_counter() + READY_S + _ORDER_S
        scale, first = self.subject.time_scale, len(self._journal)
        began_s = (start_s - self._zero_s) * scale
        if self._run is not None and index >= 0:
            self._run.begin(index, level, began_s)
        async with self._scraper.watching():
            for worker in self._workers:
                worker.tell(messages.Hold(level, index, pacer, start_s))
            most_s = start_s - time.perf_counter() + level.duration_s / scale + self.subject.timeout_s
            answers = await self._answers(most_s, functools.partial(self._end, index))
        stages = [answer.stage for answer in answers if isinstance(answer, messages.Held)]
        health = merging.together(*(stage.client for stage in stages))
        rows = RecordedRows(self._journal, first, len(self._journal), began_s)
        joint = measured.measure(rows, level, index, client=health, slo=self._slo, time_scale=scale)
        notes = (*joint.stage.notes, *prompt_notes(self.subject, rows, len(self._journal)))
        stage = replace(joint.stage, client=health, notes=notes)
        return replace(joint, stage=summary.with_server(stage, self._scraper.points, began_s))

    async def close(self) -> None:
        """Stops the workers, keeping their last rows; returns when no process is left."""
        try:
            await asyncio.gather(*(worker.stop() for worker in self._workers))
        finally:
            for worker in self._workers:
                worker.kill()
            await self._scraper.close()

    def _keep(self, fresh: messages.Rows) -> None:
        self._journal.append(fresh.rows, fresh.times)
        self.tally.take(np.frombuffer(fresh.rows, dtype=ROW).__getitem__, self.now_s())

    def _end(self, index: int, answer: messages.Answer) -> None:
        if isinstance(answer, messages.Held) and answer.lost:
            for worker in self._workers:
                worker.tell(messages.End(index))

    async def _answers(
        self, most_s: float, told: Callable[[messages.Answer], None] = lambda _: None
    ) -> list[messages.Answer]:
        """The next answer of each worker; `told` hears each as it comes.

        Raises HoldfastError as soon as a worker is lost, or when it takes too long.
        """

        async def answered(worker: _Worker) -> messages.Answer:
            answer = await worker.answer()
            told(answer)
            return answer

        asked = [asyncio.create_task(answered(worker), name=worker.name) for worker in self._workers]
        try:
            async with asyncio.timeout(most_s + _SPARE_S):
                return await asyncio.gather(*asked)
        except TimeoutError as error:
            silent = ", ".join(task.get_name() for task in asked if not task.done() or task.cancelled())
            raise HoldfastError(f"{silent} did not answer within {most_s + _SPARE_S:.0f} s") from error
        finally:
            for task in asked:
                task.cancel()


class _Worker:
    """One process of a crew, as the crew sees it."""

    def __init__(
        self,
        name: str,
        process: Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        keep: Callable[[messages.Rows], None],
    ) -> None:
        self.name = name
        self.counts = messages.Counts(0, 0)
        self._keep = keep
        self._process = process
        self._writer = writer
        self._answers = asyncio.Queue[messages.Answer | None]()
        self._listening = asyncio.create_task(self._listen(reader), name=f"listen to {name}")

    @classmethod
    async def start(cls, name: str, job: messages.Job, keep: Callable[[messages.Rows], None]) -> _Worker:
        ours, theirs = socket.socketpair()
        with theirs:
            # A session of its own: Ctrl-C reaches the crew, which then stops its workers in order.
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "holdfast.load.worker", str(theirs.fileno()),
                stdin=DEVNULL, pass_fds=[theirs.fileno()], start_new_session=True,
            )  # fmt: skip
        reader, writer = await asyncio.open_connection(sock=ours)
        worker = cls(name, process, reader, writer, keep)
        worker.tell(job)
        return worker

    def tell(self, message: object) -> None:
        self._writer.write(messages.frame(message))

    async def answer(self) -> messages.Answer:
        """Its next answer. Raises HoldfastError when it is gone."""
        answer = await self._answers.get()
        if answer is None:
            how = await asyncio.wait_for(self._process.wait(), _FAREWELL_S)
            way = f"was killed by {signal.Signals(-how).name}" if how < 0 else f"ended with exit code {how}"
            raise HoldfastError(f"{self.name} {way}, so the load was not the one that was asked for")
        return answer

    async def stop(self) -> None:
        """Tells it to stop and waits, for a while, until it has handed over its rows and is gone."""
        with contextlib.suppress(OSError, RuntimeError):
            self._writer.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL_S):
                await self._listening
                await self._process.wait()
        self.kill()
        await self._process.wait()
        self._writer.close()

    def kill(self) -> None:
        """Ends it at once."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._listening.cancel()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                message = await messages.receive(reader)
                if isinstance(message, messages.Rows):
                    self._keep(message)
                elif isinstance(message, messages.Counts):
                    self.counts = message
                else:
                    self._answers.put_nowait(message)
        except EOFError:
            self._answers.put_nowait(None)
