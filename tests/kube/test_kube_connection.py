from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import aclosing

import httpx2
import pytest

from holdfast.kube import answers, errors, kinds
from holdfast.kube import connection as connections
from holdfast.kube.connection import Connection
from kube.cluster import Cluster, config_map, run
from kube_api.api import Api
from kube_api.faults import Fault, Loss, StreamEnd
from kube_api.server import Server
from kube_api.serving import Serving


def test_objects_are_created_read_changed_and_deleted() -> None:
    async def scene(cluster: Cluster) -> None:
        to = cluster.connection
        made = await to.create(kinds.CONFIG_MAP, config_map("a", x="1"))
        assert await to.get(kinds.CONFIG_MAP, "a") == made
        merged = await to.merge(kinds.CONFIG_MAP, "a", None, {"data": {"x": None, "y": "2"}})
        assert merged["data"] == {"y": "2"}
        replaced = await to.replace(kinds.CONFIG_MAP, merged | {"data": {"z": "3"}})
        assert replaced["data"] == {"z": "3"}
        await to.delete(kinds.CONFIG_MAP, "a", uid=made["metadata"]["uid"])
        with pytest.raises(errors.NotFoundError):
            await to.get(kinds.CONFIG_MAP, "a")

    run(scene)


def test_what_was_seen_before_it_changed_is_a_precondition_of_every_write() -> None:
    async def scene(cluster: Cluster) -> None:
        to = cluster.connection
        seen = await to.create(kinds.CONFIG_MAP, config_map("a", x="1"))
        await to.merge(kinds.CONFIG_MAP, "a", None, {"data": {"x": "2"}})
        version = seen["metadata"]["resourceVersion"]
        stale = {"metadata": {"resourceVersion": version}, "data": {"x": "3"}}
        for attempt in (
            to.apply(config_map("a", x="3"), resource_version=version),
            to.merge(kinds.CONFIG_MAP, "a", None, stale),
            to.replace(kinds.CONFIG_MAP, seen),
            to.delete(kinds.CONFIG_MAP, "a", uid="of another"),
            to.create(kinds.CONFIG_MAP, config_map("a")),
        ):
            with pytest.raises(errors.ConflictError):
                await attempt
        assert (await to.get(kinds.CONFIG_MAP, "a"))["data"] == {"x": "2"}

    run(scene)


def test_applying_what_stands_changes_nothing_and_a_dry_run_neither() -> None:
    async def scene(cluster: Cluster) -> None:
        to = cluster.connection
        first = await to.apply(config_map("a", x="1"))
        assert await to.apply(config_map("a", x="1")) == first
        assert (await to.apply(config_map("a", x="2"), dry_run=True))["data"] == {"x": "2"}
        assert await to.get(kinds.CONFIG_MAP, "a") == first

    run(scene)


def test_a_list_is_whole_over_its_pages_and_its_items_say_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "PAGE", 2)

    async def scene(cluster: Cluster) -> None:
        for name in "abcde":
            cluster.api.create(config_map(name), 0.0)
        listing = await cluster.connection.list(kinds.CONFIG_MAP, "default")
        assert [item["metadata"]["name"] for item in listing.items] == list("abcde")
        assert {kinds.of(item) for item in listing.items} == {kinds.CONFIG_MAP}
        assert cluster.lists() == 3

    run(scene)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, errors.RefusedError),
        (401, errors.RefusedError),
        (403, errors.RefusedError),
        (404, errors.NotFoundError),
        (408, errors.UnavailableError),
        (409, errors.ConflictError),
        (410, errors.GoneError),
        (422, errors.RefusedError),
        (429, errors.UnavailableError),
        (500, errors.UnavailableError),
        (503, errors.UnavailableError),
    ],
)
def test_each_refusal_is_an_error_of_its_kind_with_the_words_of_the_server(
    status: int, error: type[errors.KubeError]
) -> None:
    body = {"kind": "Status", "code": status, "reason": "Because", "message": "it is so"}
    answered = httpx2.MockTransport(lambda request: httpx2.Response(status, json=body))
    with pytest.raises(error, match=r"GET /api/v1/nodes/n: it is so \(\d+ Because\)") as found:
        asyncio.run(Connection("http://cluster", transport=answered).get(kinds.NODE, "n"))
    assert (found.value.status, found.value.reason) == (status, "Because")


def test_an_answer_of_something_that_is_no_api_server_is_an_error_with_its_words() -> None:
    proxy = httpx2.MockTransport(lambda request: httpx2.Response(502, text="<h1>Bad Gateway</h1>"))
    with pytest.raises(errors.UnavailableError, match="Bad Gateway"):
        asyncio.run(Connection("http://cluster", transport=proxy).get(kinds.NODE, "n"))
    portal = httpx2.MockTransport(lambda request: httpx2.Response(200, text="<h1>Log in</h1>"))
    with pytest.raises(errors.UnavailableError, match="not JSON"):
        asyncio.run(Connection("http://cluster", transport=portal).get(kinds.NODE, "n"))


@pytest.mark.parametrize(("said", "wait_s"), [("7", 7.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None), (None, None)])
def test_the_server_says_when_to_come_back(said: str | None, wait_s: float | None) -> None:
    headers = {} if said is None else {"Retry-After": said}
    answered = httpx2.MockTransport(lambda request: httpx2.Response(429, headers=headers))
    with pytest.raises(errors.UnavailableError) as found:
        asyncio.run(Connection("http://cluster", transport=answered).get(kinds.NODE, "n"))
    assert found.value.retry_after_s == wait_s
    assert not found.value.acted


