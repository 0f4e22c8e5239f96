"""The server's application on a real socket, in a thread of this process, around a double of a model."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import uvloop

from holdfast.serving import listening
from holdfast.serving.hosted.app import Front, loading
from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.loaded import Model
from holdfast.serving.hosted.metrics import Labels, Published
from holdfast.serving.hosted.served import serving
from holdfast.serving.hosted.service import Service
from holdfast.serving.hosted.tasks import Task
from holdfast.serving.lifecycle import Phase
from serving.hosted import doubles

PATIENCE_S = 20.0
NAME = "kelp/double"


@dataclass
class Running:
    """A server and a client of it. answered: what was counted: route, method, status."""

    client: httpx2.Client
    service: Service
    loaded: doubles.Speller | doubles.Answering
    answered: list[tuple[str, str, int]] = field(default_factory=list)

    @property
    def hand(self) -> doubles.Hand:
        return self.loaded.hand

    def post(self, path: str, **fields: object) -> httpx2.Response:
        return self.client.post(path, json={"model": NAME, **fields})


def until(holds: Callable[[], bool], limit_s: float = PATIENCE_S, every_s: float = 0.002) -> None:
    deadline_s = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline_s, "it did not come about in time"
        time.sleep(every_s)


@contextlib.contextmanager
def running(
    task: Task,
    *,
    bounds: Bounds | None = None,
    step_s: float = 0.0,
    keys: tuple[str, ...] = (),
    phase: Phase = Phase.READY,
    certificate: tuple[Path, Path] | None = None,
) -> Iterator[Running]:
    """A server of that task that has come as far as `phase`. certificate: its file, and its key's, for HTTPS."""
    trusted: ssl.SSLContext | bool = True if certificate is None else ssl.create_default_context(cafile=certificate[0])
    chain, key = certificate or (None, None)
    bounds = Bounds() if bounds is None else bounds
    listener = listening.bind("127.0.0.1", 0)
    started: list[tuple[listening.Listener, Running]] = []
    up = threading.Event()

    async def serve() -> None:
        service = Service((NAME, "double"), bounds, unit="reef", node_pool="spot")
        held = doubles.loaded(task, bounds, step_s)
        model = Model(doubles.files(task), doubles.device(), held)
        app = loading(service) if phase is Phase.LOADING else serving(service, model)
        if phase is not Phase.LOADING:
            service.lifecycle.move(phase, "so it is in this test")
        url = listening.url(listener, secure=certificate is not None)
        with httpx2.Client(base_url=url, timeout=PATIENCE_S, verify=trusted) as client:
            run = Running(client, service, held)
            published = Published(Labels("reef", NAME, "cpu", "spot"), has_tokens=task is Task.TEXT_GENERATION)
            published.listen(lambda answer: run.answered.append((answer.route, answer.method, answer.status)))
            service.publish(published)
            front = Front(service, app, keys)
            server = listening.Listener(listening.config(front, certificate=chain, key=key), up.set, lambda: None)
            started.append((server, run))
            # A thread has no signals.
            server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
            await server.serve(sockets=[listener])

    def run_it() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run_it, daemon=True)
    thread.start()
    assert up.wait(PATIENCE_S)
    server, run = started[0]
    try:
        yield run
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
