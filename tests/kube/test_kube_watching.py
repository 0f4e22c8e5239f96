from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from holdfast.kube import kinds
from holdfast.kube.connection import Connection
from holdfast.kube.watching import Watched
from kube.cluster import Cluster, config_map, run
from kube_api.faults import Fault, Seeded, StreamEnd


@asynccontextmanager
async def running(*watched: Watched) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one.run()) for one in watched]
        yield
        for task in tasks:
            task.cancel()


def names(watched: Watched) -> set[str]:
    return {name for _, name in watched.objects}


def test_it_tells_what_is_there_and_what_becomes_of_it() -> None:
    async def scene(cluster: Cluster) -> None:
        cluster.api.create(config_map("a"), 0.0)
        watched, told = cluster.watched(namespace="default")
        assert (watched.synced, watched.age_s(cluster.clock())) == (False, math.inf)
        async with running(watched):
            await watched.sync()
            await asyncio.sleep(0.1)
            assert (told, watched.age_s(cluster.clock())) == (["+a"], 0.0)
            await cluster.connection.apply(config_map("b", x="1"))
            await cluster.connection.apply(config_map("b", x="1"))
            await cluster.connection.delete(kinds.CONFIG_MAP, "a")
            await asyncio.sleep(0.1)
            assert told == ["+a", "+b", "-a"]
            assert names(watched) == {"b"}

    run(scene)


def test_a_list_without_a_stream_grows_old_from_the_list_on() -> None:
    async def scene(cluster: Cluster) -> None:
        watched, _ = cluster.watched()
        cluster.faults = lambda request: Fault(status=503) if request.watches else None
        async with running(watched):
            await watched.sync()
            await asyncio.sleep(5.0)
            assert watched.age_s(cluster.clock()) == pytest.approx(5.0, abs=0.01)

    run(scene)


def test_selectors_hold_for_the_list_and_for_what_follows() -> None:
    async def scene(cluster: Cluster) -> None:
        for name in ("a", "b"):
            made = config_map(name)
            made["metadata"]["labels"] = {"is": name}
            cluster.api.create(made, 0.0)
        watched, told = cluster.watched(labels="is=a")
        async with running(watched):
            await watched.sync()
            await cluster.connection.merge(kinds.CONFIG_MAP, "b", None, {"metadata": {"labels": {"is": "a"}}})
            await cluster.connection.merge(kinds.CONFIG_MAP, "a", None, {"metadata": {"labels": {"is": "b"}}})
            await asyncio.sleep(1.0)
        assert told == ["+a", "+b", "-a"]

    run(scene)


def test_a_broken_stream_is_resumed_without_a_list_and_nothing_is_missed_or_told_twice() -> None:
    async def scene(cluster: Cluster) -> None:
        cluster.api.create(config_map("a"), 0.0)
        watched, told = cluster.watched(namespace="default")
        cluster.faults = lambda request: Fault(stream_end=StreamEnd.BROKEN, events=1) if request.watches else None
        async with running(watched):
            await watched.sync()
            for name in "bcdefg":
                await cluster.connection.apply(config_map(name))
                await asyncio.sleep(1.0)
        assert told == [f"+{name}" for name in "abcdefg"]
        assert cluster.lists() == 1

    run(scene)


def test_after_410_what_vanished_meanwhile_is_told_and_what_did_not_change_is_not() -> None:
    async def scene(cluster: Cluster) -> None:
        for name in ("stays", "changes", "goes", "is-made-anew"):
            cluster.api.create(config_map(name), 0.0)
        watched, told = cluster.watched(namespace="default")
        async with running(watched):
            await watched.sync()
            told.clear()
            cluster.faults = lambda request: Fault(status=503) if request.watches else None
            cluster.api.end_watches()
            await asyncio.sleep(0.0)
            await cluster.connection.apply(config_map("changes", x="1"))
            await cluster.connection.delete(kinds.CONFIG_MAP, "goes")
            await cluster.connection.delete(kinds.CONFIG_MAP, "is-made-anew")
            await cluster.connection.apply(config_map("is-made-anew"))
            await cluster.connection.apply(config_map("comes"))
            cluster.api.compact()
            await asyncio.sleep(1.0)
            assert told == []
            cluster.faults = lambda request: None
            await asyncio.sleep(30.0)
        assert sorted(told) == ["+changes", "+comes", "+is-made-anew", "-goes", "-is-made-anew"]
        assert told.index("-is-made-anew") < told.index("+is-made-anew")
        assert watched.age_s(cluster.clock()) < 1.0

    run(scene)


def test_while_the_server_is_away_what_was_known_is_held_and_grows_old() -> None:
    async def scene(cluster: Cluster) -> None:
        cluster.api.create(config_map("a"), 0.0)
        watched, told = cluster.watched(namespace="default")
        async with running(watched):
            await watched.sync()
            await asyncio.sleep(5.0)
            cluster.faults = lambda request: Fault(status=503)
            cluster.api.end_watches()
            await asyncio.sleep(60.0)
            assert watched.age_s(cluster.clock()) == pytest.approx(60.0, abs=0.01)
            assert (names(watched), watched.synced, watched.problem is None) == ({"a"}, True, False)
            cluster.faults = lambda request: None
            await asyncio.sleep(11.0)
            assert (watched.age_s(cluster.clock()), watched.problem) == (0.0, None)
        assert told == ["+a"]

    run(scene)


def test_attempts_become_rarer_while_the_server_is_away() -> None:
    async def scene(cluster: Cluster) -> None:
        cluster.faults = lambda request: Fault(status=500)
        watched, _ = cluster.watched()
        async with running(watched):
            await asyncio.sleep(600.0)
        # Waits of 0 to 10 s are 5 s in the mean.
        assert 90 < len(cluster.asked) < 170

    run(scene)