def test_a_request_without_an_answer_is_given_up_after_ten_seconds() -> None:
    async def scene(cluster: Cluster) -> None:
        cluster.faults = lambda request: Fault(delay_s=600.0)
        with pytest.raises(errors.UnavailableError, match="no answer in time") as found:
            await cluster.connection.get(kinds.CONFIG_MAP, "a")
        assert found.value.acted
        assert cluster.passed_s() == pytest.approx(10.0, abs=0.01)

    run(scene)


def test_a_lost_answer_does_not_say_that_nothing_was_done() -> None:
    async def scene(cluster: Cluster) -> None:
        cluster.faults = lambda request: Fault(loss=Loss.AFTER) if request.method == "POST" else None
        with pytest.raises(errors.UnavailableError) as found:
            await cluster.connection.create(kinds.CONFIG_MAP, config_map("a"))
        assert found.value.acted
        assert await cluster.connection.get(kinds.CONFIG_MAP, "a")

    run(scene)


def test_nobody_listening_surely_did_nothing() -> None:
    async def scene() -> None:
        with pytest.raises(errors.UnavailableError) as found:
            await Connection("http://127.0.0.1:1").get(kinds.NODE, "n")
        assert not found.value.acted

    asyncio.run(scene())


def test_a_watch_tells_what_happened_since_its_version_and_what_happens() -> None:
    async def scene(cluster: Cluster) -> None:
        to = cluster.connection
        version = (await to.list(kinds.CONFIG_MAP)).resource_version
        await to.create(kinds.CONFIG_MAP, config_map("a"))
        told = []
        async with aclosing(to.watch(kinds.CONFIG_MAP, resource_version=version)) as events:
            async for event in events:
                told.append((event.type, event.object["metadata"]["name"]))
                if len(told) == 1:
                    await to.merge(kinds.CONFIG_MAP, "a", None, {"data": {"x": "1"}})
                    await to.delete(kinds.CONFIG_MAP, "a")
                if event.type == "DELETED":
                    break
        assert told == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]

    run(scene)


def test_a_watch_from_a_forgotten_version_is_gone_at_once_or_within() -> None:
    async def scene(cluster: Cluster) -> None:
        to = cluster.connection
        await to.create(kinds.CONFIG_MAP, config_map("a"))
        version = (await to.list(kinds.CONFIG_MAP)).resource_version
        await to.create(kinds.CONFIG_MAP, config_map("b"))
        cluster.faults = lambda request: Fault(stream_end=StreamEnd.GONE)
        with pytest.raises(errors.GoneError):
            await anext(to.watch(kinds.CONFIG_MAP, resource_version=version))
        cluster.faults = lambda request: None
        cluster.api.compact()
        with pytest.raises(errors.GoneError):
            await anext(to.watch(kinds.CONFIG_MAP, resource_version="1"))

    run(scene)


def test_a_stream_that_fell_silent_ends() -> None:
    async def scene(cluster: Cluster) -> None:
        cluster.faults = lambda request: Fault(stream_end=StreamEnd.SILENT)
        async for event in cluster.connection.watch(kinds.CONFIG_MAP, resource_version="1"):
            raise AssertionError(event)
        assert cluster.passed_s() == pytest.approx(answers.SILENCE_S, abs=0.01)

    run(scene)


@pytest.mark.parametrize("size", [1, 7, 70, 150, 1000])
def test_lines_of_a_stream_end_at_line_feeds_alone_however_they_are_cut(size: int) -> None:
    texts = ["é" * 100, "one", "next\x85line", "paragraph ", ""]
    lines = [
        json.dumps({"type": "MODIFIED", "object": {"metadata": {"name": text}}}, ensure_ascii=False) for text in texts
    ]
    content = "".join(f"{line}\n" for line in lines).encode()

    async def parts() -> AsyncIterator[bytes]:
        for at in range(0, len(content), size):
            yield content[at : at + size]

    async def scene() -> list[str]:
        answered = httpx2.MockTransport(lambda request: httpx2.Response(200, content=parts()))
        events = Connection("http://cluster", transport=answered).watch(kinds.EVENT, resource_version="1")
        return [event.object["metadata"]["name"] async for event in events]

    assert asyncio.run(scene()) == texts


def test_however_many_streams_are_open_a_request_is_answered() -> None:
    async def scene() -> None:
        async with Server(Serving(Api(now_s=time.time()), time.time)) as server, Connection(server.url) as to:
            listing = await to.list(kinds.CONFIG_MAP)
            told: list[str] = []
            all_told = asyncio.Event()

            async def watch() -> None:
                events = to.watch(kinds.CONFIG_MAP, resource_version=listing.resource_version)
                told.append((await anext(events)).object["metadata"]["name"])
                if len(told) == 40:
                    all_told.set()
                await anext(events)

            async with asyncio.timeout(5.0), asyncio.TaskGroup() as group:
                watches = [group.create_task(watch()) for _ in range(40)]
                await to.create(kinds.CONFIG_MAP, config_map("a"))
                await all_told.wait()
                assert (await to.get(kinds.CONFIG_MAP, "a"))["metadata"]["name"] == "a"
                for task in watches:
                    task.cancel()
            assert told == ["a"] * 40

    asyncio.run(scene())
