"""`holdfast export`, and what is left of a run that was killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdfast.load import runs

EXAMPLES = Path(__file__).parents[2] / "examples"
STAND_IN = Path(__file__).parents[1] / "load" / "stand_in.py"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A server that streams twenty tokens."""
    port = tmp_path / "port"
    with subprocess.Popen([sys.executable, str(STAND_IN), str(port), "stream", "0.002"]) as server:
        for _ in range(1000):
            if port.exists() and port.read_text():
                break
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port.read_text()}"
        server.kill()


LOAD = ("--model", "m", "--concurrency", "2", "--input-tokens", "11", "--output-tokens", "20", "--out", "run")


def test_a_run_is_exported_for_people_plans_and_vllms_scripts(holdfast: Run, tmp_path: Path, url: str) -> None:
    done = holdfast("load", url, *LOAD, "--duration", "0.5s")
    assert done.returncode == 0, done.stderr
    assert "TPOT p95" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80

    whole = json.loads(holdfast("export", "run").stdout)
    (stage,) = whole["stages"]
    assert (whole["run"]["status"], whole["cut_off"], whole["breaking_point"]) == ("done", "", None)
    assert whole["run"]["spec"]["workload"]["inputTokens"]["mean"] == 11
    assert stage["itl"]["n"] > stage["tpot"]["n"] > 10

    (line,) = holdfast("export", "run", "--format", "vllm", "--requests").stdout.splitlines()
    level = json.loads(line)
    assert level["completed"] == stage["ok"] == len(level["itls"])
    assert level["total_output_tokens"] == stage["tokens_out"] == 20 * level["completed"]
    assert {len(gaps) for gaps in level["itls"]} == {19}

    assert holdfast("export", "run", "--format", "csv", "--requests", "--out", "rows.csv").returncode == 0
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 1 + stage["requests"]

    fleet = (EXAMPLES / "llama-3.1-8b" / "fleet.yaml").read_text()
    for old, new in (("rate: 100/s, peak: 150/s", "rate: 1/s, peak: 2/s"), ("survive: one-pool", "survive: none")):
        assert old in fleet
        fleet = fleet.replace(old, new)
    (tmp_path / "fleet.yaml").write_text(fleet)
    done = holdfast("export", "run", "--format", "csv", "--unit", "a10g-bs8-tp4", "--out", "m.csv")
    assert done.returncode == 0, done.stderr
    planned = holdfast("plan", "fleet.yaml", "--measurements", "m.csv", "--json")
    assert planned.returncode == 0, planned.stderr
    (pool,) = json.loads(planned.stdout)["pools"]
    assert (pool["unit"], pool["limit_per_s"]) == ("a10g-bs8-tp4", stage["achieved_per_s"])


def rows_there(run: Path) -> int:
    file = run / "requests.journal"
    return max(0, file.stat().st_size - 16) // 80 if file.exists() else 0


def ended(folder: Path, url: str, ending: signal.Signals) -> runs.Run:
    """The run of a load that was sent this signal once some of its requests were on disk."""
    command = [sys.executable, "-m", "holdfast", "load", url, *LOAD, "--duration", "30s"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL) as load:
        for _ in range(2000):
            if rows_there(folder / "run") > 20:
                break
            time.sleep(0.01)
        load.send_signal(ending)
    return runs.read(folder / "run")


def test_a_run_that_is_killed_keeps_all_but_its_last_second(holdfast: Run, tmp_path: Path, url: str) -> None:
    run = ended(tmp_path, url, signal.SIGKILL)
    (stage,) = run.curve.stages
    assert stage.ok >= 20
    assert stage.level.concurrency == 2
    assert stage.itl is not None
    sentence = f"the run was cut off after {run.requests:,} requests; figures are of what is there"
    exported = holdfast("export", "run", "--format", "vllm")
    assert exported.stderr == f"holdfast: {sentence}.\n"
    assert json.loads(exported.stdout)["completed"] == stage.ok
    assert holdfast("report", "run", "--out", "run.html").returncode == 0
    assert f"T{sentence[1:]}." in (tmp_path / "run.html").read_text()


def test_a_run_that_is_interrupted_keeps_every_request(tmp_path: Path, url: str) -> None:
    run = ended(tmp_path, url, signal.SIGINT)
    assert run.cut_off.startswith("the run was interrupted after")
    assert run.curve.stages[0].ok >= 20
    assert (tmp_path / "run" / "requests.parquet").exists()
    assert not (tmp_path / "run" / "requests.journal").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("export", "nowhere"), "there is no run to read"),
        (("export", "nowhere", "--requests"), "requests are exported as csv or vllm"),
    ],
)
def test_what_cannot_be_exported_is_one_sentence(holdfast: Run, arguments: tuple[str, ...], words: str) -> None:
    done = holdfast(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
