"""The end of a server, in this process."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from holdfast.serving import listening
from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.loaded import Model
from holdfast.serving.hosted.server import HostedServer
from holdfast.serving.hosted.settings import Settings
from holdfast.serving.hosted.starting import Started
from holdfast.serving.hosted.tasks import Task
from holdfast.serving.lifecycle import Phase
from serving.hosted import doubles
from serving.hosted.running import until


class Slow:
    """A publisher whose CloudWatch is in no hurry."""

    closed = False

    def close(self, within_s: float) -> bool:
        time.sleep(min(within_s, 1.2))
        self.closed = True
        return True


@pytest.fixture
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


class Broken(doubles.Answering):
    async def run(self) -> None:
        raise RuntimeError("CUDA error: unspecified launch failure")


def prepared(monkeypatch: pytest.MonkeyPatch, publisher: Slow, loaded: doubles.Answering) -> HostedServer:
    """A server whose model is there at once, and that drains for a second at most."""
    server = HostedServer(Settings("kelp/double", drain_timeout_s=1.0))
    model = Model(doubles.files(Task.EMBEDDINGS), doubles.device(), loaded)
    monkeypatch.setattr(server, "_load", lambda _: Started(model, server._front.app, publisher))  # type: ignore[arg-type]
    return server


@pytest.mark.usefixtures("thawed")
def test_a_drain_that_ended_in_time_is_not_cut_off_while_cloudwatch_takes_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publisher, died = Slow(), []
    server = prepared(monkeypatch, publisher, doubles.Answering(doubles.Hand(Bounds(), 0.0), str))
    monkeypatch.setattr(server, "_die", lambda *given: died.append(given))

    def end() -> None:
        until(lambda: server._service.lifecycle.phase is Phase.READY)
        os.kill(os.getpid(), signal.SIGTERM)

    ending = threading.Thread(target=end)
    with contextlib.closing(listening.bind("127.0.0.1", 0)) as listener:
        server.run(listener, ending.start)
    ending.join()
    assert publisher.closed
    assert not died


@pytest.mark.usefixtures("thawed")
def test_a_broken_device_ends_the_server_and_the_last_counts_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    publisher = Slow()
    server = prepared(monkeypatch, publisher, Broken(doubles.Hand(Bounds(), 0.0), str))
    with (
        contextlib.closing(listening.bind("127.0.0.1", 0)) as listener,
        pytest.raises(RuntimeError, match="CUDA error"),
    ):
        server.run(listener, lambda: None)
    assert publisher.closed
