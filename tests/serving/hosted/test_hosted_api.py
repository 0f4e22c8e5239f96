"""What every server answers, whatever it serves; and what it refuses, in OpenAI's form and one sentence."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from holdfast.serving import listening
from holdfast.serving.errors import RequestError
from holdfast.serving.hosted import asking
from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.tasks import Task
from holdfast.serving.lifecycle import Phase
from holdfast.serving.openai import reading
from serving.hosted.running import Running, running, until

JSON = {"content-type": "application/json"}
PATHS = {
    Task.TEXT_GENERATION: {"/v1/completions", "/v1/chat/completions"},
    Task.TEXT_CLASSIFICATION: {"/classify"},
    Task.EMBEDDINGS: {"/v1/embeddings"},
    Task.IMAGE_CLASSIFICATION: {"/classify-image"},
    Task.OBJECT_DETECTION: {"/detect"},
    Task.TEXT_TO_IMAGE: {"/v1/images/generations", "/genimage"},
}
ALL_PATHS = {path for paths in PATHS.values() for path in paths}


@pytest.fixture(scope="module")
def embeddings() -> Iterator[Running]:
    with running(Task.EMBEDDINGS, bounds=Bounds(max_body_mib=0.01)) as run:
        yield run


def refusal(answer: httpx2.Response) -> str:
    """The sentence of an error in OpenAI's form."""
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert "Traceback" not in answer.text
    return str(error["message"])


@pytest.mark.parametrize("task", list(Task))
def test_only_what_suits_the_task_is_served_and_the_rest_says_which_task_it_is(task: Task) -> None:
    with running(task) as run:
        for path in ALL_PATHS:
            answer = run.post(path)
            assert answer.status_code == (400 if path in PATHS[task] else 404)
            assert task.value in refusal(answer) or answer.status_code == 400
        described = run.client.get("/openapi.json").json()["paths"]
        assert set(described) & ALL_PATHS == PATHS[task]
        assert run.client.get("/v1/models").json()["data"][0]["task"] == task.value


def test_it_says_what_it_is(embeddings: Running) -> None:
    what = embeddings.client.get("/").json()
    assert (what["task"], what["device"], what["unit"], what["node_pool"]) == (
        "feature-extraction", "cpu", "reef", "spot",
    )  # fmt: skip
    assert "/v1/embeddings" in what["paths"]
    assert [model["id"] for model in embeddings.client.get("/v1/models").json()["data"]] == ["kelp/double", "double"]


@pytest.mark.parametrize(
    ("phase", "says"), [(Phase.LOADING, "looked for"), (Phase.WARMING, "test"), (Phase.DRAINING, "test")]
)
def test_until_it_is_ready_and_when_it_drains_the_process_is_alive_but_not_ready(phase: Phase, says: str) -> None:
    with running(Task.EMBEDDINGS, phase=phase) as run:
        assert run.client.get("/health").json() == {"status": "alive"}
        readiness = run.client.get("/readiness")
        assert (readiness.status_code, readiness.json()["status"]) == (503, phase.value)
        assert says in readiness.json()["reason"]
        refused = run.post("/v1/embeddings", input="a")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert phase.value in refusal(refused)
        assert run.client.get("/load/1/infer/1").status_code == 503
        assert run.client.get("/metrics").status_code == 200


@pytest.mark.parametrize(
    ("body", "headers", "status", "says"),
    [
        (b"{", JSON, 400, "not JSON"),
        (b"\xff", JSON, 400, "not JSON"),
        (b"[" * 5000, JSON, 400, "not JSON"),
        (b'{"model": ' * 900 + b"1", JSON, 400, "not JSON"),
        (b'"a"', JSON, 400, "object"),
        (b'{"model": "kelp/double", "input": "\\ud800"}', JSON, 400, "not JSON"),
        (b'{"input": "a"}', JSON, 400, "model is missing"),
        (b'{"model": null, "input": "a"}', JSON, 400, "model is missing"),
        (b'{"model": "other", "input": "a"}', JSON, 404, "'other' does not exist"),
        (b"a=b", {"content-type": "application/x-www-form-urlencoded"}, 415, "application/json"),
        (b" " * 11000, JSON, 413, "0.01 MiB"),
    ],
)
def test_bodies_that_are_nonsense_are_refused_in_a_sentence(
    embeddings: Running, body: bytes, headers: dict[str, str], status: int, says: str
) -> None:
    answer = embeddings.client.post("/v1/embeddings", content=body, headers=headers)
    assert answer.status_code == status
    assert says in refusal(answer)


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/embeddings"), ("GET", "/load/1/infer/1")])
def test_a_body_without_an_end_is_cut_off_at_the_bound(embeddings: Running, method: str, path: str) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while True:
            sent += 1024
            yield b" " * 1024

    try:
        answer = embeddings.client.request(method, path, content=endless(), headers=JSON)
        assert answer.status_code == 413
    except httpx2.NetworkError:
        pass  # the server closed the connection before all was sent
    assert sent < 64 * 2**20


def test_all_bodies_in_hand_are_bounded_together() -> None:
    head = b"POST /v1/embeddings HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 10000\r\n\r\n"
    with running(Task.EMBEDDINGS, bounds=Bounds(max_body_mib=0.01)) as run, contextlib.ExitStack() as open_ones:
        url = run.client.base_url
        for _ in range(70):
            client = open_ones.enter_context(socket.create_connection((url.host, url.port or 0), timeout=5))
            client.sendall(head + b" " * 9900)  # the rest never comes
        until(lambda: any(status == 429 for _, _, status in run.answered))
        assert run.post("/v1/embeddings", input="k" * 9000).status_code == 429
        assert run.client.get("/readiness").status_code == 200
        open_ones.close()
        until(lambda: len(run.answered) >= 70)
        assert run.post("/v1/embeddings", input="kelp").status_code == 200


