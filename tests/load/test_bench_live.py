"""The generator and the search against real HTTP servers in other processes."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from holdfast.limits.measured import Measured
from holdfast.limits.search import Options, Search
from holdfast.load import finding, journal, rundir, runs
from holdfast.load.bench import Bench
from holdfast.load.finding import Progress
from holdfast.load.http import Target
from holdfast.load.rundir import RunDir, RunSpec, Status
from holdfast.load.subject import Subject
from holdfast.model.errors import InputError, OutputError, UnreachableError
from holdfast.model.fleet import Api, TokenLengths, Workload, parse_slo
from holdfast.model.records import Outcome, RequestTable
from holdfast.model.stages import Arrivals, Level, LoadCurve

IMAGES = Workload(api=Api.IMAGES)
TEXT = Workload(
    api=Api.COMPLETIONS, input_tokens=TokenLengths(mean=10), output_tokens=TokenLengths(mean=20)
)  # fmt: skip
SPEC = RunSpec("limit", "http://x", "images", "m", None, "constant", 0)


def subject(url: str, workload: Workload = IMAGES, timeout_s: float = 5.0) -> Subject:
    return Subject("unit", Target.parse(url), workload, "m", timeout_s=timeout_s)


def held(url: str, level: Level, workload: Workload = IMAGES) -> tuple[Measured, RequestTable]:
    async def run() -> tuple[Measured, RequestTable]:
        bench = Bench(subject(url, workload), None)
        try:
            return await bench.hold(level, 0), bench.requests
        finally:
            await bench.close()

    return asyncio.run(asyncio.wait_for(run(), 60))


def found(
    url: str,
    slo: str,
    run: RunDir | None = None,
    workload: Workload = IMAGES,
    tell: Callable[[Progress], None] = print,
    timeout_s: float = 5.0,
) -> LoadCurve:
    async def search() -> LoadCurve:
        bound = parse_slo(slo)
        bench = Bench(subject(url, workload, timeout_s), bound, run=run)
        options = Options(arrivals=Arrivals.CONSTANT, requests=50, least_s=0.4, most_s=1.0, precision=0.1, budget_s=8.0)
        try:
            return await finding.find_limit(bench, bound, Search(bound, options), tell=tell, run=run)
        finally:
            await bench.close()

    return asyncio.run(asyncio.wait_for(search(), 90))


def test_every_intended_request_is_recorded_once_and_none_before_its_time(stand_in: Callable[..., str]) -> None:
    _, table = held(stand_in("ok"), Level(Arrivals.CONSTANT, rate_per_s=100, duration_s=1.0))
    assert len(table) == 100
    assert table.ok.all()
    assert np.all(table.sent_s >= table.intended_s)
    assert np.all(table.end_s >= table.first_byte_s)


def test_latency_counts_from_the_intended_start_when_the_server_falls_behind(stand_in: Callable[..., str]) -> None:
    # 50 requests in 0.5 s at a server that takes 20 ms each: the last one waits for about half a second.
    measured, table = held(stand_in("ok", 0.02), Level(Arrivals.CONSTANT, rate_per_s=100, duration_s=0.5))
    last = int(np.argmax(table.intended_s))
    assert table.latency_s[last] > 0.4
    assert measured.stage.client.lag_p50_s < 0.05  # the client itself was on time


def test_a_level_is_given_up_for_its_own_latencies_and_not_for_those_of_the_level_before(
    stand_in: Callable[..., str],
) -> None:
    async def run() -> tuple[int, int]:
        # Every answer is late, and nothing queues: a level of 60 is given up with the tenth late one.
        bench = Bench(subject(stand_in("ok", 0.02)), parse_slo("p95<0.01s"))
        level = Level(Arrivals.CONSTANT, rate_per_s=20, duration_s=3)
        first, second = await bench.hold(level, 0), await bench.hold(level, 1)
        await bench.close()
        return first.stage.requests, second.stage.requests

    first, second = asyncio.run(asyncio.wait_for(run(), 30))
    assert 10 <= first < 60
    assert 10 <= second < 60


def test_a_closed_loop_keeps_its_number_in_flight_and_obeys_littles_law(stand_in: Callable[..., str]) -> None:
    measured, _ = held(stand_in("ok", 0.01), Level(Arrivals.CLOSED, concurrency=4, duration_s=1.0))
    assert measured.stage.in_flight == pytest.approx(4, rel=0.1)
    assert abs(measured.stage.little) < 0.1


def test_streams_count_tokens_and_time_the_first(stand_in: Callable[..., str]) -> None:
    measured, table = held(stand_in("stream"), Level(Arrivals.CLOSED, concurrency=2, requests=10, duration_s=5), TEXT)
    assert table.chunks.tolist() == [20] * 10
    assert table.tokens_in.tolist() == [11] * 10
    assert np.all(table.first_token_s <= table.end_s)
    assert measured.stage.ttft is not None
    assert "11 prompt tokens per request where 10 were asked for (+10%)" in measured.stage.notes[0]


@pytest.mark.parametrize(
    ("mode", "outcome"),
    [
        ("http500", Outcome.HTTP_ERROR),
        ("reject", Outcome.REJECTED),
        ("reset", Outcome.RESET),
        ("malformed", Outcome.MALFORMED),
    ],
)
def test_each_way_to_fail_is_recorded_as_what_it_is(stand_in: Callable[..., str], mode: str, outcome: Outcome) -> None:
    _, table = held(stand_in(mode), Level(Arrivals.CLOSED, concurrency=1, requests=3, duration_s=5))
    assert set(table.outcome) == {outcome}


def test_a_stream_that_stops_midway_is_truncated(stand_in: Callable[..., str]) -> None:
    _, table = held(stand_in("cut"), Level(Arrivals.CLOSED, concurrency=1, requests=3, duration_s=5), TEXT)
    assert set(table.outcome) == {Outcome.TRUNCATED}


def test_no_server_is_a_failed_connection() -> None:
    _, table = held("http://127.0.0.1:9", Level(Arrivals.CLOSED, concurrency=1, requests=3, duration_s=5))
    assert set(table.outcome) == {Outcome.CONNECT}


def test_the_search_keeps_every_level_and_request_and_tells_of_each(
    stand_in: Callable[..., str], tmp_path: Path
) -> None:
    url = stand_in("ok", 0.01)
    seen: list[Progress] = []
    curve = found(url, "p95<0.1s", RunDir.create(tmp_path / "run", SPEC), tell=seen.append)
    point = curve.breaking_point
    assert point is not None
    # The server sleeps 10 ms per request, one after the other, so 100/s cannot be passed. How near the search comes to
    # a limit is shown in test_known_limits_live.py.
    assert 0 < point.rate_per_s <= 102
    assert runs.read(tmp_path / "run").curve.breaking_point == point
    assert len(rundir.read_requests(tmp_path / "run")) == sum(stage.requests for stage in curve.stages) + 1
    assert [p.stage is None for p in seen] == [True, False] * len(curve.stages)


def test_an_unreachable_endpoint_is_one_sentence() -> None:
    with pytest.raises(
        UnreachableError, match=r"no connection to the endpoint \(connection refused\); start it, or mend the URL"
    ):
        found("http://127.0.0.1:9", "p95<1s")


def test_a_name_that_does_not_resolve_is_one_sentence() -> None:
    with pytest.raises(UnreachableError, match="no connection"):
        found("http://no-such-host.invalid:80", "p95<1s")


def test_a_server_that_never_agrees_on_tls_is_tried_once_and_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(UnreachableError, match=r"no connection to the endpoint \(timed out\)"):
            found(url, "p95<1s", timeout_s=0.2)
        silent.setblocking(False)
        tried, _ = silent.accept()
        tried.close()
        with pytest.raises(BlockingIOError):
            silent.accept()


@pytest.mark.parametrize(
    ("mode", "sentence"),
    [
        ("http500", "answered with HTTP 500; look at the server's log"),
        ("reset", "closed before an answer began"),
        ("malformed", "not one of the images API"),
    ],
)
def test_an_endpoint_that_cannot_be_measured_is_one_sentence(
    stand_in: Callable[..., str], mode: str, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        found(stand_in(mode), "p95<1s")


def test_a_server_that_refuses_vllms_fields_is_asked_without_them(stand_in: Callable[..., str]) -> None:
    async def run() -> RequestTable:
        bench = Bench(subject(stand_in("strict"), TEXT), None)
        await bench.preflight()
        await bench.hold(Level(Arrivals.CLOSED, concurrency=1, requests=5, duration_s=5), 0)
        await bench.close()
        return bench.requests

    table = asyncio.run(asyncio.wait_for(run(), 30))
    assert table.status.tolist() == [400, *[200] * 6]


def test_a_server_that_does_not_stream_is_told_from_one_that_answers_nonsense(stand_in: Callable[..., str]) -> None:
    with pytest.raises(InputError, match="does not stream its answer; try --no-stream"):
        found(stand_in("unary"), "p95<1s", workload=TEXT)


def test_an_answer_that_ends_with_the_connection_is_whole(stand_in: Callable[..., str]) -> None:
    _, table = held(stand_in("close"), Level(Arrivals.CLOSED, concurrency=1, requests=3, duration_s=5))
    assert set(table.outcome) == {Outcome.OK}


def test_an_endpoint_that_stops_mid_stream_is_one_sentence(stand_in: Callable[..., str]) -> None:
    with pytest.raises(InputError, match="the answer began and stopped before its end"):
        found(stand_in("cut"), "p95<1s", workload=TEXT)


def test_an_endpoint_that_dies_keeps_what_was_measured(stand_in: Callable[..., str], tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="stopped answering"):
        found(stand_in("die"), "p95<1s", RunDir.create(tmp_path / "run", SPEC))
    assert len(rundir.read_requests(tmp_path / "run")) >= 20
    assert runs.read(tmp_path / "run").curve.stages


def test_an_slo_on_the_stream_of_images_is_refused(stand_in: Callable[..., str]) -> None:
    with pytest.raises(InputError, match="the answers do not stream"):
        found(stand_in("ok"), "ttft p95<1s")


def test_a_disk_that_fills_up_is_one_sentence_and_keeps_the_levels_before(
    stand_in: Callable[..., str], tmp_path: Path
) -> None:
    # A limit on the size of files stands for a full disk: the write fails in the same way, with another reason.
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000));"
        "from holdfast.cli.main import main; main()"
    )
    arguments = ["load", stand_in("ok"), "--api", "images", "--model", "m", "--concurrency", "2", "--out", "run"]
    arguments += ["--duration", "1s"]
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 2, done.stderr
    assert "run: cannot write results (File too large); give another place with --out." in done.stderr
    assert "Traceback" not in done.stderr
    assert "2 in flight" in done.stdout
    run = runs.read(tmp_path / "run")
    assert run.curve.stages[0].ok >= 60
    assert run.requests == (6000 - 16) // 80
    assert "the disk refused a part" in run.cut_off


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"cannot write results \(Not a directory\); give another place"):
        RunDir.create(tmp_path / "file" / "run", SPEC)


def test_a_run_is_not_written_over_another(tmp_path: Path) -> None:
    with RunDir.create(tmp_path, SPEC) as run:
        run.begin(0, Level(Arrivals.CLOSED, concurrency=1), 0.0)
    with pytest.raises(InputError, match="there is a run in this folder already"):
        RunDir.create(tmp_path, SPEC)


def test_a_run_whose_target_did_not_answer_leaves_its_folder_to_the_next_try(tmp_path: Path) -> None:
    first = RunDir.create(tmp_path, SPEC)
    with pytest.raises(InputError, match="there is a run in this folder already"):
        RunDir.create(tmp_path, SPEC)  # the first is still at it
    first.journal.append(journal.pack(*[0.5] * 6, 1, 1, 1, 1, 1, 0, -1, 404, 1), b"")
    first.close(Status.INTERRUPTED)
    RunDir.create(tmp_path, SPEC).close(Status.DONE)
    assert len(rundir.read_requests(tmp_path)) == 0
