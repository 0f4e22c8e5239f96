"""Running a verb's coroutine so that Ctrl-C and SIGTERM unwind it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

from holdfast.model.errors import HoldfastError

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`. SIGTERM and Ctrl-C cancel it, and raise KeyboardInterrupt when it has unwound; a second one
    cancels what it does to unwind.

    A group of errors that task groups make is raised as its first HoldfastError, when all of it are such.
    """
    try:
        return uvloop.run(_terminable(work))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    except BaseExceptionGroup as group:
        expected, others = group.split(HoldfastError)
        if expected is None or others is not None:
            raise
        first: BaseException = expected
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from first.__cause__


async def _terminable(work: Coroutine[Any, Any, T]) -> T:
    # Not signal.signal: an exception out of a signal handler would be raised, and lost, in whatever callback runs.
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await work
