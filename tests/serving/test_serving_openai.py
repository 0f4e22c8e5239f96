"""What is read from requests, and the shape of the answers."""

from __future__ import annotations

import base64
import dataclasses
import json
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.serving.emulated import words
from holdfast.serving.emulated.words import Asked, Wording, images_body, read_generation, read_images
from holdfast.serving.errors import RequestError
from holdfast.serving.openai import generation
from holdfast.serving.openai.bodies import ChatBody, CompletionBody

SERVED = words.served(("m",), 1000)


def read(*, chat: bool = False, **fields: Any) -> Asked:
    content = {"messages": [{"role": "user", "content": "one two"}]} if chat else {"prompt": "one two three"}
    return read_generation(json.dumps({"model": "m", **content, **fields}).encode(), SERVED, 50, chat=chat)


@pytest.mark.parametrize(
    ("prompt", "tokens"),
    [
        ("one two  three\nfour", 4),
        (" ", 1),  # white space is a prompt too, and no prompt is without tokens
        ([5, 6, 7], 3),
        ([[5, 6, 7, 8]], 4),
        (["one two"], 2),
    ],
)
def test_prompts_are_counted_in_words_or_exactly_in_ids(prompt: object, tokens: int) -> None:
    assert read(prompt=prompt).prompt_tokens == tokens


def test_a_chat_is_counted_over_all_its_text_parts() -> None:
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "a b c"}, {"type": "text", "text": "d"}]},
    ]
    assert read(chat=True, messages=messages).prompt_tokens == 6


@pytest.mark.parametrize(
    ("chat", "fields", "outputs", "reason"),
    [
        (False, {}, 16, "length"),  # OpenAI's default for completions
        (True, {}, 50, "stop"),  # no default for chats: the answer ends by itself
        (False, {"max_tokens": 20}, 20, "length"),
        (False, {"max_tokens": 200}, 50, "stop"),
        (False, {"max_tokens": 200, "ignore_eos": True}, 200, "length"),
        (False, {"max_tokens": 200, "min_tokens": 120}, 120, "stop"),
        (False, {"max_tokens": 200, "min_tokens": 10}, 50, "stop"),
        (True, {"max_completion_tokens": 7, "max_tokens": 9}, 7, "length"),
        (True, {"max_tokens": 9}, 9, "length"),
        (False, {"max_tokens": 997, "ignore_eos": True}, 997, "length"),  # fills the context
    ],
)
def test_answer_length_follows_the_parameters(chat: bool, fields: dict[str, Any], outputs: int, reason: str) -> None:
    generation = read(chat=chat, **fields)
    assert (generation.outputs, generation.finish_reason) == (outputs, reason)


