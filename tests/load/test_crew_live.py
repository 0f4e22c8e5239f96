"""Several processes hold a level as one would, and none of them outlives the crew."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from holdfast.limits import verdict
from holdfast.limits.measured import Measured
from holdfast.load import pacers
from holdfast.load.crew import Crew
from holdfast.load.http import Target
from holdfast.load.subject import Subject
from holdfast.model.errors import HoldfastError, InputError, UnreachableError
from holdfast.model.fleet import Api, Slo, TokenLengths, Workload, parse_slo
from holdfast.model.records import Outcome, RequestTable
from holdfast.model.stages import Arrivals, Level
from load.raw_server import WHOLE, serving
from processes import alive, descendants

TEXT = Workload(api=Api.COMPLETIONS, input_tokens=TokenLengths(mean=10), output_tokens=TokenLengths(mean=20))
POISSON = Level(Arrivals.POISSON, rate_per_s=100, duration_s=1.0)
T = TypeVar("T")


def subject(url: str) -> Subject:
    return Subject("unit", Target.parse(url), TEXT, "m", timeout_s=5.0)


def with_crew(
    url: str, workers: int, work: Callable[[Crew], Awaitable[T]], slo: Slo | None = None
) -> tuple[T, RequestTable]:
    """The result of `work` and all requests; the crew's processes are gone afterwards."""

    async def run() -> tuple[T, RequestTable]:
        crew = Crew(subject(url), 7, workers, slo=slo)
        try:
            await crew.preflight()
            result = await work(crew)
        finally:
            await crew.close()
        return result, crew.requests

    return asyncio.run(asyncio.wait_for(run(), 60))


def gone(pids: list[int]) -> bool:
    deadline = time.monotonic() + 10
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(map(alive, pids))


def test_a_crew_sends_the_schedule_that_one_process_would_send(stand_in: Callable[..., str]) -> None:
    seen = list[tuple[int, int]]()

    async def work(crew: Crew) -> tuple[Measured, Measured, Measured]:
        users = Level(Arrivals.CLOSED, concurrency=5, requests=52, duration_s=20.0)
        alone = Level(Arrivals.CLOSED, concurrency=1, requests=3, duration_s=5.0)  # two workers stay idle
        held = await crew.hold(POISSON, 0), await crew.hold(users, 1), await crew.hold(alone, 2)
        seen.append((crew.tally.totals.of(Outcome.OK), crew.in_flight))
        return held

    (first, second, third), rows = with_crew(stand_in("stream"), 3, work)
    times_s = pacers.schedule(pacers.Constant(100), 1.0, 7, pacers.poisson_points)
    sent = np.sort(rows.intended_s[rows.stage == 0])
    assert np.allclose(sent - sent[0], times_s - times_s[0], atol=1e-9)
    assert first.stage.requests == 100
    assert third.stage.requests == 3
    assert second.stage.requests == np.count_nonzero(rows.stage == 1) == 52
    assert rows.ok.all()
    assert seen == [(155, 0)]  # as the live table and the Prometheus endpoint have it
    # The workers' clocks are one: no answer of any of them begins before its level, and none is sent before its time.
    assert rows.intended_s[rows.stage == 1].min() > rows.end_s[rows.stage == 0].max()
    assert np.all(rows.lag_s >= 0)
    # The figures are those of all rows together, and the health is the worst worker's.
    good = first.steady.where(first.steady.ok)
    assert first.stage.latency.p99_s == pytest.approx(float(np.percentile(good.latency_s, 99)))
    assert first.stage.client.lag_max_s == pytest.approx(float(rows.lag_s[rows.stage == 0].max()))


def test_what_the_preflight_of_a_worker_finds_is_told_as_it_is(stand_in: Callable[..., str]) -> None:
    async def nothing(crew: Crew) -> None: ...

    with pytest.raises(UnreachableError, match="no connection to the endpoint"):
        with_crew("http://127.0.0.1:9", 2, nothing)
    with pytest.raises(InputError, match="HTTP 500"):
        with_crew(stand_in("http500"), 2, nothing)


