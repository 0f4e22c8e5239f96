"""Batches in real threads: the event loop is never held up, and one thread alone touches the device."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence

from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.metrics import Labels, Published
from holdfast.serving.hosted.predicting.batcher import Batcher


class Sleeping:
    """Blocks for 20 ms in its thread, and says which that was."""

    max_batch = 4

    def prepare(self, request: int) -> int:
        time.sleep(0.002)
        return request

    def shape(self, prepared: int) -> None:
        return None

    def predict(self, batch: Sequence[int]) -> list[tuple[int, str]]:
        time.sleep(0.02)
        return [(number, threading.current_thread().name) for number in batch]

    def warm_up(self) -> None:
        pass


def test_threads_answer_while_the_event_loop_goes_on() -> None:
    published = Published(Labels("u", "m", "cpu", "n"), has_tokens=False)
    batcher = Batcher(Sleeping(), Bounds(max_batch=4), published)

    async def whole() -> tuple[list[tuple[int, str]], int]:
        turns = 0

        async def beat() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0.002)
                turns += 1

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(batcher.run()), group.create_task(beat())]
            async with asyncio.timeout(20):
                answers = await asyncio.gather(*(batcher.answer(number) for number in range(16)))
                await batcher.idle()
            for task in tasks:
                task.cancel()
        return answers, turns

    answers, turns = asyncio.run(whole())
    assert [number for number, _ in answers] == list(range(16))
    assert {name.rstrip("0123456789") for _, name in answers} == {"device_"}
    assert len({name for _, name in answers}) == 1
    # At least four batches of 20 ms: had they run on the loop, it had had no turn.
    assert turns >= 10
