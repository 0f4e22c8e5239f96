"""What ends a server by itself: a model that cannot be loaded, and a device that is lost. In this process."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import httpx2
import pytest

from holdfast.model.errors import InputError
from holdfast.serving import listening
from holdfast.serving.hosted.lost import DeviceLostError
from holdfast.serving.hosted.predicting.texts import TextClassifier
from holdfast.serving.hosted.server import HostedServer
from holdfast.serving.hosted.settings import Settings
from serving.hosted import tiny_models
from serving.hosted.running import PATIENCE_S, until


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


def test_a_device_that_is_lost_ends_it_after_all_were_answered(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
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
    assert "the device is lost" in caplog.text
