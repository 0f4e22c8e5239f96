"""Processes that cannot outlive this one.

Each child leads its own session, so that Ctrl-C reaches only its parent, which then stops its children in
order, and so that one signal reaches the child's own children too. Should this process die without a word
(SIGKILL, out of memory), Linux kills each child: see `leash`. Other systems lack that last resort, and what
a child itself has started is beyond its reach.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from holdfast.model.errors import HoldfastError

_REAP_S = 10.0
_LEASH = str(Path(__file__).with_name("leash.py"))


async def spawn(argv: Sequence[str], output: Path, log: Path) -> Process:
    """Start `argv`; its stdout goes to `output` and its stderr to `log`, both begun anew.

    Files and no pipes: asyncio believes a process to be alive while anybody holds the other end of its pipe,
    and the children of one that crashed may hold it for long.
    """
    with contextlib.ExitStack() as stack:
        stdout, stderr = stack.enter_context(_empty(output)), stack.enter_context(_empty(log))
        return await asyncio.create_subprocess_exec(
            *_leashed(argv), stdin=DEVNULL, stdout=stdout, stderr=stderr, start_new_session=True
        )


async def terminate(process: Process, grace_s: float) -> None:
    """SIGTERM, at most `grace_s` seconds to obey, SIGKILL. Returns when the process is gone."""
    _signal(process, signal.SIGTERM)
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await process.wait()
    finally:
        await reap(process)


async def reap(process: Process) -> None:
    """SIGKILL for the process and all that it started. Returns when it is gone.

    Raises HoldfastError when the kernel does not let go of it for 10 s.
    """
    kill(process)
    try:
        async with asyncio.timeout(_REAP_S):
            await process.wait()
    except TimeoutError as error:
        raise HoldfastError(f"process {process.pid} did not die of SIGKILL within {_REAP_S:g} s") from error


def kill(process: Process) -> None:
    """SIGKILL for the process and all that it started, without waiting."""
    _signal(process, signal.SIGKILL)


def tail(log: Path, lines: int = 5) -> str:
    """The last lines of a log, for an error message."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""


def _empty(path: Path) -> BinaryIO:
    return path.open("wb")


def _leashed(argv: Sequence[str]) -> list[str]:
    if sys.platform != "linux":
        return list(argv)
    return [sys.executable, "-I", "-S", _LEASH, str(os.getpid()), *argv]


def _signal(process: Process, number: signal.Signals) -> None:
    # The group may have members left when its leader is gone already, hence no look at the return code.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