def test_it_comes_back_no_sooner_than_the_server_asked_for() -> None:
    async def scene(cluster: Cluster) -> None:
        cluster.faults = lambda request: Fault(status=429, retry_after_s=20)
        watched, _ = cluster.watched()
        async with running(watched):
            await asyncio.sleep(19.9)
            assert len(cluster.asked) == 1
            await asyncio.sleep(1.0)
            assert len(cluster.asked) == 2

    run(scene)


def test_a_server_that_ends_every_stream_at_once_is_not_hammered() -> None:
    async def scene(cluster: Cluster) -> None:
        cluster.faults = lambda request: Fault(stream_end=StreamEnd.CLOSED) if request.watches else None
        watched, _ = cluster.watched()
        async with running(watched):
            await asyncio.sleep(600.0)
        assert len(cluster.asked) < 250

    run(scene)


def test_a_half_open_stream_is_noticed_and_what_it_kept_back_is_told() -> None:
    async def scene(cluster: Cluster) -> None:
        watched, told = cluster.watched(namespace="default")
        cluster.faults = lambda request: Fault(stream_end=StreamEnd.SILENT) if request.watches else None
        async with running(watched):
            await watched.sync()
            await asyncio.sleep(1.0)
            cluster.faults = lambda request: None
            await cluster.connection.apply(config_map("a"))
            await asyncio.sleep(60.0)
            assert told == []
            await asyncio.sleep(20.0)
            assert told == ["+a"]

    run(scene)


def test_a_version_from_the_servers_future_is_given_up() -> None:
    """As of an API server that was restored from an older backup: it keeps such a stream open, and says nothing."""

    async def scene(cluster: Cluster) -> None:
        watched, told = cluster.watched(namespace="default")
        async with running(watched):
            await watched.sync()
            await asyncio.sleep(1.0)
            cluster.faults = lambda request: Fault(stream_end=StreamEnd.SILENT) if request.watches else None
            cluster.api.end_watches()
            await cluster.connection.apply(config_map("a"))
            await asyncio.sleep(4 * 80.0)
            assert told == ["+a"]

    run(scene)


def test_a_kind_that_is_not_installed_is_looked_at_each_half_minute_until_it_is() -> None:
    async def scene(cluster: Cluster) -> None:
        watched, _ = cluster.watched(kinds.SCALED_OBJECT)
        async with running(watched):
            await asyncio.sleep(95.0)
            assert (watched.missing, watched.synced, watched.age_s(cluster.clock())) == (True, False, math.inf)
            assert len(cluster.asked) == 4
            cluster.api.create(definition(), cluster.clock())
            await asyncio.sleep(31.0)
            assert (watched.missing, watched.synced) == (False, True)

    run(scene)


def test_what_we_may_not_see_is_said_once_and_looked_at_each_half_minute(caplog: pytest.LogCaptureFixture) -> None:
    asked = []

    def forbidden(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        body = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": "nodes is forbidden"}
        return httpx2.Response(403, json=body)

    async def scene(cluster: Cluster) -> None:
        connection = Connection("http://cluster", transport=httpx2.MockTransport(forbidden))
        watched = Watched(connection, kinds.NODE, changed=lambda found, deleted: None, clock=cluster.clock)
        async with running(watched):
            await asyncio.sleep(95.0)
        assert (len(asked), watched.synced) == (4, False)

    run(scene)
    assert [record.message for record in caplog.records] == [
        "nodes are not watched: GET /api/v1/nodes: nodes is forbidden (403 Forbidden)"
    ]


def test_only_what_is_kept_is_remembered() -> None:
    async def scene(cluster: Cluster) -> None:
        cluster.api.create(config_map("a", x="1"), 0.0)
        watched, _ = cluster.watched(
            namespace="default", kept=lambda whole: {key: whole[key] for key in whole if key != "data"}
        )
        async with running(watched):
            await watched.sync()
        assert "data" not in watched.objects["default", "a"]

    run(scene)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_goes_wrong_in_the_end_it_knows_what_the_server_has(seed: int) -> None:
    async def scene(cluster: Cluster) -> None:
        behind = cluster.connect()
        watched, told = cluster.watched(namespace="default", seed=seed)
        faults = Seeded(seed, 0.4)
        async with running(watched):
            for step in range(60):
                cluster.faults = lambda request: None
                name = f"c{(seed + step * 7) % 11}"
                await behind.apply(config_map(name, step=str(step)))
                if step % 4 == 3:
                    await behind.delete(kinds.CONFIG_MAP, name)
                if step % 13 == 0:
                    cluster.api.compact()
                cluster.faults = faults
                await asyncio.sleep((seed * 31 + step * 17) % 9)
            cluster.faults = lambda request: None
            await asyncio.sleep(400.0)
            there = (await behind.list(kinds.CONFIG_MAP, "default")).items
            assert watched.objects == {("default", item["metadata"]["name"]): item for item in there}
        known: set[str] = set()
        for word in told:
            assert word[0] == "+" or word[1:] in known, "nothing goes that was not there"
            (known.add if word[0] == "+" else known.remove)(word[1:])
        assert known == names(watched)

    run(scene)


def definition() -> dict[str, object]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "scaledobjects.keda.sh"},
        "spec": {
            "group": "keda.sh",
            "scope": "Namespaced",
            "names": {"plural": "scaledobjects", "kind": "ScaledObject", "singular": "scaledobject"},
            "versions": [
                {
                    "name": "v1alpha1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                }
            ],
        },
    }
