"""Each task's tiny model behind `holdfast serve`, as a user starts it: API, readiness, metrics, overload, cancellation
and drain. A class has one process, started again only where a test before ended it."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import httpx2
import pytest
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.hosted import task_cases
from serving.hosted.live_server import LiveServer, Seen, serving
from serving.hosted.running import PATIENCE_S, until
from serving.hosted.task_cases import Case
from serving.hosted.test_hosted_api import ALL_PATHS

LABELS = {"model_name": "tiny", "unit": "reef", "device": "cpu", "node_pool": "spot"}
SLOTS, QUEUE = 2, 4
FLAGS = (
    *("--served-model-name", "tiny", "--unit", "reef", "--node-pool", "spot"),
    *("--max-batch", str(SLOTS), "--max-queued", str(QUEUE)),
)
SERVER_PATHS = ["/", "/v1/models", "/health", "/readiness", "/metrics", "/load/{n}/infer/{m}"]
VLLM_NAMES = [
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
    "vllm:request_success_total",
    "vllm:admission_rejections_total",
    "vllm:e2e_request_latency_seconds_count",
    "vllm:request_queue_time_seconds_count",
    "vllm:request_inference_time_seconds_count",
]


NONSENSE = [
    pytest.param(body, id=name)
    for name, body in {
        "nothing": b"",
        "no text": b"\xff\xfe\x00",
        "a list": b"[]",
        "a number beyond all": b"1e999",
        "not a number": b'{"model": NaN}',
        "ten megabytes of nested lists": b"[" * 5_000_000 + b"]" * 5_000_000,
        "nested objects": b'{"model":' * 100_000,
        "half of a surrogate pair": rb'{"model": "tiny", "prompt": "\ud800", "input": "\ud800", "image": "\ud800"}',
    }.items()
]
_POST = b"POST PATH HTTP/1.1\r\nhost: a\r\n"
_AS_JSON = b"content-type: application/json\r\n"
HARDLY_HTTP = [
    pytest.param(sent_bytes, id=name)
    for name, sent_bytes in {
        "HTTP 0.9": b"GET /\r\n\r\n",
        "HTTP 2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "HTTP 1.0 without a body": b"POST PATH HTTP/1.0\r\n\r\n",
        "a method that is none": b"FOO PATH HTTP/1.1\r\nhost: a\r\n\r\n",
        "a path out of the root": b"GET /../../etc/passwd HTTP/1.1\r\nhost: a\r\n\r\n",
        "two lengths": _POST + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "a length below zero": _POST + b"content-length: -5\r\n\r\n",
        "a length that is refused": _POST + _AS_JSON + b"content-length: 9999999999\r\n\r\n",
        "chunks of nonsense": _POST + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        "a form": _POST + b"content-type: multipart/form-data; boundary=x\r\ncontent-length: 5\r\n\r\n--x\r\n",
        "half a body": _POST + _AS_JSON + b"content-length: 50\r\n\r\n{",
    }.items()
]
SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]
"""A server serves all examples, and each class has one."""
LENGTHS = {"steps", "size", "n", "max_tokens", "min_tokens"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


class Life:
    """The servers of a class of tests, one after another; most need one."""

    def __init__(self, case: Case, folder: Path) -> None:
        self._case = case
        self._folder = folder
        self._open = contextlib.ExitStack()
        self._live: LiveServer | None = None
        self.beginning: list[Seen] = []

    def live(self) -> LiveServer:
        """A server that is ready; what was seen of it until then is the `beginning`."""
        if self._live is None or self._live.process.poll() is not None:
            self.close()
            self._live = self._open.enter_context(serving(self._case.model(), self._folder / "log", *FLAGS))
            self.beginning = self._live.watched_until_ready(self._case.path, sent(self._case))
        return self._live

    def close(self) -> None:
        self._open.close()


def sent(case: Case, **more: Any) -> bytes:
    return json.dumps({"model": "tiny", **case.body, **more}).encode()


def post(live: LiveServer, case: Case, **more: Any) -> httpx2.Response:
    return live.client.post(
        case.path, content=sent(case, **more), headers={"content-type": "application/json", "x-request-id": "a"}
    )


def raw(case: Case, **more: Any) -> tuple[bytes, bytes]:
    """Head and body of the task's request."""
    body = sent(case, **more)
    head = (
        f"POST {case.path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\nconnection: close\r\n"
        f"x-request-id: a\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode(), body


def asks(live: LiveServer, case: Case, **more: Any) -> socket.socket:
    """A connection on which the task's request was sent."""
    client = live.connect()
    client.sendall(b"".join(raw(case, **more)))
    return client


def rest(client: socket.socket) -> bytes:
    with client:
        return b"".join(iter(lambda: client.recv(65536), b""))


def leave(*clients: socket.socket) -> None:
    for client in clients:
        client.close()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def aborted(live: LiveServer) -> float:
    return live.metric("vllm:request_success_total", finished_reason="abort")


def until_empty(live: LiveServer) -> None:
    until(lambda: not live.metric("vllm:num_requests_running") + live.metric("vllm:num_requests_waiting"))


def answers_by_route(live: LiveServer) -> Counter[tuple[str, str, str]]:
    """Of all but scrapes, which change what they count."""
    samples = live.samples("holdfast_http_requests_total")
    return Counter(
        {
            (labels["route"], labels["method"], labels["status"]): int(value)
            for labels, value in samples
            if labels["route"] != "/metrics"
        }
    )


@pytest.fixture(scope="class")
def life(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    life = Life(request.cls.case, tmp_path_factory.mktemp("server"))
    yield life
    life.close()


@pytest.fixture
def live(life: Life) -> Iterator[LiveServer]:
    live = life.live()
    yield live
    assert "Traceback" not in live.log()


class Contract:
    """What holds for every task."""

    case: ClassVar[Case]

    def test_it_is_ready_when_it_answers_and_not_before(self, live: LiveServer, life: Life) -> None:
        assert life.beginning[0].phase == "loading"
        for seen in life.beginning[:-1]:
            assert (seen.health, seen.readiness) == (200, 503)
            assert seen.phase in ("loading", "warming up")
        # It may have become ready between two questions.
        early = [
            seen for seen, after in zip(life.beginning, life.beginning[1:], strict=False) if after.readiness == 503
        ]
        assert {(seen.answer, seen.retry_after) for seen in early} == {(503, "1")}
        last = life.beginning[-1]
        assert (last.health, last.readiness, last.phase, last.answer) == (200, 200, "ready", 200)
        assert live.log().index("warming up") < live.log().index(" ready ")
        # Nothing is left for the first request to compile or to load: it takes no longer than what is warm may.
        assert last.seconds < 1.0

    def test_it_answers_what_the_model_itself_does(self, live: LiveServer) -> None:
        answer = post(live, self.case)
        assert answer.status_code == 200
        self.case.agrees(self.case.model(), answer.json())

    def test_its_document_lists_the_routes_that_exist_and_no_others(self, live: LiveServer) -> None:
        listed = set(live.client.get("/openapi.json").json()["paths"])
        for path in [*ALL_PATHS, *SERVER_PATHS, "/serve", "/genimages", "/v1"]:
            asked = live.client.options(path.format(n=1, m=1))
            assert asked.status_code == (405 if path in listed else 404), path
        assert listed <= {*ALL_PATHS, *SERVER_PATHS}
        assert live.client.get("/docs").status_code == 200

    def test_the_published_guides_load_loop_is_there(self, live: LiveServer) -> None:
        before = live.metric("vllm:request_success_total")
        told = live.client.get("/load/3/infer/1").json()
        assert (told["runs"], told["model"]) == (3, "tiny")
        assert live.metric("vllm:request_success_total") - before == 3

    def test_counts_agree_with_what_was_sent(self, live: LiveServer) -> None:
        path, before = self.case.path, answers_by_route(live)
        ended, timed = live.metric("vllm:request_success_total"), live.metric(VLLM_NAMES[4])
        tokens = [live.metric(f"vllm:{kind}_tokens_total") for kind in ("prompt", "generation")]
        answers = [post(live, self.case), post(live, self.case)]
        live.client.post(path, content=b"{", headers={"content-type": "application/json"})
        live.client.post(path, content=b"a=b", headers={"content-type": "application/x-www-form-urlencoded"})
        live.client.get(path)
        live.client.get("/nowhere")
        live.client.get("/readiness")
        expected = Counter(
            {(path, "POST", "200"): 2, (path, "POST", "400"): 1, (path, "POST", "415"): 1, (path, "GET", "405"): 1}
            | {("other", "GET", "404"): 1, ("/readiness", "GET", "200"): 1}
        )
        until(lambda: answers_by_route(live) - before == expected)
        assert live.metric("vllm:request_success_total") - ended == 2
        assert live.metric(VLLM_NAMES[4]) - timed == 2
        usages = [answer.json().get("usage", {}) for answer in answers]
        for kind, so_far, name in zip(("prompt", "generation"), tokens, ("prompt", "completion"), strict=True):
            counted = sum(usage.get(f"{name}_tokens", 0) for usage in usages)
            assert live.metric(f"vllm:{kind}_tokens_total") - so_far == counted
        assert answers_by_route(live).total() == sum(
            value
            for labels, value in live.samples("holdfast_http_request_duration_seconds_count")
            if labels["route"] != "/metrics"
        )

    def test_every_sample_says_whose_it_is(self, live: LiveServer) -> None:
        post(live, self.case)
        for name in (*VLLM_NAMES, "holdfast_batch_size_count", "holdfast_accelerator_busy_seconds_total"):
            assert live.samples(name), name
        samples = live.samples(r"\S+?")
        assert len(samples) > 100
        assert all(labels.items() >= LABELS.items() for labels, _ in samples)
        assert live.metric("holdfast_ready") == 1

    def test_what_the_queue_cannot_hold_is_told_when_to_come_again(self, live: LiveServer) -> None:
        refusals, before = live.metric("vllm:admission_rejections_total"), answers_by_route(live)
        statuses: Counter[int] = Counter()
        for _ in range(20):
            with live.paused():  # so that it finds all of them at once
                crowd = [asks(live, self.case) for _ in range(32)]
            for answer in map(rest, crowd):
                statuses[status(answer)] += 1
                if status(answer) == 429:
                    assert 1 <= int(re.findall(rb"retry-after: (\d+)", answer)[0]) <= 60
                    assert b'"queue_full"' in answer
            if statuses[429]:
                break
        assert set(statuses) == {200, 429}
        told = {(self.case.path, "POST", str(code)): count for code, count in statuses.items()}
        until(lambda: answers_by_route(live) - before == Counter(told))
        assert live.metric("vllm:admission_rejections_total") - refusals == statuses[429]
        until_empty(live)
        assert post(live, self.case).status_code == 200

    def test_who_leaves_frees_the_place(self, live: LiveServer) -> None:
        before, aborts = answers_by_route(live), aborted(live)
        gone = ("/load/{n}/infer/{m}", "GET", "499")
        for number in range(1, 21):
            with live.connect() as client:
                client.sendall(f"GET /load/1000/infer/{self.case.load} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
                live.until_taken()
            until(lambda number=number: (answers_by_route(live) - before)[gone] == number)  # type: ignore[misc]
            # An answer may come in the instant in which its client leaves.
            if aborted(live) > aborts:
                break
        assert number >= aborted(live) - aborts > 0
        until_empty(live)
        assert post(live, self.case).status_code == 200

    def test_who_leaves_before_being_looked_at_is_counted_as_gone(self, live: LiveServer) -> None:
        before = answers_by_route(live)
        with live.paused():
            leave(*[asks(live, self.case) for _ in range(3)])
            for _ in range(3):
                with live.connect() as client:
                    client.sendall(b"".join(raw(self.case))[:-3])
        until(lambda: (answers_by_route(live) - before).total() == 6)
        new = answers_by_route(live) - before
        assert set(new) <= {(self.case.path, "POST", "200"), (self.case.path, "POST", "499")}
        assert new[self.case.path, "POST", "499"] >= 3
        until_empty(live)

    @pytest.mark.parametrize("nonsense", NONSENSE)
    def test_nonsense_is_refused_in_a_sentence(self, live: LiveServer, nonsense: bytes) -> None:
        answer = live.client.post(self.case.path, content=nonsense, headers={"content-type": "application/json"})
        assert answer.status_code == 400
        assert answer.json()["error"]["message"]

    @pytest.mark.parametrize("sent_bytes", HARDLY_HTTP)
    def test_what_is_hardly_http_ends_soon_and_harms_nobody(self, live: LiveServer, sent_bytes: bytes) -> None:
        with live.connect() as client:
            client.sendall(sent_bytes.replace(b"PATH", self.case.path.encode()))
            client.shutdown(socket.SHUT_WR)
            answer = client.recv(65536)
        assert not answer or status(answer) < 500
        assert live.readiness() == (200, "ready")

    @settings(max_examples=40, suppress_health_check=SHARED)
    @given(data=st.data())
    def test_whatever_stands_in_the_fields_of_its_document_it_does_not_fail(
        self, live: LiveServer, data: st.DataObject
    ) -> None:
        document = live.client.get("/openapi.json").json()
        form = document["paths"][self.case.path]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        # What would take long is left as it is.
        fields = sorted(document["components"]["schemas"][form.rpartition("/")[2]]["properties"].keys() - LENGTHS)
        drawn = data.draw(st.dictionaries(st.sampled_from(fields), JSON, max_size=3))
        content = json.dumps(json.loads(sent(self.case)) | drawn)
        answer = live.client.post(self.case.path, content=content, headers={"content-type": "application/json"})
        assert answer.status_code in (200, 400, 404)

    def test_at_the_end_what_is_in_flight_is_answered(self, live: LiveServer) -> None:
        head, body = raw(self.case)
        waiting = [live.connect() for _ in range(3)]
        for client in waiting:
            client.sendall(head)
        live.until_taken()
        live.process.send_signal(signal.SIGTERM)
        until(lambda: "draining" in live.log())
        for client in waiting:
            client.sendall(body)
        assert [status(rest(client)) for client in waiting] == [200] * 3
        assert live.process.wait(PATIENCE_S) == 0
        with pytest.raises(ConnectionRefusedError):
            live.connect()


class LongContract(Contract):
    """What can only be seen where a request takes a while."""

    def test_who_leaves_the_queue_or_the_device_is_counted_and_makes_room(self, live: LiveServer) -> None:
        aborts = aborted(live)
        ahead = [asks(live, self.case, **self.case.long) for _ in range(SLOTS)]
        until(lambda: live.metric("vllm:num_requests_running") > 0)
        behind = [asks(live, self.case, seed=2) for _ in range(QUEUE - 1)]
        leave(*behind)
        until(lambda: aborted(live) - aborts == len(behind))
        leave(*ahead)
        until(lambda: aborted(live) - aborts == len(behind) + len(ahead))
        until_empty(live)
        assert post(live, self.case).status_code == 200

    def test_while_it_drains_it_refuses_and_says_so(self, live: LiveServer) -> None:
        alone = status_and_bytes(asks(live, self.case, **self.case.long))
        busy = asks(live, self.case, **self.case.long)
        until(lambda: live.metric("vllm:num_requests_running") == 1)
        live.process.send_signal(signal.SIGTERM)
        until(lambda: live.readiness() == (503, "draining"))
        refused = post(live, self.case)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert live.client.get("/health").status_code == 200
        assert status_and_bytes(busy) == alone
        assert live.process.wait(PATIENCE_S) == 0


def status_and_bytes(client: socket.socket) -> tuple[int, bytes]:
    """The answer but for when it was made."""
    answer = rest(client)
    return status(answer), re.sub(rb'"created": ?\d+', b"", answer.partition(b"\r\n\r\n")[2])


class TestTextGeneration(LongContract):
    case = task_cases.GENERATION

    def test_a_chat_and_a_stream_say_the_same_as_the_whole(self, live: LiveServer) -> None:
        whole = post(live, self.case).json()
        events = post(live, self.case, stream=True, stream_options={"include_usage": True}).text.split("\n\n")
        assert events[-2:] == ["data: [DONE]", ""]
        chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
        text = "".join(choice["text"] for chunk in chunks for choice in chunk["choices"])
        assert text == whole["choices"][0]["text"]
        assert chunks[-1]["usage"] == whole["usage"]
        body = {"model": "tiny", "messages": [{"role": "user", "content": "kelp"}], "max_tokens": 5, "temperature": 0}
        chat = live.client.post("/v1/chat/completions", json=body).json()
        tokenizer = transformers.AutoTokenizer.from_pretrained(self.case.model())
        prompt = tokenizer("<|user|>kelp</s><|assistant|>", add_special_tokens=False).input_ids
        same = post(live, self.case, prompt=prompt, max_tokens=5).json()
        assert chat["choices"][0]["message"]["content"] == same["choices"][0]["text"]

    def test_a_stream_goes_on_byte_for_byte_while_it_drains(self, live: LiveServer) -> None:
        alone = status_and_bytes(asks(live, self.case, stream=True, **self.case.long))
        with live.paused():
            streams = [asks(live, self.case, stream=True, **self.case.long) for _ in range(SLOTS + 1)]
        begun = streams[0].recv(1)
        live.process.send_signal(signal.SIGTERM)
        until(lambda: live.readiness() == (503, "draining"))
        first = begun + rest(streams[0])
        assert re.sub(rb'"created": ?\d+', b"", first.partition(b"\r\n\r\n")[2]) == alone[1]
        assert [status_and_bytes(stream) for stream in streams[1:]] == [alone, alone]
        assert live.process.wait(PATIENCE_S) == 0


class TestTextClassification(Contract):
    case = task_cases.CLASSIFICATION


class TestEmbeddings(Contract):
    case = task_cases.EMBEDDINGS


class TestImageClassification(Contract):
    case = task_cases.IMAGE_CLASSIFICATION


class TestObjectDetection(Contract):
    case = task_cases.DETECTION


class TestTextToImage(LongContract):
    case = task_cases.IMAGES

    def test_the_published_guides_genimage_is_there(self, live: LiveServer) -> None:
        told = live.client.post("/genimage", json={"prompt": "kelp"}).json()
        assert told["prompt"] == "kelp"
        assert told["response"].startswith("iVBORw0KGgo")
        assert told["latency"] > 0
