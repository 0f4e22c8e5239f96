from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

from holdfast.cli.main import main

Run = Callable[..., subprocess.CompletedProcess[str]]

_MOST_S = 60


@pytest.fixture
def holdfast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in a folder of the test and in the test's own process, which saves the start of another."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["holdfast", *arguments])
        capsys.readouterr()
        before = signal.signal(signal.SIGALRM, _too_long)
        signal.alarm(_MOST_S)
        try:
            with pytest.raises(SystemExit) as ended:
                main()
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)
        said = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, int(ended.value.code or 0), said.out, said.err)

    return run


@pytest.fixture
def holdfast_process(tmp_path: Path) -> Run:
    """Runs the command as a user does, in a process of its own."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "holdfast", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=_MOST_S, check=False, cwd=tmp_path)

    return run


def _too_long(_: int, __: FrameType | None) -> None:
    raise TimeoutError(f"the command took more than {_MOST_S} s")
