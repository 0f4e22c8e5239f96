from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def test_a_unary_chat_answer_and_embeddings_are_whole() -> None:
    chat = {"choices": [{"message": {"role": "assistant", "content": "hello"}}], "usage": {"prompt_tokens": 3}}
    vectors = {"data": [{"embedding": [0.1]}, {"embedding": [0.2]}], "usage": {"prompt_tokens": 9, "total_tokens": 9}}
    for body, chunks, tokens in ((chat, 1, (3, -1)), (vectors, 2, (9, -1))):
        answer = read(json.dumps(body).encode(), streams=False)
        assert (answer.chunks, answer.body_ok, (answer.tokens_in, answer.tokens_out)) == (chunks, True, tokens)


def test_a_tool_call_is_output() -> None:
    call: dict[str, object] = {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]}}]}
    assert read(stream(ROLE, call, call, STOP, USAGE)).chunks == 2


def test_an_event_is_one_piece_of_output_however_many_tokens_it_has() -> None:
    answer = read(stream(ROLE, token("a b c"), token("d e"), STOP, USAGE))
    assert (answer.chunks, answer.tokens_out) == (2, 5)


def test_the_last_output_is_timed_without_the_closing_events() -> None:
    answer = Answer(streams=True)
    events: list[Mapping[str, object]] = [token(), token(), STOP, USAGE]
    for second, event in enumerate(events):
        answer.feed(stream(event, done=False), second)
    answer.feed(b"data: [DONE]\n\n", 9)
    answer.finish(9)
    assert (answer.first_token_s, answer.last_token_s, list(answer.times_s)) == (0, 1, [0, 1])


def test_a_stream_without_done_is_not_whole_even_with_its_usage() -> None:
    assert not read(stream(*WHOLE, done=False)).body_ok


def test_a_usage_that_is_no_number_is_none() -> None:
    for count in ("7", -1, 1e300, 2**70, None, [1]):
        assert read(stream(token(), {"choices": [], "usage": {"completion_tokens": count}})).tokens_out == -1
    assert read(stream(token(), {"choices": [], "usage": {"completion_tokens": 0}})).tokens_out == 0


def test_what_was_said_is_kept_when_asked_for_without_the_reasoning() -> None:
    answer = Answer(streams=True, keep=True)
    answer.feed(stream(ROLE, token("hm", key="reasoning_content"), token("Hel"), token("lo"), STOP, USAGE), 1.0)
    answer.finish(1.0)
    assert answer.text() == "Hello"
    unary = Answer(streams=False, keep=True)
    unary.feed(json.dumps({"choices": [{"message": {"content": "Hi"}}]}).encode(), 1.0)
    assert unary.text() == "Hi"


def test_a_long_stream_is_counted_to_its_end_in_little_memory() -> None:
    body = stream(ROLE, *(token(f"word {n}") for n in range(20_000)), STOP, USAGE)
    answer = read(body, step=50)
    assert (answer.chunks, answer.tokens_out, answer.body_ok, len(answer.times_s)) == (20_000, 5, True, 20_000)
    assert len(answer._tail) < 20_000


EVENTS = st.lists(
    st.sampled_from([ROLE, token("x"), token("data: y\n\n"), token("r", key="reasoning"), STOP, USAGE]), max_size=12
)


@given(
    events=EVENTS,
    end=st.sampled_from([b"\n\n", b"\r\n\r\n", b"\n\n: ping\n\n"]),
    done=st.booleans(),
    anything=st.booleans(),
    cuts=st.lists(st.integers(0, 3000), max_size=40),
)
def test_however_the_bytes_of_a_stream_are_cut_the_counts_are_the_same(
    events: list[dict[str, object]], end: bytes, done: bool, anything: bool, cuts: list[int]
) -> None:
    body = stream(*events, end=end, done=done)

    def answer(places: list[int]) -> tuple[object, ...]:
        cut = Answer(streams=True, keep=True, anything=anything)
        edges = [0, *sorted(place for place in places if place < len(body)), len(body)]
        for second, (start, stop) in enumerate(itertools.pairwise(edges)):
            if start < stop:
                cut.feed(body[start:stop], float(second))
        cut.finish(99.0)
        assert list(cut.times_s) == sorted(cut.times_s)
        assert len(cut.times_s) == cut.chunks
        return cut.chunks, cut.tokens_in, cut.tokens_out, cut.body_ok, cut.text()

    assert answer(cuts) == answer([]) == answer(list(range(len(body))))
