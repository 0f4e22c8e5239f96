"""What a bench sends over HTTP, as the server hears it: every API, conversations, traces, bounds, notes."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from holdfast.load import dialogues, traces
from holdfast.load.bench import Bench
from holdfast.load.http import Target
from holdfast.load.pacers import Pacer
from holdfast.load.recipes import Recipe
from holdfast.load.subject import Subject
from holdfast.load.tokenizers import Bytes
from holdfast.model.errors import InputError
from holdfast.model.fleet import Api, TokenLengths, Workload
from holdfast.model.records import Outcome, RequestTable
from holdfast.model.stages import Arrivals, Level, Stage
from load.listener import Listener

SHORT = TokenLengths(mean=12), TokenLengths(mean=3)
ONE = Level(Arrivals.CLOSED, concurrency=1, requests=1, duration_s=5)


def workload(api: Api, **more: Any) -> Workload:
    n_in, n_out = SHORT
    return Workload(
        api=api,
        input_tokens=None if api is Api.IMAGES else n_in,
        output_tokens=n_out if api.makes_tokens or api is Api.POST else None,
        **more,
    )


POST = workload(Api.POST, path="/genimage", body={"prompt": "{prompt}", "steps": 25, "n": "{max_tokens}"})


def held(
    listener: Listener, asked: Workload, level: Level = ONE, recipe: Recipe | None = None, pacer: Pacer | None = None
) -> tuple[Stage, RequestTable]:
    """One level, held against the listener without a preflight."""

    async def run() -> tuple[Stage, RequestTable]:
        async with listener.listening():
            subject = Subject(
                "unit",
                Target.parse(listener.url),
                asked,
                "m",
                recipe=recipe or Recipe(Bytes()),
                headers=(("x-tenant", "a"),),
                timeout_s=5.0,
            )
            bench = Bench(subject, None)
            try:
                measured = await bench.hold(level, 0, pacer)
                return measured.stage, bench.requests
            finally:
                await bench.close()

    return asyncio.run(asyncio.wait_for(run(), 30))


@pytest.mark.parametrize(
    ("asked", "path", "tokens_in", "tokens_out"),
    [
        (workload(Api.COMPLETIONS), "/v1/completions", 12, 3),
        (workload(Api.CHAT), "/v1/chat/completions", 12, 3),
        (workload(Api.EMBEDDINGS), "/v1/embeddings", 12, 0),
        (workload(Api.IMAGES), "/v1/images/generations", 0, 0),
        (POST, "/genimage", 12, 3),
    ],
)
def test_every_api_is_asked_at_its_path_and_its_answer_counts(
    asked: Workload, path: str, tokens_in: int, tokens_out: int
) -> None:
    listener = Listener()
    stage, table = held(listener, asked)
    (heard, headers, body) = listener.heard[0]
    assert (heard, headers["x-tenant"], headers["content-type"]) == (path, "a", "application/json")
    assert table.outcome.tolist() == [Outcome.OK]
    assert (table.tokens_in_asked[0], table.tokens_out_asked[0]) == (tokens_in, tokens_out)
    assert table.tokens_in[0] in (tokens_in, -1)
    assert stage.notes == ()
    if asked is POST:
        assert (body["steps"], body["n"], len(body["prompt"])) == (25, 3, 12)


def test_a_conversation_is_asked_turn_by_turn_and_counted_exactly() -> None:
    listener = Listener(answer="why")
    level = Level(Arrivals.CLOSED, concurrency=1, requests=6, duration_s=5)
    _, table = held(listener, workload(Api.CHAT), level, Recipe(Bytes(), turns=3))
    roles = [[message["role"][0] for message in body["messages"]] for body in listener.bodies]
    assert roles == [["u"], ["u", "a", "u"], ["u", "a", "u", "a", "u"]] * 2
    assert listener.bodies[1]["messages"][1]["content"] == "why"
    assert listener.bodies[2]["messages"][:3] == listener.bodies[1]["messages"]
    assert table.tokens_in.tolist() == table.tokens_in_asked.tolist() == [12, 27, 42] * 2


def test_conversations_of_an_open_loop_go_on_beside_the_new_ones() -> None:
    listener = Listener()
    level = Level(Arrivals.CONSTANT, rate_per_s=20, duration_s=0.5, think_s=0.01)
    held(listener, workload(Api.COMPLETIONS), level, Recipe(Bytes(), turns=2))
    lengths = sorted(len(body["prompt"]) for body in listener.bodies)
    assert lengths.count(12) == 10
    assert len(lengths) > 10
    assert set(lengths[10:]) == {12 + 3 + 1 + 12}


def test_a_trace_is_replayed_at_its_times_with_its_lengths() -> None:
    rows = "timestamp,input tokens,output tokens\n0,5,2\n0.1,9,1\n0.3,30,4\n"
    trace = traces.read(rows.splitlines(), where="t.csv")
    listener = Listener()
    level = Level(Arrivals.TRACE, rate_per_s=3 / trace.duration_s, duration_s=trace.duration_s)
    _, table = held(listener, workload(Api.COMPLETIONS), level, pacer=trace)
    assert [(len(body["prompt"]), body["max_tokens"]) for body in listener.bodies] == [(5, 2), (9, 1), (30, 4)]
    assert np.diff(table.intended_s).tolist() == pytest.approx([0.1, 0.2], abs=1e-6)


def test_a_user_thinks_before_his_next_request() -> None:
    listener = Listener()
    level = Level(Arrivals.CLOSED, concurrency=1, requests=3, duration_s=5, think_s=0.2)
    _, table = held(listener, workload(Api.EMBEDDINGS), level)
    assert np.all(table.sent_s[1:] - table.end_s[:-1] >= 0.19)


def test_no_more_than_so_many_are_in_flight_and_what_waits_counts_from_its_intended_start() -> None:
    listener = Listener(latency_s=0.1)
    level = Level(Arrivals.CONSTANT, rate_per_s=40, duration_s=0.5, max_in_flight=2)
    _, table = held(listener, workload(Api.EMBEDDINGS), level)
    assert listener.most_in_flight == 2
    assert len(table) == 20
    assert table.latency_s[np.argmax(table.intended_s)] > 0.3


FILE = dialogues.read('{"prompt": "a"}\n{"prompt": "b"}\n', where="p.jsonl")


def test_a_stage_says_when_the_prompts_of_a_file_were_repeated() -> None:
    level = Level(Arrivals.CLOSED, concurrency=1, requests=5, duration_s=5)
    stage, _ = held(Listener(), workload(Api.EMBEDDINGS), level, Recipe(Bytes(), dialogues=FILE, source="p.jsonl"))
    assert stage.notes == ("the prompts of p.jsonl were sent 2.5 times; a prefix cache answers repeats faster",)


@pytest.mark.parametrize(
    ("api", "recipe", "advice"),
    [
        (Api.COMPLETIONS, Recipe(), "give --tokenizer with the model's own for prompts of an exact length"),
        (Api.CHAT, Recipe(), "give --tokenizer with the model's own"),
    ],
)
def test_a_stage_says_what_to_do_about_prompts_of_another_length(api: Api, recipe: Recipe, advice: str) -> None:
    # The listener counts letters where words were asked for.
    stage, _ = held(Listener(), workload(api), recipe=recipe)
    assert "prompt tokens per request where 12 were asked for" in stage.notes[0]
    assert advice in stage.notes[-1]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (POST, "POST /genimage was answered with HTTP 404; check --path and --body"),
        (workload(Api.EMBEDDINGS), "POST /v1/embeddings was answered with HTTP 404; check --model and --api"),
    ],
)
def test_an_api_that_is_not_there_is_one_sentence(asked: Workload, said: str) -> None:
    async def run() -> None:
        async with Listener(status="404 Not Found").listening() as listener:
            bench = Bench(Subject("unit", Target.parse(listener.url), asked, "m"), None)
            try:
                await bench.preflight()
            finally:
                await bench.close()

    with pytest.raises(InputError, match=said):
        asyncio.run(asyncio.wait_for(run(), 30))
