"""The life of one process."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.local.replica import MOVES, Phase, Replica

Alive = Callable[[int], bool]
Standin = Callable[..., list[str]]


def follow(log: Path, argv: list[str], *, start_s: float = 5.0) -> tuple[Replica, list[Phase]]:
    """A replica and the phases that it goes through."""
    phases: list[Phase] = []
    replica = Replica("r", argv, log, lambda: phases.append(replica.phase), start_s=start_s)
    return replica, phases


async def until_ready(replica: Replica) -> None:
    async with asyncio.timeout(5):
        while replica.phase is not Phase.READY:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("before", "after"), list(itertools.product(Phase, Phase)))
def test_a_replica_makes_the_moves_of_the_table_and_no_others(before: Phase, after: Phase, tmp_path: Path) -> None:
    replica, phases = follow(tmp_path / "log", ["none"])
    replica._phase = before
    if after in MOVES[before]:
        replica._move(after)
        assert phases == [after]
    else:
        with pytest.raises(RuntimeError, match=f"from {before.value} to {after.value}"):
            replica._move(after)
        assert (replica.phase, phases) == (before, [])


def test_a_terminated_replica_goes_through_every_phase(tmp_path: Path, standin: Standin, alive: Alive) -> None:
    replica, phases = follow(tmp_path / "log", standin())

    async def body() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(replica.run())
            await until_ready(replica)
            await replica.terminate(5)

    asyncio.run(body())
    assert phases == [Phase.LOADING, Phase.READY, Phase.DRAINING, Phase.DEAD]
    assert replica.was_drained
    assert replica.pid is not None and not alive(replica.pid)


def test_a_killed_replica_dies_without_draining(tmp_path: Path, standin: Standin, alive: Alive) -> None:
    replica, phases = follow(tmp_path / "log", standin())

    async def body() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(replica.run())
            await until_ready(replica)
            replica.kill()

    asyncio.run(body())
    assert phases[-2:] == [Phase.READY, Phase.DEAD]
    assert not replica.was_drained
    assert replica.pid is not None and not alive(replica.pid)


def test_a_replica_deaf_to_sigterm_is_killed_after_its_grace(tmp_path: Path, standin: Standin, alive: Alive) -> None:
    replica, _ = follow(tmp_path / "log", standin("--deaf"))

    async def body() -> float:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(replica.run())
            await until_ready(replica)
            began = time.monotonic()
            await replica.terminate(0.3)
            return time.monotonic() - began

    assert 0.3 <= asyncio.run(body()) < 3
    assert replica.pid is not None and not alive(replica.pid)


def test_a_cancelled_replica_leaves_no_process(tmp_path: Path, standin: Standin, alive: Alive) -> None:
    replica, phases = follow(tmp_path / "log", standin("--deaf"))

    async def body() -> None:
        task = asyncio.create_task(replica.run())
        await until_ready(replica)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(body())
    assert phases[-1] is Phase.DEAD
    assert replica.pid is not None and not alive(replica.pid)


def test_a_replica_asked_to_go_before_it_exists_goes_at_once(tmp_path: Path, standin: Standin) -> None:
    replica, phases = follow(tmp_path / "log", standin())

    async def body() -> None:
        replica.kill()
        async with asyncio.timeout(5):
            await replica.run()

    asyncio.run(body())
    assert phases == [Phase.DRAINING, Phase.DEAD]


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import time; time.sleep(60)", "announced no URL within 0.5 s"),
        ('import time; print(\'{"event": "listening"}\', flush=True); time.sleep(60)', "announced no URL"),
        ("raise SystemExit('no such model')", "no such model"),
    ],
    ids=["silent", "without a URL", "crashing"],
)
def test_a_process_that_never_listens_is_dead_and_its_log_says_why(tmp_path: Path, program: str, said: str) -> None:
    log = tmp_path / "log"
    replica, phases = follow(log, [sys.executable, "-c", program], start_s=0.5)

    async def body() -> None:
        async with asyncio.timeout(5):
            await replica.run()

    asyncio.run(body())
    assert phases == [Phase.DEAD]
    assert said in log.read_text()


def test_what_a_replica_started_dies_with_it(tmp_path: Path, alive: Alive) -> None:
    note = tmp_path / "grandchild"
    program = (
        "import pathlib, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"pathlib.Path({str(note)!r}).write_text(str(child.pid))\n"
    )
    replica, _ = follow(tmp_path / "log", [sys.executable, "-c", program])

    async def body() -> None:
        async with asyncio.timeout(5):
            await replica.run()

    asyncio.run(body())
    deadline = time.monotonic() + 3
    while alive(int(note.read_text())) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(int(note.read_text()))


def test_a_replica_that_never_takes_its_port_says_so(tmp_path: Path) -> None:
    replica, _ = follow(tmp_path / "log", [sys.executable, "-c", "import time; time.sleep(60)", "{port}"], start_s=0.3)
    asyncio.run(replica.run())
    assert "took no connection on port" in (tmp_path / "log").read_text()
