"""One load to several targets: a folder each, a table while it runs, a Prometheus endpoint, and an orderly end."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client import parser

from cli.conftest import Run
from holdfast.cli.load import load
from holdfast.load import rundir
from holdfast.model.errors import InputError

STAND_IN = Path(__file__).parents[1] / "load" / "stand_in.py"
FLAGS = ("--api", "images", "--model", "m")


@pytest.fixture
def targets(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Two servers that answer in 2 ms each."""
    processes, urls = [], list[str]()
    for name in ("a", "b"):
        port = tmp_path / f"{name}.port"
        processes.append(subprocess.Popen([sys.executable, str(STAND_IN), str(port), "ok", "0.002"]))
        for _ in range(1000):
            if port.exists():
                break
            time.sleep(0.01)
        urls.append(f"http://127.0.0.1:{port.read_text()}")
    yield urls[0], urls[1]
    for process in processes:
        process.kill()
        process.wait(5)


def scraped(url: str) -> dict[tuple[str, str, str], float]:
    """Samples by name, target and outcome."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        families = list(parser.text_string_to_metric_families(answer.read().decode()))
    samples = [sample for family in families for sample in family.samples]
    return {
        (one.name.removeprefix("holdfast_load_"), one.labels["target"], one.labels.get("outcome", "")): one.value
        for one in samples
    }


def until(condition: Callable[[], bool]) -> None:
    for _ in range(200):
        if condition():
            return
        time.sleep(0.1)
    raise TimeoutError("not within 20 s")


def test_each_target_gets_the_load_and_a_folder(holdfast: Run, targets: tuple[str, str], tmp_path: Path) -> None:
    a, b = targets
    done = holdfast(
        "load", f"A={a}", f"B={b}", *FLAGS, "--rate", "50/s", "--duration", "1s", "--out", "run", "--json"
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)["targets"]
    assert {name: one["run_dir"] for name, one in told.items()} == {"A": "run/A", "B": "run/B"}
    for name in ("A", "B"):
        assert len(rundir.read_requests(tmp_path / "run" / name)) >= 50
        assert told[name]["stage"]["requests"] == 50


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("http://x:1", "http://y:1"), "has no name; write several targets like A=http://host:8000"),
        (("A=http://x:1", "A=http://y:1"), "two targets have the name 'A'; give each its own"),
        (("A=http://x:1", "B=http://y:1", "--scrape", "gpu=http://z:1"), "'gpu' is none of the targets"),
        (("http://x:1", "--duration", "forever", "--wave-to", "2/s"), "a wave without end needs its period"),
        (("http://x:1", "--duration", "forever", "--out", "run"), "--out: nothing is recorded of a load without end"),
        (("http://x:1", "--duration", "forever", "--slo", "p95<1s"), "--slo: nothing is held against it"),
        (("http://x:1", "--duration", "forever", "--ramp-to", "2/s"), "a load without end has a rate or a wave"),
        (("http://x:1", "--phase", "1min"), "--phase: this is of --wave-to; leave it out"),
    ],
)
def test_what_makes_no_sense_is_a_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(InputError, match=re.escape(sentence)):
        load.main([*arguments, *FLAGS, "--rate", "1/s"], standalone_mode=False)


def test_a_load_without_end_is_published_and_summed_up(targets: tuple[str, str], tmp_path: Path) -> None:
    a, b = targets
    command = [
        sys.executable, "-m", "holdfast", "load", f"A={a}", f"B={b}", *FLAGS, "--rate", "10/s", "--wave-to", "60/s",
        "--period", "4s", "--phase", "2s", "--duration", "forever", "--metrics-port", "0", "--json",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env={**os.environ}
    )
    try:
        assert process.stderr is not None
        url = process.stderr.readline().removeprefix("metrics: ").strip()
        until(lambda: scraped(url)["requests_total", "A", "ok"] > 60)
        seen = scraped(url)
        for target in ("A", "B"):
            assert seen["latency_seconds_count", target, ""] == seen["requests_total", target, "ok"]
            assert seen["latency_seconds_sum", target, ""] > 0.002 * seen["latency_seconds_count", target, ""]
        # Half a period apart, the two waves add up to the same rate at any time.
        assert seen["offered_per_second", "A", ""] + seen["offered_per_second", "B", ""] == pytest.approx(70, rel=0.1)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait(5)
    assert process.returncode == 0
    served = {row[0]: (row[1], row[2]) for row in json.loads(out)["rows"]}
    assert served["A"][0] >= seen["requests_total", "A", "ok"]
    assert (served["A"][1], served["B"][1]) == (0, 0)
    assert not (tmp_path / "holdfast-runs").exists()


def test_on_a_terminal_a_table_is_renewed_and_ctrl_c_leaves_the_cursor(
    targets: tuple[str, str], tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "holdfast",
        "load",
        f"A={targets[0]}",
        *FLAGS,
        "--rate",
        "30/s",
        "--duration",
        "60s",
    ]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=theirs, cwd=tmp_path, env=environment)
    os.close(theirs)
    shown = ""
    try:
        deadline_s = time.monotonic() + 20
        while not re.search(r"\n {10,}\d+(\.\d+)? +\d+(\.\d+)? +\d+ +\d+ ms", shown) and time.monotonic() < deadline_s:
            shown += os.read(ours, 65536).decode()
        process.send_signal(signal.SIGINT)
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break  # the other end is closed
            if not piece:
                break
            shown += piece.decode()
        process.wait(20)
    finally:
        process.kill()
        process.wait(5)
        os.close(ours)
    assert re.search(r"0:0\d of 1:00; the last 10 s:", shown)
    assert "latency" in shown
    assert process.returncode == 130
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")  # the cursor is shown again
    assert shown.rstrip().endswith("holdfast: interrupted")
