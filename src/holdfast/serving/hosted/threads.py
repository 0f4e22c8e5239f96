"""Where blocking work is done: one thread for the device, a few for preparing inputs."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, TypeVarTuple

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")

DEVICE = concurrent.futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="device")
"""All that touches the device, in the order in which it was asked for."""

PREPARING = concurrent.futures.ThreadPoolExecutor(max_workers=2, thread_name_prefix="prepare")


Blocking = Callable[..., Coroutine[Any, Any, Any]]
"""Does blocking work (a function and its arguments) beside the event loop; what it gives is awaited."""


async def on_device(work: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
    """In the thread of the device.

    Cancelled, work that has not begun never does; what has begun goes on, and its result is lost.
    """
    return await asyncio.get_running_loop().run_in_executor(DEVICE, work, *arguments)


async def preparing(work: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
    """In one of the threads that prepare inputs; cancelled as on_device is."""
    return await asyncio.get_running_loop().run_in_executor(PREPARING, work, *arguments)
