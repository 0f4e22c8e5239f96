"""Whatever ends the parent, no process of its fleet outlives it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from processes import alive

_PARENT = """
import asyncio, json, signal, sys
from pathlib import Path
from holdfast.local import fleet

def interrupt(*_):
    raise KeyboardInterrupt

async def main(directory, argv):
    pool = fleet.PoolSpec("a", lambda number: argv, 1.0, 1.0, 2, 0, 2)
    patience = fleet.Patience(grace_s=1.0)
    async with fleet.running([pool], Path(directory), weights={"a": 1}, patience=patience) as running:
        await running.wait_ready(10)
        print(json.dumps(running.pids), flush=True)
        await asyncio.sleep(60)

signal.signal(signal.SIGTERM, interrupt)
try:
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the leash is Linux's PR_SET_PDEATHSIG")
@pytest.mark.parametrize(
    ("number", "deaf"),
    [(signal.SIGKILL, False), (signal.SIGKILL, True), (signal.SIGINT, False), (signal.SIGTERM, True)],
)
def test_no_process_outlives_its_parent(
    tmp_path: Path,
    standin: Callable[..., list[str]],
    number: signal.Signals,
    deaf: bool,
) -> None:
    argv = standin("--deaf") if deaf else standin()
    command = [sys.executable, "-c", _PARENT, str(tmp_path), *argv]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = json.loads(parent.stdout.readline())
        assert len(pids) == 3 and all(alive(pid) for pid in pids)
        parent.send_signal(number)
        said, _ = parent.communicate(timeout=10)
    assert said == ("" if number is signal.SIGKILL else "interrupted\n")
    deadline = time.monotonic() + 5
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [pid for pid in pids if alive(pid)] == []
