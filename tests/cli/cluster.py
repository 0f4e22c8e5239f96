"""A cluster for verbs that ask one: the tests' API server in a thread, and somebody who writes statuses there."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from control.accounts import FLEET, WELL, account
from holdfast.control.operator.account import Account
from holdfast.control.operator.telling import by_hand
from holdfast.control.operator.telling.status import status
from holdfast.kube import errors, kinds
from holdfast.kube.connection import Connection
from holdfast.manifests.operator import resource_definition
from kube_api.api import Api
from kube_api.server import Server
from kube_api.serving import Serving

Look = Callable[[str | None], Account]
"""What came of a look at the fleet, given the text of its annotation of failover by hand."""

_MOST_S = 10.0


def well(asked: str | None) -> Account:
    return account(*WELL, asked=asked)


class Cluster:
    """The API server at `url`. What it is asked to do is done in its own thread, and is over when a method returns."""

    def __init__(self, folder: Path, loop: asyncio.AbstractEventLoop, server: Server) -> None:
        self.kubeconfig = folder / "kubeconfig"
        self.url = server.url
        self._loop = loop
        self._operator: asyncio.Task[None] | None = None
        server.write_kubeconfig(self.kubeconfig)

    def apply(self, fleet: dict[str, Any] = FLEET) -> None:
        """As a person applies it: the server gives it a uid and the like."""
        metadata = {key: fleet["metadata"][key] for key in ("name", "namespace")}
        self._do(lambda connection: connection.apply(fleet | {"metadata": metadata}))

    def tell(self, made: Account) -> None:
        """Writes the status of the account to the fleet."""
        self._do(lambda connection: _tell(connection, lambda _: made))

    def operate(self, look: Look = well) -> None:
        """From now on somebody writes the status that a look comes to, ten times a second."""
        self._loop.call_soon_threadsafe(self._start, look)

    def annotation(self) -> str | None:
        """What the fleet is asked for by hand."""
        fleet = self._do(lambda connection: connection.get(kinds.FLEET, "sd21", "inference"))
        found: str | None = fleet["metadata"].get("annotations", {}).get(by_hand.ANNOTATION)
        return found

    def clear(self) -> None:
        """Nobody operates any more, and the fleet is gone."""
        self._do(self._cleared)

    async def _cleared(self, connection: Connection) -> None:
        self.end()
        with contextlib.suppress(errors.NotFoundError):
            await connection.delete(kinds.FLEET, "sd21", "inference")

    def end(self) -> None:
        if self._operator is not None:
            self._operator.cancel()
            self._operator = None

    def _start(self, look: Look) -> None:
        self._operator = self._loop.create_task(self._operate(look))

    async def _operate(self, look: Look) -> None:
        async with Connection(self.url) as connection:
            while True:
                await _tell(connection, look)
                await asyncio.sleep(0.1)

    def _do(self, work: Callable[[Connection], Coroutine[Any, Any, Any]]) -> Any:
        async def done() -> Any:
            async with Connection(self.url) as connection:
                return await work(connection)

        return asyncio.run_coroutine_threadsafe(done(), self._loop).result(_MOST_S)


async def _tell(connection: Connection, look: Look) -> None:
    fleet = await connection.get(kinds.FLEET, "sd21", "inference")
    made = look(fleet["metadata"].get("annotations", {}).get(by_hand.ANNOTATION))
    found = status(replace(made, fleet=fleet), None).model_dump(mode="json", by_alias=True, exclude_none=True)
    metadata = {"name": "sd21", "namespace": "inference"}
    resource = {"apiVersion": fleet["apiVersion"], "kind": fleet["kind"], "metadata": metadata, "status": found}
    await connection.apply(resource, subresource="status")


@contextlib.contextmanager
def cluster(folder: Path, *, installed: bool = True) -> Iterator[Cluster]:
    """A cluster with the namespace `inference`, and the InferenceFleet's definition where it is installed."""
    definitions = [resource_definition.manifest("crd.yaml").object] if installed else []
    api = Api(definitions, now_s=time.time())
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "inference"}}, time.time())
    ready: list[Cluster] = []
    started, over = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with Server(Serving(api, time.time)) as server:
            ready.append(Cluster(folder, asyncio.get_running_loop(), server))
            started.set()
            await over.wait()
            ready[0].end()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), name="cluster")
    thread.start()
    try:
        assert started.wait(_MOST_S)
        yield ready[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(_MOST_S)
        loop.close()