def test_what_an_slo_bounds_and_nobody_can_see_is_refused(stand_in: Callable[..., str]) -> None:
    async def nothing(crew: Crew) -> None: ...

    with pytest.raises(InputError, match="the SLO bounds the utilisation, and the target publishes none"):
        with_crew(stand_in("stream"), 2, nothing, parse_slo("p95<1s, utilization<80%"))


def test_a_level_that_one_worker_has_lost_ends_for_all_and_the_next_is_held() -> None:
    slo, turn = parse_slo("p95<0.5s"), itertools.count()

    async def one_in_two_is_slow(writer: asyncio.StreamWriter, _: bytes) -> None:
        # Requests come in turn from the two workers, so one of them has all the slow ones.
        await asyncio.sleep(1.0 * (next(turn) % 2))
        writer.write(WHOLE)

    async def run() -> tuple[Measured, Measured]:
        async with serving(one_in_two_is_slow) as server:
            crew = Crew(subject(server.url), 7, 2, slo=slo)
            try:
                await crew.preflight()
                lost = await crew.hold(Level(Arrivals.CONSTANT, rate_per_s=40, duration_s=10.0), 0)
                return lost, await crew.hold(Level(Arrivals.CONSTANT, rate_per_s=20, duration_s=0.5), 1)
            finally:
                await crew.close()

    lost, held = asyncio.run(asyncio.wait_for(run(), 30))
    sent_s = np.sort(lost.table.intended_s)
    places = np.round((sent_s - sent_s[0]) * 40).astype(int)  # in the schedule, of which each worker has every other
    last = [int(places[places % 2 == shard].max()) for shard in (0, 1)]
    assert abs(last[0] - last[1]) < 40
    assert max(last) < 360
    assert not verdict.judge(lost, slo).holds
    # What was still waited for is not called an answer.
    assert set(lost.table.outcome) == {Outcome.OK, Outcome.CANCELLED}
    assert (held.stage.requests, held.stage.errors) == (10, {})


def test_a_worker_that_dies_ends_the_run_and_what_was_recorded_is_kept(stand_in: Callable[..., str]) -> None:
    url, kept, pids = stand_in("stream"), list[RequestTable](), list[int]()

    async def run() -> None:
        crew = Crew(subject(url), 7, 2)
        try:
            await crew.preflight()
            pids.extend(pid for pid in descendants(os.getpid()) if b"holdfast.load.worker" in command(pid))
            asyncio.get_running_loop().call_later(1.8, os.kill, pids[0], signal.SIGKILL)
            await crew.hold(Level(Arrivals.CONSTANT, rate_per_s=50, duration_s=30.0), 0)
        finally:
            await crew.close()
            kept.append(crew.requests)

    with pytest.raises(HoldfastError, match=r"worker [12] of 2 was killed by SIGKILL"):
        asyncio.run(asyncio.wait_for(run(), 30))
    assert len(pids) == 2 and gone(pids)
    held = kept[0].where(kept[0].stage == 0)
    assert 20 <= len(held) <= 50 * 10


def command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


_PARENT = """
import asyncio, sys
from holdfast.cli import running
from test_crew_live import POISSON, subject
from holdfast.load.crew import Crew
from dataclasses import replace

async def main():
    crew = Crew(subject(sys.argv[1]), 7, 2)
    try:
        await crew.preflight()
        print("ready", flush=True)
        await crew.hold(replace(POISSON, duration_s=60.0), 0)
    finally:
        await crew.close()
        print(len(crew.requests), flush=True)

try:
    running.run(main())
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_its_crew(stand_in: Callable[..., str], number: signal.Signals) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    arguments = [sys.executable, "-c", _PARENT, stand_in("stream")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None and parent.stdout.readline() == "ready\n"
        workers = descendants(parent.pid)
        assert len(workers) == 2
        time.sleep(0.7)
        parent.send_signal(number)
        said, _ = parent.communicate(timeout=20)
    assert gone(workers)
    if number is not signal.SIGKILL:
        count, word = said.split()
        assert int(count) > 2 and word == "interrupted"  # the last rows were handed over, too