@pytest.mark.parametrize("task", list(Task))
def test_no_body_is_parsed_on_the_event_loop(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen MiB of JSON would hold up everybody else for seconds."""
    threads: list[str] = []

    def read(*given: object) -> object:
        threads.append(threading.current_thread().name)
        raise RequestError(400, "that will do")

    monkeypatch.setattr(reading, "read", read)
    with running(task) as run:
        for path in PATHS[task]:
            assert run.post(path).status_code == 400
    assert len(threads) == len(PATHS[task])
    assert all(name.startswith("prepare") for name in threads)


def test_an_unknown_path_and_a_wrong_method_are_refused_in_openai_s_form(embeddings: Running) -> None:
    assert "feature-extraction" in refusal(embeddings.client.get("/nowhere"))
    wrong = embeddings.client.get("/v1/embeddings")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert refusal(wrong)


def test_what_was_not_foreseen_is_answered_500_with_an_id_that_the_log_has(
    embeddings: Running, caplog: pytest.LogCaptureFixture
) -> None:
    answer = embeddings.client.post(
        "/v1/embeddings", json={"model": "double", "input": "why?"}, headers={"x-request-id": "tide-7"}
    )
    assert answer.status_code == 500
    assert "tide-7" in refusal(answer)
    until(lambda: any("tide-7" in record.getMessage() and record.exc_info for record in caplog.records))


@pytest.mark.parametrize("given", ["", "a b", "x" * 200, "é"])
def test_every_answer_has_an_id_of_its_own_unless_the_client_gave_a_fit_one(embeddings: Running, given: str) -> None:
    answer = embeddings.client.get("/health", headers=[(b"x-request-id", given.encode())])
    assert len(answer.headers["x-request-id"]) == 32
    assert embeddings.client.get("/health", headers={"x-request-id": "a.b-c"}).headers["x-request-id"] == "a.b-c"


def test_every_answer_is_counted_by_the_template_of_its_route() -> None:
    with running(Task.EMBEDDINGS) as run:
        run.client.get("/health")
        run.client.get("/nowhere")
        run.client.request("PROPFIND", "/health")
        run.post("/v1/embeddings", input="a")
        run.client.get("/load/1/infer/1")
        until(lambda: len(run.answered) == 5)
        assert run.answered == [
            ("/health", "GET", 200),
            ("other", "GET", 404),
            ("/health", "other", 405),
            ("/v1/embeddings", "POST", 200),
            ("/load/{n}/infer/{m}", "GET", 200),
        ]


def test_with_keys_all_but_probes_metrics_and_the_page_need_one() -> None:
    with running(Task.EMBEDDINGS, keys=("old", "new")) as run:
        body = {"model": "double", "input": "a"}
        for path in ("/health", "/readiness", "/metrics", "/docs", "/openapi.json", "/"):
            assert run.client.get(path).status_code == 200
        for wrong in ({}, {"authorization": "Bearer other"}, {"authorization": "Basic old"}, {"authorization": "old"}):
            answer = run.client.post("/v1/embeddings", json=body, headers=wrong)
            assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")
        for key in ("old", "new"):
            headers = {"authorization": f"Bearer {key}"}
            assert run.client.post("/v1/embeddings", json=body, headers=headers).status_code == 200
        assert run.client.get("/load/1/infer/1").status_code == 401


def test_a_body_that_does_not_come_is_given_up(embeddings: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_BODY_S", 0.05)
    url = embeddings.client.base_url
    with socket.create_connection((url.host, url.port or 0), timeout=10) as client:
        client.sendall(b"POST /v1/embeddings HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\nconnection: close\r\n\r\n{")
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"did not come within" in answer


def test_a_client_that_leaves_within_its_body_is_counted_and_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    with running(Task.EMBEDDINGS) as run:
        url = run.client.base_url
        with socket.create_connection((url.host, url.port or 0), timeout=10) as client:
            client.sendall(b"POST /v1/embeddings HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n{")
        until(lambda: run.answered == [("/v1/embeddings", "POST", 499)])
    assert not caplog.records


def test_a_path_with_a_slash_too_many_leads_nowhere(embeddings: Running) -> None:
    """A redirect would lead to the host that the request names, and from HTTPS before a load balancer to HTTP."""
    assert embeddings.client.get("/v1/models/").status_code == 404


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl is there to make a certificate")
def test_it_serves_https(tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(certificate), "-days", "1", "-subj", "/CN=127.0.0.1"]
    subprocess.run([*command, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True, timeout=20)
    listening.check_certificate(certificate, key)
    with running(Task.EMBEDDINGS, certificate=(certificate, key)) as run:
        assert str(run.client.base_url).startswith("https://")
        assert run.post("/v1/embeddings", input="kelp").status_code == 200


def test_a_head_without_an_end_is_cut_off(embeddings: Running) -> None:
    url = embeddings.client.base_url
    with socket.create_connection((url.host, url.port or 0), timeout=10) as client:
        client.sendall(b"GET /health HTTP/1.1\r\n")
        with pytest.raises(OSError):
            for _ in range(2000):
                client.sendall(b"a: " + b"b" * 1000 + b"\r\n")
                time.sleep(0.0005)
