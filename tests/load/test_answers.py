from __future__ import annotations

import json
import math
from collections.abc import Mapping

import pytest

from holdfast.load.answers import Answer

ROLE = {"choices": [{"delta": {"role": "assistant", "content": ""}}]}
STOP = {"choices": [{"delta": {}, "finish_reason": "stop"}]}
USAGE = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5}}


def token(text: str = "x", key: str = "content") -> dict[str, object]:
    return {"choices": [{"delta": {key: text}}]}


def stream(*events: Mapping[str, object], end: bytes = b"\n\n", done: bool = True) -> bytes:
    payloads = [json.dumps(event).encode() for event in events] + ([b"[DONE]"] if done else [])
    return b"".join(b"data: " + payload + end for payload in payloads)


def read(body: bytes, step: int = 10_000, streams: bool = True) -> Answer:
    """The answer when `body` arrives in pieces of `step` bytes, the nth at n seconds."""
    answer = Answer(streams=streams)
    for second, start in enumerate(range(0, len(body), step), 1):
        answer.feed(body[start : start + step], second)
    answer.finish(99)
    return answer


WHOLE: tuple[Mapping[str, object], ...] = (ROLE, *(token(f"t{n}") for n in range(5)), STOP, USAGE)


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
@pytest.mark.parametrize("step", [1, 2, 3, 5, 17, 64, 10_000])
def test_only_events_with_output_count_however_the_bytes_are_cut(step: int, end: bytes) -> None:
    answer = read(stream(*WHOLE, end=end), step)
    assert (answer.chunks, answer.tokens_in, answer.tokens_out, answer.body_ok) == (5, 7, 5, True)


def test_the_first_token_is_the_first_event_with_output_not_the_role_event() -> None:
    answer = Answer(streams=True)
    answer.feed(stream(ROLE, done=False), 1.0)
    answer.feed(stream(token(), done=False), 2.0)
    answer.feed(stream(token()), 3.0)
    answer.finish(3.0)
    assert (answer.first_token_s, answer.last_token_s, answer.chunks) == (2.0, 3.0, 2)


@pytest.mark.parametrize("key", ["content", "reasoning_content", "reasoning"])
def test_reasoning_is_output_too(key: str) -> None:
    assert read(stream(token(key=key))).chunks == 1


def test_a_terminator_in_the_text_of_a_token_is_not_an_event() -> None:
    assert read(stream(token("a\n\nb"), token("data: c\n\n"))).chunks == 2


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.97])
def test_a_stream_without_its_end_is_not_whole(share: float) -> None:
    body = stream(*WHOLE)
    assert not read(body[: int(len(body) * share)]).body_ok


def test_a_last_event_without_its_terminator_is_read() -> None:
    answer = read(stream(*WHOLE).removesuffix(b"\n"))
    assert (answer.chunks, answer.body_ok) == (5, True)


def test_a_stream_without_output_has_no_first_token() -> None:
    answer = read(stream(ROLE, STOP))
    assert answer.chunks == 0
    assert not answer.body_ok
    assert math.isnan(answer.first_token_s)


def test_a_unary_answer_counts_its_choices_and_usage() -> None:
    body = json.dumps({"choices": [{"text": "x"}], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}).encode()
    answer = read(body, step=10, streams=False)
    assert (answer.chunks, answer.tokens_in, answer.tokens_out, answer.body_ok) == (1, 3, 2, True)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"error": "x"}', b"<html>"])
def test_a_unary_answer_that_is_not_the_apis_is_malformed(body: bytes) -> None:
    assert not read(body, streams=False).body_ok


def test_comments_that_keep_a_stream_alive_are_no_output() -> None:
    body = b": ping\n\n".join(stream(token(f"t{n}"), done=False) for n in range(4)) + stream(USAGE)
    for step in (1, 5, 10_000):
        assert read(body, step).chunks == 4


def test_an_engine_that_fails_in_mid_stream_and_ends_it_in_order_is_not_whole() -> None:
    answer = read(stream(token(), {"error": {"message": "out of memory"}}))
    assert (answer.chunks, answer.body_ok) == (1, False)
