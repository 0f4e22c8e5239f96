from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

STAND_IN = Path(__file__).with_name("stand_in.py")


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts stand-in servers by mode and gives their URLs; they end with the test."""
    processes = []

    def start(mode: str, service_s: float = 0.002) -> str:
        port_file = tmp_path / f"{mode}.port"
        processes.append(subprocess.Popen([sys.executable, str(STAND_IN), str(port_file), mode, str(service_s)]))
        for _ in range(1000):
            if port_file.exists():
                return f"http://127.0.0.1:{port_file.read_text()}"
            time.sleep(0.01)
        raise TimeoutError("the stand-in did not start within 10 s")

    yield start
    for process in processes:
        process.kill()
        process.wait(5)
