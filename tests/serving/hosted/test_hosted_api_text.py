"""Completions and chats, as OpenAI's clients ask for them."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.tasks import Task
from serving.hosted.doubles import Speller
from serving.hosted.running import Running, running, until

CHAT = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def texts() -> Iterator[Running]:
    with running(Task.TEXT_GENERATION) as run:
        yield run


def events(body: str) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in body.split("\n\n") if line]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def last_asked(run: Running) -> Any:
    assert isinstance(run.loaded, Speller)
    return run.loaded.asked[-1]


def test_a_completion_is_answered_whole_with_its_usage(texts: Running) -> None:
    answer = texts.post("/v1/completions", prompt="kelp", max_tokens=3).json()
    assert answer["choices"] == [{"index": 0, "text": "abc", "logprobs": None, "finish_reason": "length"}]
    assert answer["usage"] == {"prompt_tokens": 4, "completion_tokens": 3, "total_tokens": 7}
    assert (answer["object"], answer["model"]) == ("text_completion", "kelp/double")


def test_a_completion_is_as_long_as_openai_s_by_default_and_a_chat_up_to_the_context(texts: Running) -> None:
    assert texts.post("/v1/completions", prompt="kelp").json()["usage"]["completion_tokens"] == 16
    chat = texts.post("/v1/chat/completions", messages=CHAT).json()
    assert chat["usage"]["total_tokens"] == 200


@pytest.mark.parametrize("prompt", [[1, 2, 3], [[1, 2, 3]]])
def test_token_ids_are_taken_as_they_are(texts: Running, prompt: object) -> None:
    texts.post("/v1/completions", prompt=prompt, max_tokens=1)
    assert last_asked(texts).tokens == (1, 2, 3)


def test_a_chat_goes_through_the_template_and_is_answered_by_the_assistant(texts: Running) -> None:
    answer = texts.post("/v1/chat/completions", messages=CHAT, max_completion_tokens=2, max_tokens=9).json()
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "ab"}
    assert bytes(last_asked(texts).tokens) == b"<user>hi"


def test_a_content_in_parts_is_one_text_to_the_template(texts: Running) -> None:
    parts = [{"type": "text", "text": "be"}, {"type": "text", "text": "calm"}]
    texts.post("/v1/chat/completions", messages=[{"role": "user", "content": parts}], max_tokens=1)
    assert bytes(last_asked(texts).tokens) == b"<user>be\ncalm"


@pytest.mark.parametrize("chat", [False, True])
def test_a_stream_has_each_piece_then_usage_then_done(texts: Running, chat: bool) -> None:
    path, asked = ("/v1/chat/completions", {"messages": CHAT}) if chat else ("/v1/completions", {"prompt": "hi"})
    options = {"stream": True, "stream_options": {"include_usage": True}}
    answer = texts.post(path, **asked, max_tokens=3, **options)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    *chunks, usage, done = events(answer.text)
    choices = [chunk["choices"][0] for chunk in chunks]
    pieces = [choice["delta"]["content"] if chat else choice["text"] for choice in choices]
    assert pieces == [*([""] if chat else []), "a", "b", "c"]
    assert [choice["finish_reason"] for choice in choices[-3:]] == [None, None, "length"]
    assert usage["usage"]["completion_tokens"] == 3
    assert done == "[DONE]"


def test_parameters_reach_the_sampler(texts: Running) -> None:
    texts.post("/v1/completions", prompt="a", max_tokens=9, temperature=0.5, top_p=0.9, top_k=-1, seed=7, stop="x")
    asked = last_asked(texts)
    assert (asked.sampling.temperature, asked.sampling.top_p, asked.sampling.top_k) == (0.5, 0.9, 0)
    assert (asked.sampling.seed, asked.stop) == (7, ("x",))


def test_a_temperature_that_is_not_told_is_openai_s(texts: Running) -> None:
    texts.post("/v1/completions", prompt="a", max_tokens=1, temperature=None)
    assert last_asked(texts).sampling.temperature == 1.0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 2),
        ("best_of", 2),
        ("logprobs", 1),
        ("logprobs", True),
        ("echo", True),
        ("tools", [{"type": "function"}]),
        ("response_format", {"type": "json_object"}),
        ("presence_penalty", 0.5),
        ("logit_bias", {"5": 1}),
        ("temprature", 0.5),
        ("temperature", 2.5),
        ("temperature", "1"),
        ("top_p", 0),
        ("top_k", -2),
        ("seed", -1),
        ("stop", [""]),
        ("stop", ["a"] * 17),
        ("max_tokens", 197),
        ("min_tokens", 17),
        ("stream", 1),
    ],
)
def test_what_would_change_the_answer_and_is_not_obeyed_is_refused_by_its_name(
    texts: Running, name: str, value: object
) -> None:
    answer = texts.post("/v1/completions", **{"prompt": "kelp", name: value})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == name


def test_a_misspelt_parameter_is_refused_with_the_one_that_was_meant(texts: Running) -> None:
    message = texts.post("/v1/completions", prompt="a", temprature=1).json()["error"]["message"]
    assert message == "the parameter 'temprature' is not known here; did you mean temperature?"


def test_parameters_that_change_nothing_are_accepted(texts: Running) -> None:
    harmless = {"user": "me", "n": 1, "logprobs": None, "tools": [], "presence_penalty": 0.0, "store": False}
    answer = texts.post("/v1/chat/completions", messages=CHAT, max_tokens=1, **harmless)
    assert answer.status_code == 200


def test_a_failure_before_the_first_token_has_its_status_and_one_after_it_ends_the_stream_with_an_error() -> None:
    with running(Task.TEXT_GENERATION, bounds=Bounds(max_batch=1, max_queued=1), step_s=0.01) as run:
        stream = run.post("/v1/completions", prompt="!", stream=True)
        *chunks, error, done = events(stream.text)
        assert (stream.status_code, len(chunks), done) == (200, 2, "[DONE]")
        assert error["error"]["code"] == "device_failed"
        assert run.post("/v1/completions", prompt="!").status_code == 500
        with run.client.stream("POST", "/v1/completions", json=_stream()) as held, _sent(run, _stream()):
            until(lambda: run.hand.held == 2)
            refused = run.post("/v1/completions", prompt="a", stream=True)
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
            assert refused.json()["error"]["code"] == "queue_full"
            held.read()


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_takes_its_work_with_it(stream: bool) -> None:
    with running(Task.TEXT_GENERATION, step_s=0.01) as run:
        fields = {**_stream(), "max_tokens": 190, "stream": stream}
        # A whole answer sends nothing until it is there.
        with run.client.stream("POST", "/v1/completions", json=fields) if stream else _sent(run, fields):
            until(lambda: run.hand.held == 1)
        until(lambda: run.hand.given_up == 1)
        until(lambda: len(run.answered) == 1)
        assert run.answered == [("/v1/completions", "POST", 200 if stream else 499)]


def _stream() -> dict[str, Any]:
    return {"model": "double", "prompt": "a", "max_tokens": 20, "stream": True}


def _sent(run: Running, fields: dict[str, Any]) -> Any:

    connection = http.client.HTTPConnection(run.client.base_url.host, run.client.base_url.port)
    connection.request("POST", "/v1/completions", json.dumps(fields), {"content-type": "application/json"})

    return contextlib.closing(connection)
