"""Batches on an event loop, in virtual time: sizes, waits, refusals, failures, clients that leave, and the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVarTuple

import pytest

from holdfast.serving.errors import RequestError
from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.lost import DeviceLostError
from holdfast.serving.hosted.metrics import Labels, Published
from holdfast.serving.hosted.predicting.batcher import Batcher
from virtual_time import run

A = TypeVarTuple("A")
BOUNDS = Bounds(max_batch=4, max_wait_s=0.005, max_queued=8)


@dataclass
class Doubling:
    """Doubles numbers, 20 ms a batch and 1 ms an input; refuses negative ones, and fails on 13 and where told."""

    max_batch: int = 8
    prepare_s: float = 0.0
    fails_above: int = 99
    batches: list[list[int]] = field(default_factory=list)

    def prepare(self, request: int) -> int:
        if request < 0:
            raise RequestError(400, "It is negative.")
        return request

    def shape(self, prepared: int) -> str:
        return "large" if prepared >= 100 else "small"

    def predict(self, batch: Sequence[int]) -> list[int]:
        self.batches.append(list(batch))
        if 13 in batch or len(batch) > self.fails_above:
            raise RuntimeError("out of memory\nand a page of advice")
        return [2 * number for number in batch]

    def warm_up(self) -> None:
        self.predict([0])


Served = tuple[Doubling, Batcher[int, int, int], Published]


def served(
    scene: Callable[[Doubling, Batcher[int, int, int]], Coroutine[Any, Any, Any]],
    bounds: Bounds = BOUNDS,
    **of_predictor: Any,
) -> tuple[Doubling, str]:
    """Runs the scene beside a batcher; what the predictor saw, and what was published."""
    predictor = Doubling(**of_predictor)
    published = Published(Labels("u", "m", "cpu", "n"), has_tokens=False)

    async def on_device(work: Callable[..., Any], *batch: list[int]) -> Any:
        await asyncio.sleep(0.02 + 0.001 * sum(map(len, batch)))
        return work(*batch)

    async def preparing(work: Callable[..., Any], request: int) -> Any:
        await asyncio.sleep(predictor.prepare_s)
        return work(request)

    async def whole() -> None:
        batcher = Batcher(predictor, bounds, published, on_device=on_device, preparing=preparing)
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(batcher.run())
            await scene(predictor, batcher)
            async with asyncio.timeout(60):
                await batcher.idle()
            serving.cancel()

    run(whole(), limit_s=600)
    return predictor, published.exposition().decode()


def value(page: str, name: str, **labels: str) -> float:
    lines = [line for line in page.splitlines() if line.startswith(name + "{")]
    return sum(
        float(line.rsplit(" ", 1)[1])
        for line in lines
        if all(f'{key}="{text}"' in line for key, text in labels.items())
    )


async def gather(batcher: Batcher[int, int, int], *numbers: int) -> list[Any]:
    return await asyncio.gather(*(batcher.answer(number) for number in numbers), return_exceptions=True)


def test_each_gets_its_own_answer_whatever_batch_it_was_in() -> None:
    async def scene(_: Doubling, batcher: Batcher[int, int, int]) -> None:
        assert await gather(batcher, *range(7)) == [2 * number for number in range(7)]

    predictor, page = served(scene)
    assert sorted(number for batch in predictor.batches for number in batch) == list(range(7))
    assert value(page, "vllm:request_success_total", finished_reason="stop") == 7
    assert value(page, "holdfast_batch_size_sum") == 7
    busy_s = 0.02 * len(predictor.batches) + 0.007
    assert value(page, "holdfast_accelerator_busy_seconds_total") == pytest.approx(busy_s, abs=1e-5)


def test_a_lonely_request_waits_for_nobody() -> None:
    async def scene(_: Doubling, batcher: Batcher[int, int, int]) -> None:
        began_s = asyncio.get_running_loop().time()
        assert await batcher.answer(1) == 2
        assert asyncio.get_running_loop().time() - began_s == pytest.approx(0.021, abs=1e-4)

    served(scene)


def test_while_a_batch_runs_the_next_is_gathered_up_to_its_bound() -> None:
    async def scene(_: Doubling, batcher: Batcher[int, int, int]) -> None:
        first = asyncio.create_task(batcher.answer(1))
        await asyncio.sleep(0.001)
        assert batcher.occupancy().running == 1
        await asyncio.gather(first, gather(batcher, 2, 3, 4, 5, 6))

    predictor, _ = served(scene)
    assert predictor.batches == [[1], [2, 3, 4, 5], [6]]


def test_no_batch_is_larger_than_the_predictor_takes() -> None:
    async def scene(_: Doubling, batcher: Batcher[int, int, int]) -> None:
        await gather(batcher, *range(8))

    assert max(map(len, served(scene, max_batch=2)[0].batches)) == 2


def test_shapes_do_not_mix() -> None:
    async def scene(_: Doubling, batcher: Batcher[int, int, int]) -> None:
        await gather(batcher, 1, 100, 2, 101)

    predictor, _ = served(scene)
    assert all(len({number >= 100 for number in batch}) == 1 for batch in predictor.batches)


def test_past_the_queues_bound_there_is_429_and_what_is_being_prepared_counts() -> None:
    async def scene(_: Doubling, batcher: Batcher[int, int, int]) -> None:
        answers = await gather(batcher, *range(12))
        refused = [answer for answer in answers if isinstance(answer, RequestError)]
        assert len(refused) == 4
        assert {(error.status, error.code) for error in refused} == {(429, "queue_full")}
        assert await batcher.answer(1) == 2

    served(scene, prepare_s=0.1)


def test_what_the_predictor_refuses_is_refused_and_holds_up_nobody() -> None:
    async def scene(_: Doubling, batcher: Batcher[int, int, int]) -> None:
        refused, answer = await gather(batcher, -1, 3)
        assert isinstance(refused, RequestError) and refused.status == 400
        assert answer == 6

    assert served(scene)[0].batches == [[3]]


def test_an_input_that_the_model_fails_on_fails_alone() -> None:
    async def scene(_: Doubling, batcher: Batcher[int, int, int]) -> None:
        await batcher.answer(1)
        first = asyncio.create_task(batcher.answer(2))
        await asyncio.sleep(0.001)
        answers = await gather(batcher, 12, 13, 14)
        assert (answers[0], answers[2]) == (24, 28)
        assert isinstance(answers[1], RequestError)
        assert (answers[1].status, answers[1].message) == (500, "The model failed on this request.")
        assert "advice" not in str(answers[1].body())
        assert await first == 4
        assert await batcher.answer(5) == 10

    predictor, page = served(scene)
    assert predictor.batches == [[1], [2], [12, 13, 14], [12], [13], [14], [5]]
    assert value(page, "vllm:request_success_total", finished_reason="error") == 1
    assert value(page, "vllm:request_success_total", finished_reason="stop") == 5


def test_bad_inputs_in_a_row_are_told_from_a_broken_device_by_warming_up_anew() -> None:
    async def scene(_: Doubling, batcher: Batcher[int, int, int]) -> None:
        for number in (13, 13, 1, 13, 13, 13):
            await gather(batcher, number)
        assert await batcher.answer(2) == 4

    predictor, _ = served(scene)
    assert predictor.batches == [[13], [13], [1], [13], [13], [13], [0], [2]]


def test_a_device_that_is_broken_ends_the_server() -> None:
    told: list[Any] = []

    async def scene(predictor: Doubling, batcher: Batcher[int, int, int]) -> None:
        predictor.fails_above = 0
        try:
            told.extend(await gather(batcher, 1, 2, 3, 4, 5, 6))
            await asyncio.Event().wait()
        finally:
            with pytest.raises(RequestError, match="shutting down"):
                await batcher.answer(7)

    with pytest.raises(ExceptionGroup) as ended:
        served(scene)
    assert ended.group_contains(DeviceLostError, match=r"5 times in a row, and then on its warm-up \(out of memory\)")
    assert {(answer.status, answer.code) for answer in told} <= {(500, "model_failed"), (503, "draining")}


def test_who_is_refused_is_told_how_long_the_queue_takes() -> None:
    async def scene(_: Doubling, batcher: Batcher[int, int, int]) -> None:
        await batcher.answer(1)
        waiting = [asyncio.create_task(batcher.answer(1)) for _ in range(200)]
        await asyncio.sleep(0)
        with pytest.raises(RequestError) as refused:
            await batcher.answer(1)
        # 200 wait, and each took 21 ms until now.
        assert refused.value.retry_after_s == 5
        await asyncio.gather(*waiting)

    served(scene, replace(BOUNDS, max_queued=200))


def test_a_batch_that_is_too_much_for_the_memory_is_answered_one_by_one() -> None:
    async def scene(_: Doubling, batcher: Batcher[int, int, int]) -> None:
        first = asyncio.create_task(batcher.answer(1))
        await asyncio.sleep(0.001)
        assert await gather(batcher, 2, 3) == [4, 6]
        await first

    served(scene, fails_above=1)


def test_who_leaves_is_in_no_batch_and_a_batch_of_those_who_left_is_not_begun() -> None:
    async def scene(_: Doubling, batcher: Batcher[int, int, int]) -> None:
        first = asyncio.create_task(batcher.answer(1))
        await asyncio.sleep(0.001)
        others = [asyncio.create_task(batcher.answer(number)) for number in (2, 3, 100)]
        await asyncio.sleep(0.001)
        for other in (others[1], others[2]):
            other.cancel()
        await asyncio.gather(first, *others, return_exceptions=True)

    predictor, page = served(scene)
    assert predictor.batches == [[1], [2]]
    assert value(page, "vllm:request_success_total", finished_reason="abort") == 2


def test_who_leaves_while_its_batch_runs_spoils_it_for_nobody() -> None:
    async def scene(_: Doubling, batcher: Batcher[int, int, int]) -> None:
        first = asyncio.create_task(batcher.answer(1))
        await asyncio.sleep(0.001)
        others = [asyncio.create_task(batcher.answer(number)) for number in (2, 3)]
        await first
        await asyncio.sleep(0.005)
        others[0].cancel()
        assert await others[1] == 6

    predictor, page = served(scene)
    assert predictor.batches == [[1], [2, 3]]
    assert value(page, "vllm:request_success_total", finished_reason="abort") == 1


def test_who_leaves_while_it_is_prepared_frees_its_place() -> None:
    async def scene(_: Doubling, batcher: Batcher[int, int, int]) -> None:
        leaving = [asyncio.create_task(batcher.answer(number)) for number in range(8)]
        await asyncio.sleep(0.01)
        assert batcher.occupancy().waiting == 8
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        assert batcher.occupancy().waiting == 0
        assert await batcher.answer(1) == 2

    assert served(scene, prepare_s=0.1)[0].batches == [[1]]


def test_requests_that_come_together_go_together_once_that_is_seen_to_pay() -> None:
    async def scene(_: Doubling, batcher: Batcher[int, int, int]) -> None:
        async def user(number: int) -> None:
            for _ in range(10):
                assert await batcher.answer(number) == 2 * number
                await asyncio.sleep(0.0003 * number)

        async with asyncio.TaskGroup() as group:
            for number in range(1, 4):
                group.create_task(user(number))

    predictor, _ = served(scene)
    assert [len(batch) for batch in predictor.batches[-6:-1]] == [3] * 5


def test_once_it_has_ended_nobody_is_left_waiting() -> None:
    async def whole() -> list[Any]:
        async def never(work: Callable[..., Any], *_: Any) -> Any:
            await asyncio.get_running_loop().create_future()

        async def at_once(work: Callable[..., Any], request: int) -> Any:
            return work(request)

        published = Published(Labels("u", "m", "cpu", "n"), has_tokens=False)
        batcher = Batcher(Doubling(), BOUNDS, published, on_device=never, preparing=at_once)
        serving = asyncio.create_task(batcher.run())
        asking = [asyncio.create_task(batcher.answer(number)) for number in (1, 2, 100)]
        await asyncio.sleep(0.1)
        serving.cancel()
        answers = await asyncio.gather(*asking, return_exceptions=True)
        await batcher.idle()
        return [*answers, *await asyncio.gather(batcher.answer(4), return_exceptions=True)]

    answers = run(whole(), limit_s=10)
    assert [(error.status, error.code) for error in answers] == [(503, "draining")] * 4


def test_a_minute_without_requests_is_a_minute_without_a_turn_of_the_loop() -> None:
    async def scene(_: Doubling, batcher: Batcher[int, int, int]) -> None:
        await batcher.answer(1)
        loop: Any = asyncio.get_running_loop()
        turn, turns = loop._run_once, 0

        def counted() -> None:
            nonlocal turns
            turns += 1
            turn()

        loop._run_once = counted
        await asyncio.sleep(60)
        assert turns <= 3

    served(scene)


def test_the_bounds_of_a_batcher_hold_for_any_of_its_settings() -> None:
    async def scene(_: Doubling, batcher: Batcher[int, int, int]) -> None:
        await gather(batcher, *range(8))

    assert max(map(len, served(scene, replace(BOUNDS, max_batch=1))[0].batches)) == 1
