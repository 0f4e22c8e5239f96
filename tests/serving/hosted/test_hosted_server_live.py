"""The life of a server's process: it listens, loads, serves, drains and ends."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest

from serving.hosted import tiny_models
from serving.hosted.live_server import LiveServer, serving
from serving.hosted.running import until

BODY = json.dumps({"model": "sentiment", "input": "kelp"}).encode()
HEAD = (
    b"POST /classify HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n" % len(BODY)
)
FLAGS = (
    *("--served-model-name", "sentiment", "--unit", "reef", "--node-pool", "spot"),
    *("--cloudwatch-namespace", "tide", "--cloudwatch-log"),
)


def all_of(client: object) -> bytes:
    return b"".join(iter(lambda: client.recv(65536), b""))  # type: ignore[attr-defined]


def test_it_listens_at_once_loads_warms_up_serves_and_drains(tmp_path: Path) -> None:
    with serving(tiny_models.bert_classifier(), tmp_path / "log", *FLAGS) as live:
        assert live.event["event"] == "listening"
        assert live.event["pid"] == live.process.pid
        status, phase = live.readiness()
        assert (status, phase) == (503, "loading")
        assert live.client.get("/health").status_code == 200
        assert live.client.post("/classify", content=BODY).status_code == 503
        assert live.client.get("/metrics").status_code == 200
        live.until_ready()
        assert "warming up" in live.log()

        answer = live.client.post("/classify", content=BODY)
        assert answer.status_code == 200
        assert sum(answer.json()["data"][0]["probs"]) == pytest.approx(1.0)
        assert live.metric("holdfast_http_requests_total", route="/classify", status="200", unit="reef") == 1
        # What was answered before it was known what to label it with is counted too.
        assert live.metric("holdfast_http_requests_total", route="/readiness", status="503", device="cpu") >= 1
        assert live.metric("vllm:request_success_total", node_pool="spot") == 1

        with live.connect() as waiting:
            waiting.sendall(HEAD)
            live.until_taken()
            live.process.send_signal(signal.SIGTERM)
            until(lambda: "draining" in live.log())
            waiting.sendall(BODY)
            assert all_of(waiting).startswith(b"HTTP/1.1 200")
        assert live.process.wait(20) == 0
        assert live.process.stdout is not None
        told = [json.loads(line) for line in live.process.stdout]
        assert {line["_aws"]["CloudWatchMetrics"][0]["Namespace"] for line in told} == {"tide"}
        assert sum(line.get("RequestCount", 0) for line in told if line.get("Status") == "Success") == 2


def test_what_does_not_end_in_time_is_cut_off(tmp_path: Path) -> None:
    with serving(tiny_models.bert_classifier(), tmp_path / "log", "--drain-timeout", "300ms") as live:
        live.until_ready()
        with live.connect() as stuck:
            stuck.sendall(HEAD)
            live.until_taken()
            live.process.send_signal(signal.SIGTERM)
            assert live.process.wait(20) == 1
        assert "the drain timed out" in live.log()


def test_a_signal_while_it_loads_ends_it_at_once(tmp_path: Path) -> None:
    with serving(tiny_models.bert_classifier(), tmp_path / "log") as live:
        live.process.send_signal(signal.SIGTERM)
        assert live.process.wait(20) == 0


def ended(live: LiveServer) -> tuple[int, str]:
    """Exit code and the last line on stderr."""
    return live.process.wait(40), live.log().strip().splitlines()[-1]


def test_a_model_that_cannot_be_loaded_ends_it_with_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    with serving(folder, tmp_path / "log") as live:
        code, said = ended(live)
    assert code == 2
    assert said.startswith("holdfast: ")
    assert "Traceback" not in said


def test_a_model_that_its_library_chokes_on_ends_it_with_a_sentence_and_a_log(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_models.bert_classifier(), folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"hidden_act": "tidal"}), encoding="utf-8")
    with serving(folder, tmp_path / "log") as live:
        code, said = ended(live)
    assert code == 2
    assert "cannot be loaded" in said