@pytest.mark.parametrize(
    ("chat", "fields", "param"),
    [
        (False, {"prompt": ""}, "prompt"),
        (False, {"prompt": []}, "prompt"),
        (False, {"prompt": ["a", "b"]}, "prompt"),
        (False, {"prompt": [1, True]}, "prompt"),
        (False, {"prompt": [1, -1]}, "prompt"),
        (False, {"prompt": 7}, "prompt"),
        (False, {"prompt": [1] * 1000}, "prompt"),
        (False, {"max_tokens": 0}, "max_tokens"),
        (False, {"max_tokens": 998}, "max_tokens"),
        (False, {"max_tokens": 1.5}, "max_tokens"),
        (False, {"max_tokens": True}, "max_tokens"),
        (False, {"max_tokens": "9"}, "max_tokens"),
        (False, {"max_tokens": 5, "min_tokens": 6}, "min_tokens"),
        (False, {"n": 2}, "n"),
        (False, {"stream": "yes"}, "stream"),
        (False, {"ignore_eos": 1}, "ignore_eos"),
        (False, {"stream": True, "stream_options": []}, "stream_options"),
        (False, {"stream": True, "stream_options": {"include_usage": 1}}, "stream_options"),
        (True, {"messages": []}, "messages"),
        (True, {"messages": ["hi"]}, "messages"),
        (True, {"messages": [{"content": "hi"}]}, "messages"),
        (True, {"messages": [{"role": "user"}]}, "messages"),
        (True, {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages"),
    ],
)
def test_bad_parameters_are_named_in_the_error(chat: bool, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        read(chat=chat, **fields)
    assert caught.value.status == 400
    error = caught.value.body()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]", b"null"])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        read_generation(body, SERVED, 50, chat=False)
    assert caught.value.status == 400


def test_an_unknown_model_is_not_found() -> None:
    with pytest.raises(RequestError) as caught:
        read(model="other")
    assert caught.value.status == 404
    assert caught.value.body()["error"]["code"] == "model_not_found"


def events(stream: bytes) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in stream.decode().split("\n\n") if line]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


@pytest.mark.parametrize("cuts", [[4], [1, 2, 3, 4], [3, 4]])
def test_a_completion_streams_one_event_per_token_however_it_is_cut(cuts: list[int]) -> None:
    wording = Wording(read(max_tokens=4, stream=True, stream_options={"include_usage": True}), 9)
    parts, seen = [], 0
    for cut in cuts:
        parts.append(wording.events(seen, cut))
        seen = cut
    *chunks, usage, done = events(b"".join(parts))
    assert done == "[DONE]"
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, None, "length"]
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks).split() == ["kelp"] * 4
    assert usage["choices"] == []
    assert usage["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    assert {chunk["id"] for chunk in chunks} == {"cmpl-9"}


def test_a_chat_stream_names_the_role_first() -> None:
    wording = Wording(read(chat=True, max_tokens=2, stream=True), 1)
    *chunks, done = events(wording.events(0, 1) + wording.events(1, 2))
    assert done == "[DONE]"
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas == [{"role": "assistant", "content": ""}, {"content": " kelp"}, {"content": " kelp"}]


def test_a_whole_answer_has_as_many_words_as_tokens() -> None:
    body = json.loads(Wording(read(chat=True, max_tokens=5), 1).body())
    assert len(body["choices"][0]["message"]["content"].split()) == body["usage"]["completion_tokens"] == 5


def test_images_are_valid_png() -> None:
    data = json.loads(images_body(2))["data"]
    assert len(data) == 2
    png = base64.b64decode(data[0]["b64_json"])
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    kinds, at = [], 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        kind, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack(">I", png[at + 8 + length : at + 12 + length])[0] == zlib.crc32(kind + content)
        kinds.append(kind)
        at += 12 + length
    assert kinds == [b"IHDR", b"IDAT", b"IEND"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": "a", "n": 11}, "n"),
        ({"prompt": "a", "response_format": "url"}, "response_format"),
    ],
)
def test_image_requests_are_checked(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        read_images(json.dumps({"model": "m", **fields}).encode(), ("m",))
    assert (caught.value.status, caught.value.param) == (400, param)


SOME_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = sorted({*ChatBody.model_fields, *CompletionBody.model_fields, "n", "logprobs", "tools", "tide"})


@given(fields=st.dictionaries(st.sampled_from(FIELDS), SOME_JSON), chat=st.booleans())
def test_no_fields_bring_the_reader_to_anything_but_a_request_or_a_sentence(fields: dict[str, Any], chat: bool) -> None:
    content = {"messages": [{"role": "user", "content": "one two"}]} if chat else {"prompt": "one two three"}
    body = json.dumps({"model": "m", **content, **fields}).encode()
    try:
        request = generation.read(body, dataclasses.replace(SERVED, obeys_all=True), chat=chat)
    except RequestError as refusal:
        assert refusal.status in (400, 404)
        assert refusal.message
    else:
        assert 1 <= request.max_tokens <= 1000 - request.prompt_tokens
        assert 0 <= request.min_tokens <= request.max_tokens
        assert 0 <= request.temperature <= 2 and 0 < request.top_p <= 1 and request.top_k >= 0


@given(body=st.binary(max_size=40))
def test_no_bytes_bring_the_reader_to_anything_but_a_sentence(body: bytes) -> None:
    with pytest.raises(RequestError):
        generation.read(body, SERVED, chat=False)
