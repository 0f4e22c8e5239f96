"""The loop that does not wait."""

from __future__ import annotations

import asyncio

import pytest

import virtual_time


def test_hours_of_sleep_take_no_time_and_happen_in_order() -> None:
    async def scene() -> tuple[list[str], float]:
        loop = asyncio.get_running_loop()
        begun, heard = loop.time(), []

        async def say(after_s: float, what: str) -> None:
            await asyncio.sleep(after_s)
            heard.append(what)

        async with asyncio.TaskGroup() as group:
            group.create_task(say(7200, "later"))
            group.create_task(say(0.001, "soon"))
        return heard, loop.time() - begun

    heard, took_s = virtual_time.run(scene())
    assert heard == ["soon", "later"]
    assert took_s == pytest.approx(7200, abs=1e-3)


def test_waiting_for_nothing_is_an_error_and_not_a_hang() -> None:
    with pytest.raises(virtual_time.Stuck):
        virtual_time.run(asyncio.Event().wait())


def test_what_takes_too_long_meets_the_limit() -> None:
    async def scene() -> None:
        await asyncio.sleep(1000)

    with pytest.raises(virtual_time.Stuck):
        virtual_time.run(scene(), limit_s=100)
