"""The life of a server's process: it listens, loads, serves, drains and ends."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from serving.hosted import tiny_models
from serving.hosted.live_server import serving
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


def test_it_tells_cloudwatch_what_was_asked_of_the_model_and_nothing_else(tmp_path: Path) -> None:
    with serving(tiny_models.bert_classifier(), tmp_path / "log", *FLAGS) as live:
        assert live.event["event"] == "listening"
        assert live.event["pid"] == live.process.pid
        live.until_ready()
        assert [live.client.post("/classify", content=BODY).status_code for _ in range(2)] == [200, 200]
        # What was answered before it was known what to label it with is counted too.
        assert live.metric("holdfast_http_requests_total", route="/readiness", status="503", device="cpu") >= 1
        live.process.send_signal(signal.SIGTERM)
        assert live.process.wait(20) == 0
        assert live.process.stdout is not None
        told = [json.loads(line) for line in live.process.stdout]
        assert {line["_aws"]["CloudWatchMetrics"][0]["Namespace"] for line in told} == {"tide"}
        assert sum(line.get("RequestCount", 0) for line in told if line.get("Status") == "Success") == 2


@pytest.mark.parametrize(
    ("drain", "signals", "says"), [("300ms", 1, "the drain timed out"), ("1h", 2, "a second signal came")]
)
def test_what_is_stuck_is_cut_off_after_its_time_or_at_a_second_signal(
    tmp_path: Path, drain: str, signals: int, says: str
) -> None:
    with serving(tiny_models.bert_classifier(), tmp_path / "log", "--drain-timeout", drain) as live:
        live.until_ready()
        with live.connect() as stuck:
            stuck.sendall(HEAD)
            live.until_taken()
            for _ in range(signals):
                live.process.send_signal(signal.SIGTERM)
                until(lambda: "draining" in live.log())
            assert live.process.wait(20) == 1
        assert says in live.log()


def test_a_signal_while_it_loads_ends_it_at_once(tmp_path: Path) -> None:
    with serving(tiny_models.bert_classifier(), tmp_path / "log") as live:
        live.process.send_signal(signal.SIGTERM)
        assert live.process.wait(20) == 0


def test_a_model_that_cannot_be_loaded_ends_it_with_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    with serving(folder, tmp_path / "log") as live:
        assert live.process.wait(40) == 2
        said = live.log().strip().splitlines()[-1]
    assert said.startswith("holdfast: ")
    assert "Traceback" not in said
