"""Each task's tiny model behind `holdfast serve`: its API, readiness, metrics, overload, cancellation and drain."""

from __future__ import annotations

import base64
import concurrent.futures
import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.serving.hosted.tasks import Task
from serving.hosted import picture_files, tiny_models
from serving.hosted.live_server import LiveServer, serving
from serving.hosted.running import until

MODELS: dict[Task, Callable[[], Path]] = {
    Task.TEXT_GENERATION: tiny_models.llama,
    Task.TEXT_CLASSIFICATION: tiny_models.bert_classifier,
    Task.EMBEDDINGS: tiny_models.bert_embedder,
    Task.IMAGE_CLASSIFICATION: tiny_models.vit,
    Task.OBJECT_DETECTION: tiny_models.yolos,
    Task.TEXT_TO_IMAGE: tiny_models.stable_diffusion,
}
IMAGE = {"image": base64.b64encode(picture_files.file_of(picture_files.drawing())).decode()}
REQUESTS: dict[Task, tuple[str, dict[str, Any]]] = {
    Task.TEXT_GENERATION: (
        "/v1/completions",
        {"prompt": "the tide", "max_tokens": 60, "ignore_eos": True, "temperature": 0},
    ),
    Task.TEXT_CLASSIFICATION: ("/classify", {"input": "the tide"}),
    Task.EMBEDDINGS: ("/v1/embeddings", {"input": "the tide"}),
    Task.IMAGE_CLASSIFICATION: ("/classify-image", IMAGE),
    Task.OBJECT_DETECTION: ("/detect", IMAGE),
    Task.TEXT_TO_IMAGE: ("/v1/images/generations", {"prompt": "the tide", "seed": 1, "steps": 2}),
}
FLAGS = (
    *("--served-model-name", "tiny", "--unit", "reef"),
    *("--node-pool", "spot", "--max-batch", "2", "--max-queued", "1"),
)
Asked = tuple[LiveServer, Task]
LIMIT_S = 20.0


@pytest.fixture(scope="module", params=list(Task), ids=lambda task: task.value)
def asked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    with serving(MODELS[request.param](), tmp_path_factory.mktemp("server") / "log", *FLAGS) as live:
        live.until_ready()
        yield live, request.param


def body(task: Task) -> bytes:
    return json.dumps({"model": "tiny", **REQUESTS[task][1]}).encode()


def raw(task: Task) -> tuple[bytes, bytes]:
    """Head and body of the task's request."""
    sent = body(task)
    head = f"POST {REQUESTS[task][0]} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\nconnection: close\r\n"
    return f"{head}content-length: {len(sent)}\r\n\r\n".encode(), sent


def post(live: LiveServer, task: Task) -> Any:
    headers = {"content-type": "application/json"}
    return live.client.post(REQUESTS[task][0], content=body(task), headers=headers)


def test_it_answers_and_counts(asked: Asked) -> None:
    live, task = asked
    first, again = post(live, task), post(live, task)
    assert first.status_code == 200
    volatile = ("id", "created")
    assert {k: v for k, v in first.json().items() if k not in volatile} == {
        k: v for k, v in again.json().items() if k not in volatile
    }
    labels = {"model_name": "tiny", "unit": "reef", "device": "cpu", "node_pool": "spot"}
    until(lambda: live.metric("holdfast_http_requests_total", route=REQUESTS[task][0], status="200", **labels) == 2)
    assert live.metric("vllm:request_success_total", **labels) == 2
    assert live.metric("holdfast_accelerator_busy_seconds_total", **labels) > 0
    assert live.readiness() == (200, "ready")


def test_what_the_queue_cannot_hold_is_told_to_come_again(asked: Asked) -> None:
    live, task = asked
    until_s = time.monotonic() + LIMIT_S
    refused: list[Any] = []
    with concurrent.futures.ThreadPoolExecutor(12) as crowd:
        while not refused and time.monotonic() < until_s:
            answers = list(crowd.map(lambda _: post(live, task), range(36)))
            refused = [answer for answer in answers if answer.status_code != 200]
    assert {answer.status_code for answer in refused} == {429}
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert post(live, task).status_code == 200


def test_who_leaves_is_not_served_to_the_end(asked: Asked) -> None:
    live, task = asked
    until_s = time.monotonic() + LIMIT_S
    while not live.metric("vllm:request_success_total", finished_reason="abort") and time.monotonic() < until_s:
        with live.connect() as leaving:
            leaving.sendall(b"".join(raw(task)))
            time.sleep(0.004)
    assert live.metric("vllm:request_success_total", finished_reason="abort") >= 1
    until(lambda: live.metric("vllm:num_requests_running") == 0)
    assert post(live, task).status_code == 200


def test_at_the_end_what_is_in_flight_is_answered(asked: Asked) -> None:
    live, task = asked
    head, sent = raw(task)
    with live.connect() as waiting:
        waiting.sendall(head)
        live.until_taken()
        live.process.send_signal(signal.SIGTERM)
        until(lambda: "draining" in live.log())
        waiting.sendall(sent)
        assert b"".join(iter(lambda: waiting.recv(65536), b"")).startswith(b"HTTP/1.1 200")
    assert live.process.wait(20) == 0
