"""What ends a server: a signal, a model that cannot be loaded, a device that is lost. In this process."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from holdfast.model.errors import InputError
from holdfast.serving import listening
from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.loaded import Model
from holdfast.serving.hosted.lost import DeviceLostError
from holdfast.serving.hosted.predicting.texts import TextClassifier
from holdfast.serving.hosted.server import HostedServer
from holdfast.serving.hosted.settings import Settings
from holdfast.serving.hosted.starting import Started
from holdfast.serving.hosted.tasks import Task
from holdfast.serving.lifecycle import Phase
from serving.hosted import doubles, tiny_models
from serving.hosted.running import PATIENCE_S, until


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


def test_a_model_that_its_library_chokes_on_is_told_in_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_models.bert_classifier(), folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"hidden_act": "tidal"}), encoding="utf-8")
    with listening.bind("127.0.0.1", 0) as listener, pytest.raises(InputError, match=r"cannot be loaded.*tidal"):
        HostedServer(Settings(str(folder), local_only=True, device="cpu")).run(listener, lambda: None)


def test_what_nobody_foresaw_while_it_loads_is_told_in_a_sentence_and_the_log_has_it_all(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def warm_up(_: TextClassifier) -> None:
        raise RuntimeError("CUDA out of memory.\nA page of advice")

    monkeypatch.setattr(TextClassifier, "warm_up", warm_up)
    settings = Settings(str(tiny_models.bert_classifier()), local_only=True, device="cpu")
    with listening.bind("127.0.0.1", 0) as listener, pytest.raises(InputError, match=r"cannot be loaded \(CUDA out of"):
        HostedServer(settings).run(listener, lambda: None)
    assert any(record.exc_info for record in caplog.records)


@pytest.mark.usefixtures("thawed")
def test_a_device_that_is_lost_ends_it_after_all_were_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = threading.Event()
    really = TextClassifier.predict

    def predict(self: TextClassifier, batch: Any) -> Any:
        if lost.is_set():
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return really(self, batch)

    monkeypatch.setattr(TextClassifier, "predict", predict)
    statuses: list[int] = []

    def ask(url: str) -> None:
        with httpx2.Client(base_url=url, timeout=PATIENCE_S) as client:
            until(lambda: client.get("/readiness").status_code == 200)
            lost.set()
            body = {"model": "m", "input": "kelp"}
            statuses.extend(client.post("/classify", json=body).status_code for _ in range(3))

    with listening.bind("127.0.0.1", 0) as listener:
        asking = threading.Thread(target=ask, args=(listening.url(listener, secure=False),))
        settings = Settings(str(tiny_models.bert_classifier()), ("m",), local_only=True, device="cpu")
        with pytest.raises(DeviceLostError, match="illegal memory access"):
            HostedServer(settings).run(listener, asking.start)
        asking.join(PATIENCE_S)
    assert statuses == [500, 500, 500]
