"""An API server in this process, time that jumps, and requests that go wrong where a test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import virtual_time
from holdfast.kube import kinds
from holdfast.kube.connection import Connection
from holdfast.kube.kinds import Kind, Object
from holdfast.kube.watching import Watched
from kube_api.api import Api
from kube_api.faults import Fault
from kube_api.requests import Request
from kube_api.serving import Serving
from kube_api.transport import InProcess
from virtual_time import START_S


def run(scene: Callable[[Cluster], Coroutine[Any, Any, None]]) -> None:
    """The scene in a cluster of its own, on virtual time."""

    async def played() -> None:
        await scene(Cluster())

    virtual_time.run(played(), limit_s=3600.0)


class Cluster:
    """api: to look into and to change behind everybody's back. faults: of each request of each connection."""

    def __init__(self) -> None:
        self.api = Api(now_s=START_S)
        self.faults: Callable[[Request], Fault | None] = lambda request: None
        self.asked: list[Request] = []
        self.serving = Serving(self.api, self.clock, faults=self._fault)
        self.connection = self.connect()

    def connect(self) -> Connection:
        return Connection("http://cluster", transport=InProcess(self.serving))

    def clock(self) -> float:
        return asyncio.get_running_loop().time()

    def passed_s(self) -> float:
        """Since the scene began."""
        return self.clock() - START_S

    def watched(self, kind: Kind = kinds.CONFIG_MAP, **more: Any) -> tuple[Watched, list[str]]:
        """And what it was told: `+name` for each that came or changed, `-name` for each that went."""
        told: list[str] = []

        def changed(found: Object, deleted: bool) -> None:
            told.append(f"{'-' if deleted else '+'}{found['metadata']['name']}")

        return Watched(self.connection, kind, changed=changed, clock=self.clock, **more), told

    def lists(self) -> int:
        """How often something was listed."""
        return sum(request.method == "GET" and not request.watches for request in self.asked)

    def _fault(self, request: Request) -> Fault | None:
        self.asked.append(request)
        return self.faults(request)


def config_map(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data}
