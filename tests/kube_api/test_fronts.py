"""The two ways to the server: in process in virtual time, and over HTTP."""

from __future__ import annotations

import asyncio
import json
import time

import httpx2

from kube_api.api import Api
from kube_api.faults import Fault, Loss, StreamEnd
from kube_api.requests import Request
from kube_api.server import Server
from kube_api.serving import Serving
from kube_api.transport import InProcess
from virtual_time import START_S, run

MAPS = "/api/v1/namespaces/default/configmaps"


def test_a_watch_over_http_tells_of_what_another_client_creates() -> None:
    async def scene() -> list[str]:
        told = []
        async with (
            Server(Serving(Api(), time.time)) as server,
            httpx2.AsyncClient(base_url=server.url) as client,
            client.stream("GET", MAPS, params={"watch": "1"}) as stream,
        ):
            assert (await client.post(MAPS, json={"metadata": {"name": "a"}})).status_code == 201
            assert (await client.delete(f"{MAPS}/a")).status_code == 200
            async for line in stream.aiter_lines():
                event = json.loads(line)
                told.append(f"{event['type']} {event['object']['metadata']['name']}")
                if len(told) == 2:
                    break
        return told

    assert asyncio.run(asyncio.wait_for(scene(), 5)) == ["ADDED a", "DELETED a"]


def test_an_answer_can_be_lost_after_the_effect() -> None:
    serving = Serving(Api(), time.time, faults=lambda request: Fault(loss=Loss.AFTER) if request.body else None)

    async def scene() -> tuple[bool, int]:
        lost = False
        async with httpx2.AsyncClient(base_url="http://api", transport=InProcess(serving)) as client:
            try:
                await client.post(MAPS, json={"metadata": {"name": "a"}})
            except httpx2.ReadError:
                lost = True
            return lost, (await client.get(f"{MAPS}/a")).status_code

    assert asyncio.run(scene()) == (True, 200)


def test_a_silent_watch_ends_with_the_clients_patience() -> None:
    def faults(request: Request) -> Fault | None:
        return Fault(stream_end=StreamEnd.SILENT) if request.watches else None

    async def scene() -> str:
        transport = InProcess(Serving(Api(), time.time, faults=faults))
        timeout = httpx2.Timeout(1, read=0.05)
        async with httpx2.AsyncClient(base_url="http://api", transport=transport, timeout=timeout) as client:
            try:
                async with client.stream("GET", MAPS, params={"watch": "1"}) as stream:
                    async for _ in stream.aiter_lines():
                        pass
            except httpx2.ReadTimeout:
                return "timed out"
        return "ended"

    assert asyncio.run(asyncio.wait_for(scene(), 5)) == "timed out"


def test_a_watch_in_virtual_time_has_bookmarks_each_minute_and_ends_when_it_was_to() -> None:
    async def scene() -> tuple[list[str], float]:
        clock = asyncio.get_running_loop().time
        query = {"watch": "1", "timeoutSeconds": "150", "allowWatchBookmarks": "true"}
        async with (
            httpx2.AsyncClient(
                base_url="http://api", transport=InProcess(Serving(Api(), clock)), timeout=100
            ) as client,
            client.stream("GET", MAPS, params=query) as stream,
        ):
            told = [json.loads(line)["type"] async for line in stream.aiter_lines()]
        return told, clock() - START_S

    told, took_s = run(scene())
    assert told == ["BOOKMARK", "BOOKMARK"]
    assert 150 <= took_s < 151


def test_what_belonged_to_a_deleted_object_goes_soon() -> None:
    async def scene() -> list[int]:
        clock = asyncio.get_running_loop().time
        transport = InProcess(Serving(Api(), clock))
        async with httpx2.AsyncClient(base_url="http://api", transport=transport) as client:
            owner = (await client.post(MAPS, json={"metadata": {"name": "owner"}})).json()
            reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
            await client.post(MAPS, json={"metadata": {"name": "child", "ownerReferences": [reference]}})
            await client.delete(f"{MAPS}/owner")
            found = [(await client.get(f"{MAPS}/child")).status_code]
            await asyncio.sleep(0.2)
            return [*found, (await client.get(f"{MAPS}/child")).status_code]

    assert run(scene()) == [200, 404]
