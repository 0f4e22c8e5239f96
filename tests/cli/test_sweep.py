"""Sweeps, shards and merging as a user types them."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import DEVNULL

import numpy as np
import pytest

from holdfast.cli.main import cli
from holdfast.cli.workers import Moment, start_of
from holdfast.load import pacers, rundir
from holdfast.model.errors import InputError
from holdfast.model.records import Floats

STAND_IN = Path(__file__).parents[1] / "load" / "stand_in.py"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    port_file = tmp_path / "port"
    with subprocess.Popen([sys.executable, str(STAND_IN), str(port_file), "stream", "0.002"]) as server:
        for _ in range(1000):
            if port_file.exists():
                break
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port_file.read_text()}"
        server.kill()


def test_a_sweep_of_several_processes_prints_the_table_and_can_go_on_after_ctrl_c(
    holdfast: Run, url: str, tmp_path: Path
) -> None:
    words = ["sweep", url, "--model", "m", "--input-tokens", "10±2", "--output-tokens", "5", "--workers", "2"]
    words += ["--warmup", "1x", "--cooldown", "1s", "--requests-per-level", "20x", "--concurrency", "2,5,900"]
    command, table = [sys.executable, "-m", "holdfast", *words, "--out", "run"], list[str]()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as interrupted:
        assert interrupted.stdout is not None
        for line in interrupted.stdout:
            table.append(line)
            if re.match(r" +5 ", line):
                break
        time.sleep(0.5)  # into the third level, which would take most of a minute
        interrupted.send_signal(signal.SIGINT)
        _, said = interrupted.communicate(timeout=20)
    assert interrupted.returncode == 130, said
    assert max(map(len, table)) <= 81
    assert "2 of 3 levels are finished and kept; to go on:" in said
    assert f"{shlex.join(['holdfast', *words])} --out run --resume" in said
    curve = rundir.read_written_curve(tmp_path / "run")
    assert curve is not None
    assert sorted((stage.index, stage.requests) for stage in curve.stages) == [(0, 40), (1, 100)]
    requests = rundir.read_requests(tmp_path / "run")
    assert [int(np.count_nonzero(requests.stage == index)) for index in (0, 1)] == [40, 100]
    assert holdfast("report", "run", "--out", "run.html").returncode == 0


def test_shards_on_their_own_are_one_load_when_they_are_merged(holdfast: Run, url: str, tmp_path: Path) -> None:
    words = ["load", url, "--model", "m", "--input-tokens", "10", "--output-tokens", "5", "--rate", "60/s"]
    start = datetime.now(UTC) + timedelta(seconds=3)
    words += ["--duration", "1s", "--seed", "7", "--start-at", start.isoformat()]
    command = [sys.executable, "-m", "holdfast", *words]
    shards = [
        subprocess.Popen([*command, "--shard", f"{index}/2", "--out", f"s{index}"], cwd=tmp_path, stdout=DEVNULL)
        for index in range(2)
    ]
    assert [shard.wait(30) for shard in shards] == [0, 0]
    done = holdfast("merge", "s0", "s1", "--out", "whole", "--json")
    assert done.returncode == 0, done.stderr
    (stage,) = json.loads(done.stdout)["stages"]
    times_s = pacers.schedule(pacers.Constant(60), 1.0, 7, pacers.poisson_points)
    for index in range(2):
        assert np.allclose(starts_s(tmp_path / f"s{index}"), times_s[index::2] - times_s[index], atol=1e-6)
    together_s = starts_s(tmp_path / "whole")
    assert len(together_s) == 60
    # A busy machine may have started a shard late, which it then says; else the shards are one schedule again, as
    # exactly as each has read the wall clock for itself.
    if "begun" not in "".join((tmp_path / f"s{index}" / "stages.json").read_text("utf-8") for index in range(2)):
        assert stage["requests"] == 60
        assert np.allclose(together_s, times_s - times_s[0], atol=0.1)


def starts_s(run: Path) -> Floats:
    """When the requests of a run's level should have been sent, from the first of them."""
    rows = rundir.read_requests(run)
    intended_s = np.sort(rows.intended_s[rows.stage == 0])
    return np.asarray(intended_s - intended_s[0])


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--shard", "0/2", "--out", "x"], "the shards of a load need one seed"),
        (["--shard", "0/2", "--seed", "1"], "each shard needs a folder of its own"),
        (["--shard", "2/2"], "the shards of 2 are 0 to 1, not 2"),
        (["--start-at", "10 o'clock"], "is no time to start at"),
        (["--start-at", "2026-11-21T10:00:00"], "has no time zone"),
    ],
)
def test_a_shard_that_could_not_be_merged_is_refused_before_anything_is_sent(words: list[str], reason: str) -> None:
    with pytest.raises(InputError, match=re.escape(reason)):
        cli.main(["load", "http://127.0.0.1:9", "--model", "m", "--rate", "1/s", *words], standalone_mode=False)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "give either --concurrency or --rate"),
        (["--concurrency", "1,2", "--rate", "1/s"], "give either --concurrency or --rate"),
        (["--concurrency", "1,,2"], "is no list of requests in flight"),
        (["--concurrency", "0"], "is no list of requests in flight"),
        (["--concurrency", "1", "--requests-per-level", "ten"], "is no number of requests"),
        (["--concurrency", "1", "--requests-per-level", "0x"], "at least one request"),
        (["--rate", "1/s,2"], "2"),
        (["--rate", "1/s", "--warmup", "1x"], "no number in flight to multiply"),
        (["--concurrency", "1", "--resume"], "needs the folder of the run to continue"),
        (["--concurrency", "1", "--resume", "--out", "nowhere"], "nowhere"),
    ],
)
def test_a_wrong_sweep_is_refused_before_anything_is_sent(words: list[str], reason: str) -> None:
    with pytest.raises(InputError, match=re.escape(reason)):
        cli.main(["sweep", "http://127.0.0.1:9", "--model", "m", *words], standalone_mode=False)


def test_a_shard_that_is_late_begins_later_and_says_so_and_one_that_missed_it_all_is_refused() -> None:
    now_s, unix_s = time.perf_counter(), time.time()
    on_time = start_of(Moment(unix_s + 30), unix_s, 60.0)
    assert on_time.start_s == pytest.approx(now_s + 30, abs=1) and on_time.late_s == 0
    assert start_of(Moment(in_s=30.0), unix_s, 60.0).start_s == pytest.approx(now_s + 30, abs=1)
    late = start_of(Moment(unix_s - 10), unix_s, 60.0)
    assert late.start_s == pytest.approx(now_s + 0.6, abs=1) and late.late_s == pytest.approx(10.6, abs=1)
    assert re.match(r"begun 1\d(\.\d)? s after the time to start at: its whole part was sent", late.note)
    with pytest.raises(InputError, match="was to start 70 s ago and would be over"):
        start_of(Moment(unix_s - 70), unix_s, 60.0)
    with pytest.raises(InputError, match="more than a week away"):
        start_of(Moment(unix_s + 8 * 86400), unix_s, 60.0)
    assert start_of(None, unix_s, 60.0).start_s is None
