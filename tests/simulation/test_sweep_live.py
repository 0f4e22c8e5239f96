"""Sweeps give the same wherever they are run, name what failed, and end with all their processes."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from holdfast.model import codec
from holdfast.model.errors import InputError
from holdfast.simulation import study, sweep
from holdfast.simulation.sweep import Answers, Carry, Case, Trial
from simulation.small_fleets import LOSS, case

CASES = (case("3min"), case("3min", "lost", events=[LOSS]))
ASKED = study.Asked(("merit-order", "two-mode"), (1, 2), None)


def found_by(carry: Carry) -> str:
    found = study.run(CASES, ASKED, carry)
    return codec.dumps(found.study) + codec.dumps(found.timelines)


@pytest.fixture(scope="module")
def in_turn() -> str:
    return found_by(sweep.in_turn)


def test_all_cores_find_what_one_does(in_turn: str) -> None:
    assert found_by(sweep.on_cores(2)) == in_turn
    assert not multiprocessing.active_children()


def test_the_order_of_arrival_does_not_matter(in_turn: str) -> None:
    def backwards(cases: Sequence[Case], wanted: Sequence[Trial]) -> Answers:
        yield from reversed(list(sweep.in_turn(cases, wanted)))

    assert found_by(backwards) == in_turn


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed: pip install 'holdfast[ray]'")
def test_a_ray_cluster_finds_what_one_core_does(in_turn: str) -> None:
    # In a process of its own: Ray leaves threads, sockets and warnings behind that are no business of other tests.
    code = (
        "import simulation.test_sweep_live as tests, holdfast.simulation.sweep as sweep\n"
        "print(tests.found_by(sweep.on_ray('local')), end='')"
    )
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    environment = os.environ | {"PYTHONPATH": path, "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == in_turn


def test_without_ray_or_without_its_cluster_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match="Ray is not installed"):
        found_by(sweep.on_ray("auto"))


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed: pip install 'holdfast[ray]'")
@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:a"])
def test_a_cluster_that_does_not_answer_is_told_at_once(address: str) -> None:
    with pytest.raises(InputError, match="no Ray cluster answers at"):
        found_by(sweep.on_ray(address))


@pytest.mark.parametrize("carry", [sweep.in_turn, sweep.on_cores(2)])
def test_a_run_that_fails_is_named(carry: Carry) -> None:
    wanted = [Trial(0, "merit-order", 1, True), Trial(1, "no-such-policy", 7, True)]
    with pytest.raises(sweep.TrialError, match="scenario lost under no-such-policy with seed 7 failed: KeyError"):
        sweep.sweep(CASES, wanted, carry)
    assert not multiprocessing.active_children()


def test_a_process_that_is_killed_is_told_with_its_run() -> None:
    killed: list[int] = []

    def kill(made: int) -> None:
        victim = multiprocessing.active_children()[0]
        killed.append(victim.pid or 0)
        os.kill(victim.pid or 0, signal.SIGKILL)

    wanted = sweep.trials([500.0], ["merit-order"], range(12))
    with pytest.raises(sweep.TrialError, match="its process was killed"):
        sweep.sweep(CASES, wanted, sweep.on_cores(1), kill)
    assert len(killed) == 1


@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGKILL])
def test_the_end_of_a_sweep_is_the_end_of_its_processes(way: signal.Signals, tmp_path: Path) -> None:
    script = tmp_path / "long.py"
    script.write_text(
        "import multiprocessing\n"
        "from simulation.small_fleets import case\n"
        "from holdfast.simulation import sweep\n"
        "if __name__ == '__main__':\n"
        "    tell = lambda made: print(*[p.pid for p in multiprocessing.active_children()], flush=True)\n"
        "    sweep.sweep([case('30min')], sweep.trials([1.0], ['merit-order'], range(5000)), sweep.on_cores(2), tell)\n"
    )
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=os.environ | {"PYTHONPATH": path},
    ) as parent:  # fmt: skip
        assert parent.stdout is not None
        children = [int(pid) for pid in parent.stdout.readline().split()]
        parent.send_signal(way)
        parent.wait(timeout=20)
    assert len(children) == 2
    deadline_s = time.monotonic() + 10
    while any(_lives(pid) for pid in children) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert not any(_lives(pid) for pid in children)


def _lives(pid: int) -> bool:
    """Whether the process runs; one that waits to be buried does not."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(done.stdout.strip()) and not done.stdout.startswith("Z")
