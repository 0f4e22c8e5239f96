"""`holdfast limit --workers`: a search that loses a worker ends, and what it had measured is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.conftest import Run
from holdfast.load import runs
from processes import alive, descendants

STAND_IN = Path(__file__).parents[1] / "load" / "stand_in.py"


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A server that answers one request after the other, in 5 ms each."""
    port = tmp_path / "port"
    with subprocess.Popen([sys.executable, str(STAND_IN), str(port), "ok", "0.005"]) as server:
        for _ in range(1000):
            if port.exists():
                break
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port.read_text()}"
        server.kill()


WORDS = ["--api", "images", "--model", "m", "--slo", "p95<0.1s", "--arrivals", "constant", "--requests", "40"]
WORDS += ["--longest", "1s", "--precision", "20%", "--workers", "2", "--drain", "1s", "--out", "run"]


@contextmanager
def searching(url: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A search that has held a level, and its workers."""
    command = [sys.executable, "-m", "holdfast", "limit", url, *WORDS]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as search:
        deadline = time.monotonic() + 30
        while not (folder / "run" / "stages.json").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield search, descendants(search.pid)


def test_a_worker_that_is_killed_in_mid_search_is_a_sentence_and_the_search_can_go_on(
    holdfast: Run, url: str, tmp_path: Path
) -> None:
    with searching(url, tmp_path) as (search, workers):
        os.kill(workers[1], signal.SIGKILL)
        _, said = search.communicate(timeout=20)
    assert search.returncode == 1
    *kept, sentence = said.splitlines()
    assert sentence.startswith("holdfast: worker ") and "was killed by SIGKILL, so the load was not" in sentence
    assert "kept; to go on:" in kept[-2] and kept[-1].endswith("--out run --resume")
    assert len(workers) == 2 and not any(map(alive, workers))
    run = runs.read(tmp_path / "run")
    assert run.curve.stages[0].ok >= 16 and run.cut_off.startswith("the run was interrupted after")
    held = len(runs.measured_levels(tmp_path / "run"))
    resumed = holdfast("limit", url, *WORDS, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert len(runs.read(tmp_path / "run").curve.stages) > held >= 1
    assert "requests/s (between" in resumed.stdout


def test_an_impatient_ctrl_c_is_no_traceback_and_leaves_nothing_running(url: str, tmp_path: Path) -> None:
    with searching(url, tmp_path) as (search, workers):
        for _ in range(2):
            search.send_signal(signal.SIGINT)
            time.sleep(0.02)
        _, said = search.communicate(timeout=20)
    assert search.returncode == 130
    assert "Traceback" not in said and said.endswith("\nholdfast: interrupted\n")
    assert len(workers) == 2 and not any(map(alive, workers))
    assert runs.read(tmp_path / "run").cut_off.startswith("the run was interrupted after")
