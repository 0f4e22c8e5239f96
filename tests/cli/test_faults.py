"""What a user of `load` and of `limit` is told when the server, the way to it or the disk fails.

Each fault is met from the first request on, by one request in ten, or in mid-run. How single requests are told apart is
in tests/load/test_faults_live.py.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import re
import resource
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.conftest import Run
from holdfast.load import runs
from load.raw_server import HEAD, TOKEN, WHOLE, Raw, Reply

MODEL = ("--model", "m", "--input-tokens", "3", "--output-tokens", "5", "--out", "run")
LOAD = (*MODEL, "--rate", "80/s", "--arrivals", "constant", "--duration", "0.5s")
LIMIT = (*MODEL, "--slo", "p95<0.2s", "--arrivals", "constant", "--requests", "40", "--longest", "0.5s")
QUICK = ("--settle", "1ms", "--drain", "1ms", "--precision", "20%")
CLOSED = (*MODEL, "--slo", "p95<0.2s", "--arrivals", "closed", "--requests", "40", "--longest", "1s", *QUICK)
VERBS = {"load": LOAD, "limit": (*LIMIT, *QUICK)}
HALF = HEAD + b"%x\r\n%b\r\n" % (len(TOKEN), TOKEN)


async def resets(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def stops_in_mid_stream(writer: asyncio.StreamWriter) -> None:
    writer.write(HALF)
    await writer.drain()
    writer.close()


async def talks_nonsense(writer: asyncio.StreamWriter) -> None:
    event = b"data: {{{\n\n"
    writer.write(HEAD + b"%x\r\n%b\r\n0\r\n\r\n" % (len(event), event))


async def rejects(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n")


async def stalls(writer: asyncio.StreamWriter) -> None:
    """Longer than any time-out here."""
    writer.write(HALF)
    await asyncio.sleep(30)


FAULTS: dict[str, tuple[Callable[[asyncio.StreamWriter], Awaitable[None]], str]] = {
    "reset": (resets, "the connection was closed before an answer began"),
    "truncated": (stops_in_mid_stream, "the answer began and stopped before its end"),
    "malformed": (talks_nonsense, "the answer is not one of the completions API"),
    "rejected": (rejects, "was answered with HTTP 429"),
    "timeout": (stalls, "no complete answer came within 0.2 s"),
}
"""By the name of their outcome: what the server does, and what is said when it does nothing else."""


def patience(fault: str, short: str = "0.5s") -> tuple[str, str]:
    """Long, so that a busy machine fails no request, but where the time-out is what is tried."""
    return ("--timeout", short if fault == "timeout" else "20s")


def failing(fault: str, every: int) -> Reply:
    """Every nth request meets the fault; the others are answered at once."""
    fails, turn = FAULTS[fault][0], itertools.count(1)

    async def reply(writer: asyncio.StreamWriter, _: bytes) -> None:
        if next(turn) % every == 0:
            await fails(writer)
        else:
            writer.write(WHOLE)

    return reply


@contextmanager
def served(reply: Reply, port: int = 0) -> Iterator[Raw]:
    """A server on a loop of its own, as the verb has that of the test. port: 0 takes a free one."""
    loop, server = asyncio.new_event_loop(), Raw(reply, None, "127.0.0.1")
    server.port = port
    thread = threading.Thread(target=loop.run_forever, name="server")
    thread.start()

    async def end() -> None:
        await server.kill()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_server_that_always_fails_is_one_sentence(holdfast: Run, fault: str, verb: str) -> None:
    with served(failing(fault, 1)) as server:
        done = holdfast(verb, server.url, *VERBS[verb], *patience(fault, "0.2s"))
    assert done.returncode == 2
    assert done.stderr.startswith(f"holdfast: {server.url}: POST /v1/completions")
    assert FAULTS[fault][1] in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("fault", FAULTS)
def test_a_load_counts_the_requests_that_fail_as_what_they_are(holdfast: Run, tmp_path: Path, fault: str) -> None:
    with served(failing(fault, 10)) as server:
        done = holdfast("load", server.url, *LOAD, *patience(fault), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    stage = json.loads(done.stdout)["stage"]
    assert (stage["requests"], stage["ok"], stage["errors"]) == (40, 36, {fault: 4})
    run = runs.read(tmp_path / "run")
    assert (run.cut_off, run.curve.stages[0].errors) == ("", {fault: 4})


def test_a_load_names_its_errors(holdfast: Run) -> None:
    with served(failing("reset", 10)) as server:
        assert "Errors: 4 reset of 40 requests." in holdfast("load", server.url, *LOAD).stdout


@pytest.mark.parametrize("fault", FAULTS)
def test_a_search_names_the_errors_that_no_rate_is_without(holdfast: Run, tmp_path: Path, fault: str) -> None:
    with served(failing(fault, 4)) as server:
        done = holdfast("limit", server.url, *LIMIT, *QUICK, *patience(fault))
    assert (done.returncode, done.stderr) == (1, "")
    assert "breaks: errors" in done.stdout
    said = " ".join(done.stdout.split())
    found = re.search(
        r"No rate holds the SLO: not even one request at a time meets the SLO: errors: (\d+) (\w+) of", said
    )
    assert found is not None
    assert found[2] == fault
    run = runs.read(tmp_path / "run")
    assert (run.cut_off, run.curve.stages[-1].errors) == ("", {fault: int(found[1])})


@pytest.mark.parametrize("verb", VERBS)
def test_a_name_that_does_not_resolve_is_one_sentence(holdfast: Run, verb: str) -> None:
    done = holdfast(verb, "http://no-such-host.invalid:80", *VERBS[verb])
    assert done.returncode == 2
    assert done.stderr.startswith("holdfast: http://no-such-host.invalid:80: no connection to the endpoint (")
    assert "name" in done.stderr
    assert done.stderr.count("\n") == 1


async def answers(writer: asyncio.StreamWriter, _: bytes) -> None:
    await asyncio.sleep(0.01)
    writer.write(WHOLE)


def outage(server: list[Raw], after: int, down_s: float) -> Reply:
    """The server is killed with all its connections by request `after`, and is back after `down_s` (inf: never)."""
    turn = itertools.count(1)

    async def reply(writer: asyncio.StreamWriter, body: bytes) -> None:
        if next(turn) != after:
            await answers(writer, body)
            return
        await server[0].kill()
        if math.isfinite(down_s):
            await asyncio.sleep(down_s)
            await server[0].start()

    return reply


@contextmanager
def killed(after: int, down_s: float = math.inf) -> Iterator[Raw]:
    itself = list[Raw]()
    with served(outage(itself, after, down_s)) as server:
        itself.append(server)
        yield server


def test_a_load_goes_on_through_an_outage_and_counts_what_it_cost(holdfast: Run, tmp_path: Path) -> None:
    with killed(15, 0.15) as server:
        done = holdfast("load", server.url, *LOAD, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    stage = json.loads(done.stdout)["stage"]
    assert set(stage["errors"]) <= {"reset", "connect", "truncated"}
    assert 3 <= sum(stage["errors"].values()) == 40 - stage["ok"] <= 30
    rows = runs.requests(runs.read(tmp_path / "run"))
    assert rows.ok[rows.intended_s == rows.intended_s.max()].all()  # it was back at the end, and seen to be


def test_a_load_whose_server_is_gone_for_good_ends_on_time_and_says_so(holdfast: Run, tmp_path: Path) -> None:
    with killed(2) as server:
        done = holdfast("load", server.url, *LOAD, "--json")
    assert (done.returncode, done.stderr) == (1, "")  # nothing was answered
    stage = json.loads(done.stdout)["stage"]
    assert (stage["requests"], stage["ok"]) == (40, 0)
    assert set(stage["errors"]) <= {"reset", "connect"}
    assert runs.read(tmp_path / "run").cut_off == ""


def test_a_search_whose_server_is_gone_keeps_its_levels_and_goes_on_when_it_is_back(
    holdfast: Run, tmp_path: Path
) -> None:
    with killed(60) as server:
        done = holdfast("limit", server.url, *CLOSED)
    assert done.returncode == 2
    *hint, sentence = done.stderr.splitlines()
    assert "the endpoint stopped answering in level" in sentence
    assert "what was measured is kept in run; bring it back and measure again." in sentence
    assert "kept; to go on:" in hint[0]
    assert hint[1].endswith("--resume")
    before = runs.read(tmp_path / "run")
    assert before.cut_off.startswith("the run was interrupted after")
    with served(answers, server.port):
        done = holdfast("limit", server.url, *CLOSED, "--budget-requests", "150", "--resume")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Held " in done.stdout
    after = runs.read(tmp_path / "run")
    kept = int(hint[0].split()[0])
    assert after.cut_off == ""
    assert len(after.curve.stages) > kept >= 1
    assert not any(stage.ok == 0 for stage in after.curve.stages)  # the outage is not taken for a limit


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file grows beyond `size` bytes, which a writer meets as it does a full disk: a write is cut short, and the
    next one refused."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("verb", VERBS)
def test_a_disk_that_fills_up_takes_nothing_of_the_answer(holdfast: Run, tmp_path: Path, verb: str) -> None:
    flags = LOAD if verb == "load" else (*CLOSED, "--budget-requests", "100")
    with served(answers) as server, full_disk(1600):
        done = holdfast(verb, server.url, *flags)
    assert done.returncode == 2
    assert "run: cannot write results (File too large); give another place with --out." in done.stderr
    assert done.stderr.count("\n") == 1
    assert ("80/s constant" if verb == "load" else "Held ") in done.stdout
    run = runs.read(tmp_path / "run")
    assert "the disk refused a part of what the run recorded, and kept 19 requests" in run.cut_off
