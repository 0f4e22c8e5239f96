"""Supervision: what the fleet does to its replicas, and what it tells of them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from holdfast.local import fleet as fleets
from holdfast.local.fleet import LocalFleet, Patience, PoolSpec, Restarts
from holdfast.model.errors import HoldfastError, InputError
from holdfast.model.plan import Autoscaling, PoolPlan

if TYPE_CHECKING:
    from local.conftest import Client

Specs = Callable[..., PoolSpec]
Alive = Callable[[int], bool]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def ready(fleet: LocalFleet) -> list[int]:
    return [pool.ready for pool in fleet.observe(time.monotonic())]


def test_observation_tells_the_specification_and_the_ready_replicas(tmp_path: Path, spec: Specs) -> None:
    async def body() -> None:
        async with fleets.running([spec("a", planned=2), spec("b", planned=0)], tmp_path) as fleet:
            before = fleet.observe(time.monotonic())
            began = time.monotonic()
            await fleet.wait_ready(10)
            first, second = fleet.observe(time.monotonic())
        assert (before[0].ready, before[0].pending) == (0, 2)
        assert (first.ready, first.pending, first.planned, first.min_replicas, first.max_replicas) == (2, 0, 2, 0, 4)
        assert (first.name, first.limit_per_s, first.usd_per_million_requests) == ("a", 5.0, 10.0)
        assert began <= first.ready_since_s <= time.monotonic()
        assert (first.starting, second.obtained_s) == (0, None)
        assert first.obtained_s is not None
        assert first.obtained_s <= first.ready_since_s
        assert (second.name, second.ready, second.pending, second.shortages) == ("b", 0, 0, ())

    asyncio.run(body())


def test_a_withdrawn_pool_is_short_until_it_is_restored(tmp_path: Path, spec: Specs, alive: Alive) -> None:
    async def body() -> None:
        patience = Patience(shortage_s=0.6)
        async with fleets.running([spec("a", planned=2), spec("b")], tmp_path, patience=patience) as fleet:
            await fleet.wait_ready(10)
            victims = set(fleet.pids)
            await fleet.withdraw("a")
            await until(lambda: ready(fleet) == [0, 1])
            assert sum(not alive(pid) for pid in victims) == 2
            await fleet.scale("a", 3)
            await asyncio.sleep(1.0)  # longer than one shortage lasts: it is renewed while replicas are wanted
            pool = fleet.observe(time.monotonic())[0]
            assert (pool.ready, pool.pending) == (0, 3)
            (shortage,) = pool.shortages
            assert shortage.pool == "a"
            assert shortage.holds(time.monotonic())
            fleet.restore("a")
            await fleet.wait_ready(10)
            assert ready(fleet) == [3, 1]
            await asyncio.sleep(0.7)
            # Expired, and still shown: that capacity is back must be found out by a probe.
            (expired,) = fleet.observe(time.monotonic())[0].shortages
            assert not expired.holds(time.monotonic())

    asyncio.run(body())


def test_the_clock_of_stability_restarts_when_a_replica_is_lost(tmp_path: Path, spec: Specs) -> None:
    async def body() -> None:
        async with fleets.running([spec("a", planned=2)], tmp_path) as fleet:
            await fleet.wait_ready(10)
            before_s = fleet.observe(time.monotonic())[0].ready_since_s
            lost_s = time.monotonic()
            os.kill(fleet.pids[1], signal.SIGKILL)
            await until(lambda: ready(fleet) == [1])
            await until(lambda: ready(fleet) == [2])
            assert before_s < lost_s <= fleet.observe(time.monotonic())[0].ready_since_s

    asyncio.run(body())


def test_scaling_down_keeps_the_oldest_replicas(tmp_path: Path, spec: Specs, alive: Alive) -> None:
    async def body() -> None:
        async with fleets.running([spec("a", planned=3)], tmp_path) as fleet:
            await fleet.wait_ready(10)
            _, oldest, *younger = fleet.pids
            await fleet.scale("a", 1)
            await until(lambda: not any(alive(pid) for pid in younger))
            assert alive(oldest)
            assert ready(fleet) == [1]

    asyncio.run(body())


def test_a_pool_that_cannot_start_says_so_with_its_last_words(tmp_path: Path, spec: Specs) -> None:
    argv = [sys.executable, "-c", "raise SystemExit('no such model')"]

    async def body() -> None:
        async with fleets.running([spec("a", argv=argv)], tmp_path) as fleet:
            await fleet.wait_ready(0.5)

    with pytest.raises(HoldfastError, match=r"pool a has 0 of 1 replicas .*no such model"):
        asyncio.run(body())


def test_what_the_body_raises_comes_out_as_it_is_and_nothing_stays(tmp_path: Path, spec: Specs, alive: Alive) -> None:
    seen: list[int] = []

    async def body() -> None:
        async with fleets.running([spec("a", "--deaf")], tmp_path, patience=Patience(grace_s=0.2)) as fleet:
            await fleet.wait_ready(10)
            seen.extend(fleet.pids)
            await fleet.scale("nowhere", 1)

    with pytest.raises(InputError, match="there is no pool 'nowhere'; known: a"):
        asyncio.run(body())
    assert len(seen) == 2
    assert not any(alive(pid) for pid in seen)


def test_the_fleet_ends_with_its_envoy(tmp_path: Path, spec: Specs, alive: Alive) -> None:
    seen: list[int] = []

    async def body() -> None:
        async with asyncio.timeout(15), fleets.running([spec("a")], tmp_path) as fleet:
            await fleet.wait_ready(10)
            seen.extend(fleet.pids)
            os.kill(fleet.pids[0], signal.SIGKILL)
            await asyncio.sleep(10)

    with pytest.raises(HoldfastError, match="Envoy"):
        asyncio.run(body())
    assert not any(alive(pid) for pid in seen)


def test_a_request_in_progress_ends_before_the_fleet_does(tmp_path: Path, spec: Specs, client: Client) -> None:
    async def body() -> None:
        async with asyncio.TaskGroup() as tasks:
            async with fleets.running([spec("a", "--delay-s", "0.5")], tmp_path, weights={"a": 1}) as fleet:
                await fleet.wait_ready(10)
                asking = tasks.create_task(client.post(fleet.url))
                await asyncio.sleep(0.1)
            assert (await asking).status == 200

    asyncio.run(body())


def test_a_taken_port_is_bad_input(tmp_path: Path, spec: Specs) -> None:
    async def body(port: int) -> None:
        async with fleets.running([spec("a")], tmp_path, port=port):
            raise AssertionError("two listeners share a port")

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"(?s)Envoy did not start.*127.0.0.1:{port}.*in use"):
            asyncio.run(body(port))


@pytest.mark.parametrize(
    ("weights", "message"),
    [({"c": 1}, "there is no pool 'c'; known: a"), ({"a": -1}, "the weight of pool 'a' is -1")],
)
def test_weights_that_make_no_sense_are_refused(
    tmp_path: Path, spec: Specs, weights: dict[str, int], message: str
) -> None:
    async def body() -> None:
        async with fleets.running([spec("a", planned=0)], tmp_path, weights=weights):
            raise AssertionError("nonsense was accepted")

    with pytest.raises(InputError, match=message):
        asyncio.run(body())


def test_replicas_beyond_the_maximum_are_refused(tmp_path: Path, spec: Specs) -> None:
    async def body() -> None:
        async with fleets.running([spec("a", planned=0)], tmp_path) as fleet:
            await fleet.scale("a", 5)

    with pytest.raises(InputError, match="pool a: 5 replicas are not between 0 and 4"):
        asyncio.run(body())


def test_a_pool_planned_outside_its_bounds_is_refused(spec: Specs) -> None:
    with pytest.raises(InputError, match="pool a: 1 planned replicas are not between 2 and 4"):
        replace(spec("a"), min_replicas=2)


def test_a_pool_is_specified_by_its_part_of_the_plan() -> None:
    autoscaling = Autoscaling("requests in flight", 4.0, "requests", 1, 9)
    plan = PoolPlan("inf2", 3, 80, 2.5, 0.7582, 84.2, None, 6.0, 0.8, autoscaling, "cheapest", "measured", "catalogue")
    pool = PoolSpec.of(plan, lambda number: ["unit", str(number)])
    assert (pool.name, pool.limit_per_s, pool.usd_per_million_requests) == ("inf2", 2.5, 84.2)
    assert (pool.planned, pool.min_replicas, pool.max_replicas) == (3, 1, 9)
    assert pool.argv(7) == ["unit", "7"]


@pytest.mark.parametrize("names", [["a", "a"], [""], []])
def test_pools_need_names_of_their_own(tmp_path: Path, spec: Specs, names: list[str]) -> None:
    async def body() -> None:
        async with fleets.running([spec(name, planned=0) for name in names], tmp_path):
            raise AssertionError("nonsense was accepted")

    with pytest.raises(InputError, match="a name of its own"):
        asyncio.run(body())


def test_restarts_back_off_up_to_five_seconds_and_forgive_a_long_life() -> None:
    restarts, waits, now_s = Restarts(), [], 100.0
    for _ in range(8):
        now_s = restarts.not_before_s + 100.0
        restarts = restarts.after_crash(now_s, lived_s=1.0)
        waits.append(round(restarts.not_before_s - now_s, 9))
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    later_s = restarts.not_before_s + 1.0
    assert restarts.after_crash(later_s, lived_s=10.0) == Restarts(1, later_s + 0.1)


def test_replicas_that_crash_together_count_as_one_crash() -> None:
    once = Restarts().after_crash(100.0, lived_s=1.0)
    assert once.after_crash(100.05, lived_s=1.0) == once
