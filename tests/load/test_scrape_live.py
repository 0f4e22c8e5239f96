"""Metrics read from real loopback servers while something else happens."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from holdfast.load import continuous
from holdfast.load.bench import Bench
from holdfast.load.http import Target
from holdfast.load.pacers import Constant, Paced
from holdfast.load.rundir import RunDir, RunSpec
from holdfast.load.scrape import Scraper, Source
from holdfast.load.serverlog import read_server
from holdfast.load.subject import Subject
from holdfast.model.errors import InputError
from holdfast.model.fleet import Api, Workload, parse_slo
from holdfast.model.records import Outcome
from holdfast.model.server import Point
from holdfast.model.stages import Arrivals, Level
from load.pages import DCGM, Vllm

SPEC = RunSpec("load", "http://x", "images", "m", None, "constant", 0)


class Pages:
    """Serves what `answer` gives (None: never) at any path and counts requests and connections."""

    def __init__(self, answer: Callable[[], bytes | None]) -> None:
        self.answer = answer
        self.requests = 0
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                self.requests += 1
                body = self.answer()
                if body is not None:
                    status = b"200 OK" if body else b"404 Not Found"
                    writer.write(b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body))
        writer.close()


@contextlib.asynccontextmanager
async def served(answer: Callable[[], bytes | None]) -> AsyncIterator[tuple[str, Pages]]:
    pages = Pages(answer)
    server = await asyncio.start_server(pages.serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", pages


def bounded(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 30))


def values(points: tuple[Point, ...], series: str) -> list[float]:
    return [point.value for point in points if point.series == series]


def test_every_second_is_read_over_one_connection() -> None:
    async def run() -> None:
        vllm = Vllm()
        waiting = iter(range(100))

        def page() -> bytes:
            vllm.set(waiting=next(waiting), generated=10)
            return vllm.page()

        async with served(page) as (url, pages):
            scraper = Scraper([Source("target", Target.parse(url))], 0.0)
            async with scraper.watching():
                await asyncio.sleep(2.5)
            found = values(scraper.points, "waiting")
            assert found == list(range(pages.requests))
            assert len(found) in (3, 4)
            assert pages.connections == 1
            rates = values(scraper.points, "tokens_out_per_s")
            assert len(rates) == len(found) - 1
            await scraper.close()

    bounded(run())


def test_a_target_without_metrics_is_asked_once() -> None:
    async def run() -> None:
        async with served(lambda: b"") as (url, pages):
            scraper = Scraper([Source("target", Target.parse(url))], 0.0)
            assert not await scraper.check()
            async with scraper.watching():
                await asyncio.sleep(1.2)
            assert (pages.requests, scraper.points) == (1, ())
            await scraper.close()

    bounded(run())


def test_a_page_that_never_comes_delays_nothing_but_the_begin() -> None:
    async def run() -> None:
        async with served(lambda: None) as (url, _):
            scraper = Scraper([Source("target", Target.parse(url))], 0.0)
            loop = asyncio.get_running_loop()
            begun_s = loop.time()
            async with scraper.watching():
                pass
            assert loop.time() - begun_s < 5
            await scraper.close()

    bounded(run())


def test_an_exporter_that_tells_nothing_known_is_refused() -> None:
    async def run() -> None:
        async with served(lambda: b"up 1\n") as (url, _):
            scraper = Scraper([Source.exporter(f"gpu={url}/metrics")], 0.0)
            with pytest.raises(InputError, match=r"gpu=http://127.*/metrics: no metrics that are known"):
                await scraper.check()
            await scraper.close()

    bounded(run())


@pytest.mark.parametrize("text", ["http://x", "gpu=x", "target=http://x/metrics", "gpu=http://x/metrics{gpu=0}"])
def test_a_flag_that_names_no_exporter_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--scrape"):
        Source.exporter(text)


def test_an_exporter_without_a_path_is_asked_at_metrics() -> None:
    assert Source.exporter("gpu=http://node:9400").path == "/metrics"
    deep = Source.exporter('gpu=http://node:9400/a/metrics{gpu="1"}')
    assert deep.target.request("GET", deep.path).startswith(b"GET /a/metrics HTTP/1.1\r\n")


def test_a_level_has_the_figures_of_its_exporter_and_the_run_keeps_the_series(
    stand_in: Callable[..., str], tmp_path: Path
) -> None:
    target = stand_in("ok")

    async def run() -> None:
        async with served(lambda: DCGM) as (url, _):
            subject = Subject("u", Target.parse(target), Workload(api=Api.IMAGES), "m", timeout_s=5.0)
            exporter = Source.exporter(f'gpu={url}/metrics{{gpu="0"}}')
            slo, sources = parse_slo("p95<1s, utilization<95%"), [subject.metrics, exporter]
            with RunDir.create(tmp_path / "run", SPEC) as run:
                bench = Bench(subject, slo, run=run, sources=sources)
                await bench.preflight()
                level = Level(Arrivals.CONSTANT, rate_per_s=50, duration_s=1.5)
                stage = (await bench.hold(level, 0)).stage
                await bench.close()
            assert stage.utilization == pytest.approx(0.92)
            assert stage.server["memory_used_bytes"] == pytest.approx(20480 * 2**20)

    bounded(run())
    table = read_server(tmp_path / "run")
    assert table is not None
    assert set(table.source) == {"gpu"}
    assert set(table.series) == {"utilization", "memory_used_bytes", "power_w"}
    assert table.time_s[-1] > 1.0


def test_a_bound_on_utilisation_needs_somebody_who_tells_it(stand_in: Callable[..., str]) -> None:
    async def run() -> None:
        subject = Subject("u", Target.parse(stand_in("ok")), Workload(api=Api.IMAGES), "m", timeout_s=5.0)
        bench = Bench(subject, parse_slo("p95<1s, utilization<95%"))
        with pytest.raises(InputError, match="name its exporter with --scrape"):
            await bench.preflight()
        await bench.close()

    bounded(run())


def test_a_load_without_end_counts_its_requests_and_keeps_none(stand_in: Callable[..., str]) -> None:
    target = stand_in("ok")

    async def run() -> None:
        subject = Subject("u", Target.parse(target), Workload(api=Api.IMAGES), "m", timeout_s=5.0)
        bench = Bench(subject, None, run=continuous.Unrecorded())
        await bench.preflight()
        await bench.keep_up(itertools.islice(continuous.arrivals(Paced(Constant(200.0)), 1), 300))
        assert len(bench.requests) == 0
        await bench.close()
        totals, seen = bench.tally.totals, bench.glance()
        assert (totals.of(Outcome.OK), sum(totals.latency.counts)) == (300, 300)
        assert (seen.in_flight, seen.errors) == (0, {})

    bounded(run())
