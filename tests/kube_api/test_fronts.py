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
