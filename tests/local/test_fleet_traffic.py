"""Requests through the real Envoy to real processes."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from holdfast.local import fleet as fleets
from holdfast.local.fleet import LocalFleet, PoolSpec

if TYPE_CHECKING:
    from local.conftest import Client

Specs = Callable[..., PoolSpec]


def run(
    directory: Path, specs: list[PoolSpec], weights: dict[str, int], body: Callable[[LocalFleet], Awaitable[None]]
) -> None:
    """`body` with a fleet that is ready, at most 20 s."""

    async def bounded() -> None:
        async with asyncio.timeout(20), fleets.running(specs, directory, weights=weights) as fleet:
            await fleet.wait_ready(10)
            await body(fleet)

    asyncio.run(bounded())


async def until(holds: Callable[[], bool | Awaitable[bool]], timeout_s: float = 5.0) -> None:
    async with asyncio.timeout(timeout_s):
        while True:
            held = holds()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(0.02)


def test_requests_split_by_the_weights_and_name_their_pool(tmp_path: Path, spec: Specs, client: Client) -> None:
    async def body(fleet: LocalFleet) -> None:
        replies = await client.steady(fleet.url, 400, 0.001)
        assert {reply.status for reply in replies} == {200}
        # 400 draws at 3/4: a standard deviation of 8.7, so 45 is more than five of them.
        assert abs(Counter(reply.pool for reply in replies)["a"] - 300) < 45

    run(tmp_path, [spec("a"), spec("b")], {"a": 75, "b": 25}, body)


def test_a_weight_change_is_in_effect_within_a_second(tmp_path: Path, spec: Specs, client: Client) -> None:
    async def body(fleet: LocalFleet) -> None:
        began = time.monotonic()
        await fleet.envoy.set_weights({"b": 100})
        took_s = time.monotonic() - began
        replies = await client.steady(fleet.url, 50, 0.001)
        assert {reply.pool for reply in replies} == {"b"}
        assert took_s < 1

    run(tmp_path, [spec("a"), spec("b")], {"a": 100}, body)


def test_weights_that_are_all_zero_leave_the_last_ones(tmp_path: Path, spec: Specs, client: Client) -> None:
    async def body(fleet: LocalFleet) -> None:
        await fleet.envoy.set_weights({"a": 0, "b": 0})
        assert fleet.envoy.weights == {"a": 0, "b": 100}
        assert (await client.post(fleet.url)).pool == "b"

    run(tmp_path, [spec("a"), spec("b")], {"b": 100}, body)


def test_requests_are_answered_503_until_there_are_weights(tmp_path: Path, spec: Specs, client: Client) -> None:
    async def body(fleet: LocalFleet) -> None:
        assert (await client.post(fleet.url)).status == 503

    run(tmp_path, [spec("a")], {}, body)


@pytest.mark.parametrize("weights", [{"a": 90, "b": 10}, {"a": 100, "b": 0}])
def test_withdrawing_a_pool_with_requests_in_flight_loses_none(
    tmp_path: Path, spec: Specs, client: Client, weights: dict[str, int]
) -> None:
    async def body(fleet: LocalFleet) -> None:
        async with asyncio.TaskGroup() as tasks:
            load = tasks.create_task(client.steady(fleet.url, 120, 0.01))
            await asyncio.sleep(0.6)
            await fleet.withdraw("a")
        replies = load.result()
        assert Counter(reply.status for reply in replies) == {200: 120}
        assert any(reply.pool == "b" and reply.attempts > 1 for reply in replies)
        assert replies[0].pool == "a" or weights["b"]
        assert {reply.pool for reply in replies[90:]} == {"b"}

    run(tmp_path, [spec("a", "--delay-s", "0.5", planned=2), spec("b", "--delay-s", "0.1")], weights, body)


def test_a_replica_that_crashes_with_requests_in_flight_loses_none_and_is_started_again(
    tmp_path: Path, spec: Specs, client: Client
) -> None:
    async def body(fleet: LocalFleet) -> None:
        victim = (await client.post(fleet.url)).pid
        async with asyncio.TaskGroup() as tasks:
            load = tasks.create_task(client.steady(fleet.url, 100, 0.01))
            await asyncio.sleep(0.4)
            os.kill(victim, signal.SIGKILL)
        assert Counter(reply.status for reply in load.result()) == {200: 100}
        await fleet.wait_ready(5)
        assert victim not in fleet.pids
        assert fleet.observe(time.monotonic())[0].ready == 2

    run(tmp_path, [spec("a", "--delay-s", "0.2", planned=2)], {"a": 100}, body)


def test_an_answer_that_has_begun_is_never_sent_again(tmp_path: Path, spec: Specs, client: Client) -> None:
    async def body(fleet: LocalFleet) -> None:
        async with asyncio.TaskGroup() as tasks:
            streaming = tasks.create_task(client.post(fleet.url, "/stream"))
            await asyncio.sleep(0.4)
            await fleet.withdraw("a")
        reply = streaming.result()
        assert (reply.pool, reply.attempts, reply.whole) == ("a", 1, False)
        assert (await fleet.envoy.traffic())["b"].attempts == 0

    run(tmp_path, [spec("a"), spec("b")], {"a": 100}, body)


def test_a_refusal_by_a_replica_reaches_the_client_and_is_not_repeated(
    tmp_path: Path, spec: Specs, client: Client
) -> None:
    async def body(fleet: LocalFleet) -> None:
        reply = await client.post(fleet.url)
        assert (reply.status, reply.pool, reply.attempts) == (503, "a", 1)

    run(tmp_path, [spec("a", "--status", "503"), spec("b")], {"a": 100}, body)


def test_weight_changes_and_retirement_do_not_break_a_stream(tmp_path: Path, spec: Specs, client: Client) -> None:
    async def body(fleet: LocalFleet) -> None:
        async with asyncio.TaskGroup() as tasks:
            streaming = tasks.create_task(client.post(fleet.url, "/stream"))
            await asyncio.sleep(0.1)
            for weights in ({"b": 100}, {"a": 50, "b": 50}, {"b": 100}):
                await fleet.envoy.set_weights(weights)
                await asyncio.sleep(0.05)
            await fleet.scale("a", 0)
            assert (await client.post(fleet.url)).pool == "b"
            assert not streaming.done()
        reply = streaming.result()
        assert (reply.pool, reply.whole, reply.body.count(b"token")) == ("a", True, 20)

    run(tmp_path, [spec("a"), spec("b")], {"a": 100}, body)


def test_a_replica_that_is_not_ready_gets_no_new_requests(tmp_path: Path, spec: Specs, client: Client) -> None:
    flag = tmp_path / "unready"

    async def body(fleet: LocalFleet) -> None:
        assert (await client.post(fleet.url)).pool == "a"
        flag.touch()
        await until(lambda: fleet.observe(time.monotonic())[0].ready == 0)
        await asyncio.sleep(0.3)
        assert {reply.pool for reply in await client.steady(fleet.url, 20, 0.005)} == {"b"}
        flag.unlink()
        await fleet.wait_ready(5)
        assert {reply.pool for reply in await client.steady(fleet.url, 20, 0.005)} == {"a"}

    run(tmp_path, [spec("a", "--unready", str(flag)), spec("b")], {"a": 100}, body)


def test_envoy_knows_as_many_replicas_as_are_ready(tmp_path: Path, spec: Specs, client: Client) -> None:
    async def body(fleet: LocalFleet) -> None:
        async def members(count: int) -> bool:
            traffic = (await fleet.envoy.traffic())["a"]
            return (traffic.members, traffic.healthy) == (count, count)

        for count in (3, 1):
            await fleet.scale("a", count)
            await fleet.wait_ready(5)
            await until(lambda count=count: members(count))  # type: ignore[misc]
            pids = {reply.pid for reply in await client.steady(fleet.url, 40, 0.002)}
            assert len(pids) == count

    run(tmp_path, [spec("a", "--delay-s", "0.02")], {"a": 100}, body)


def test_traffic_counts_attempts_where_they_went_and_answers_where_they_were_addressed(
    tmp_path: Path, spec: Specs, client: Client
) -> None:
    async def body(fleet: LocalFleet) -> None:
        await client.steady(fleet.url, 10, 0.001)
        traffic = await fleet.envoy.traffic()
        assert (traffic["a"].addressed, traffic["a"].answered_5xx, traffic["a"].attempts) == (10, 10, 10)
        assert (traffic["b"].addressed, traffic["b"].attempts, traffic["b"].healthy) == (0, 0, 1)

    run(tmp_path, [spec("a", "--status", "500"), spec("b")], {"a": 100}, body)


def test_a_server_that_is_given_its_port_and_has_another_readiness_path_takes_requests(
    tmp_path: Path, spec: Specs, client: Client
) -> None:
    options = ("--port", "{port}", "--readiness", "/health")
    engine = dataclasses.replace(spec("engine", *options), readiness="/health")

    async def body(fleet: LocalFleet) -> None:
        replies = await client.steady(fleet.url, 20, 0.001)
        assert {(reply.status, reply.pool) for reply in replies} == {(200, "engine"), (200, "plain")}

    run(tmp_path, [engine, spec("plain")], {"engine": 50, "plain": 50}, body)
