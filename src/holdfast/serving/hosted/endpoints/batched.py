"""Asking a batcher for one answer, or for several that belong to one request."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar

from holdfast.serving.errors import RequestError
from holdfast.serving.hosted.predicting.batcher import Batcher
from holdfast.serving.hosted.service import Service

Answer = TypeVar("Answer")


async def answers(batcher: Batcher[Any, Any, Answer], requests: Sequence[Any]) -> list[Answer]:
    """The answers in the order of the requests. One that is refused is raised, and the rest are given up."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(batcher.answer(request), name="input") for request in requests]
    except* RequestError as refused:
        first: BaseException = refused
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None
    return [task.result() for task in tasks]


def require_room(count: int, service: Service, param: str) -> None:
    """Raises RequestError 400 for more inputs in one request than could ever wait at once."""
    most = service.bounds.max_queued
    if count > most:
        raise RequestError(400, f"{param} has {count} inputs; this server takes {most} at once", param=param)
