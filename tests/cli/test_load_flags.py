"""What the flags of a load become, and the sentence for those that do not go together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner

from holdfast.cli import arrivals, calling, flags, prompting
from holdfast.cli.calling import Call
from holdfast.cli.limit import limit
from holdfast.cli.load import load
from holdfast.cli.sections import bundle
from holdfast.cli.work.offered import Offered
from holdfast.load.recipes import Recipe
from holdfast.model.errors import InputError
from holdfast.model.fleet import Api, TokenLengths
from holdfast.model.stages import Arrivals

BUNDLES: dict[type, Any] = {
    Offered: (arrivals.OPTIONS, arrivals.offered),
    Call: (calling.OPTIONS, calling.call),
    Recipe: (prompting.OPTIONS, prompting.recipe),
}


def built(kind: type, *arguments: str) -> Any:
    """What a command gets of these flags."""
    made: list[Any] = []
    options, build = BUNDLES[kind]

    def take(value: Any) -> None:
        made.append(value)

    click.command(bundle("value", options, build)(take)).main(list(arguments), standalone_mode=False)
    return made[0]


@pytest.mark.parametrize(
    ("arguments", "kind", "rate_per_s", "duration_s", "requests"),
    [
        (("--rate", "12/s"), Arrivals.POISSON, 12, 30, 360),
        (("--rate", "10/s", "--arrivals", "constant", "--duration", "5s"), Arrivals.CONSTANT, 10, 5, 50),
        (("--rate", "10/s", "--burstiness", "0.5"), Arrivals.GAMMA, 10, 30, 300),
        (("--rate", "0/s", "--ramp-to", "20/s", "--duration", "10s"), Arrivals.POISSON, 10, 10, 100),
        (("--rate", "2/s", "--wave-to", "20/s", "--period", "10s"), Arrivals.POISSON, 11, 30, 330),
        (("--steps", "2/s:60s, 4/s:1min"), Arrivals.POISSON, 3, 120, 360),
    ],
)
def test_an_open_loop_offers_what_its_flags_say(
    arguments: tuple[str, ...], kind: Arrivals, rate_per_s: float, duration_s: float, requests: int
) -> None:
    load = built(Offered, *arguments)
    level = load.level
    assert (level.arrivals, level.rate_per_s, level.duration_s) == (kind, pytest.approx(rate_per_s), duration_s)
    times = load.pacer.times_s(level.duration_s, 0)
    assert len(times) == requests
    assert np.all(np.diff(times) >= 0)


def test_a_closed_loop_thinks_between_its_requests() -> None:
    load = built(Offered, "--concurrency", "16", "--think-time", "2s")
    assert (load.level.concurrency, load.level.think_s, load.pacer) == (16, 2.0, None)


def test_an_open_loop_may_bound_the_number_in_flight() -> None:
    assert built(Offered, "--rate", "1/s", "--max-in-flight", "8").level.max_in_flight == 8


@pytest.fixture
def trace(tmp_path: Path) -> str:
    rows = "".join(f"{second},{100 + second},{second + 1}\n" for second in range(10))
    (tmp_path / "t.csv").write_text("Timestamp,Request tokens,Response tokens\n" + rows + "10,0,0\n")
    return str(tmp_path / "t.csv")


def test_a_trace_is_replayed_with_its_lengths(trace: str) -> None:
    load = built(Offered, "--trace", trace)
    assert (load.level.arrivals, load.level.rate_per_s, load.level.duration_s) == (Arrivals.TRACE, 1, 10)
    assert load.pacer.times_s(10, 0).tolist() == list(range(10))
    assert load.trace.tokens_in.tolist() == list(range(100, 110))


def test_a_trace_can_be_sped_up_and_cut_short(trace: str) -> None:
    fast = built(Offered, "--trace", trace, "--trace-speed", "2", "--duration", "3s")
    assert fast.pacer.times_s(3, 0).tolist() == [0, 0.5, 1, 1.5, 2, 2.5]
    assert len(built(Offered, "--trace", trace, "--trace-limit", "4").trace) == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give one of --rate, --steps, --trace and --concurrency"),
        (("--trace", "t.csv", "--rate", "2/s"), "--rate and --trace: give one of"),
        (("--concurrency", "2", "--rate", "2/s"), "--rate and --concurrency: give one of"),
        (("--steps", "2/s:5s", "--duration", "5s"), "--duration: this is of a load that is not in steps"),
        (("--steps", "2/s"), "--steps: '2/s' is not a step; write steps like '2/s:60s,4/s:60s'"),
        (("--steps", "2:60s"), "--steps: the number 2 has no unit"),
        (("--steps", "2/s:60"), "--steps: the number 60 has no unit"),
        (("--steps", "0/s:60s"), "a load shape needs finite rates"),
        (("--concurrency", "2", "--ramp-to", "2/s"), "--ramp-to: this is of --rate"),
        (("--rate", "1/s", "--ramp-to", "2/s", "--wave-to", "2/s"), "--ramp-to: this is of --rate without --wave-to"),
        (("--rate", "1/s", "--period", "2s"), "--period: this is of --wave-to"),
        (("--rate", "1/s", "--trace-speed", "2"), "--trace-speed: this is of --trace"),
        (("--rate", "1/s", "--arrivals", "gamma"), "gamma arrivals need a burstiness; give --burstiness"),
        (("--rate", "1/s", "--arrivals", "poisson", "--burstiness", "2"), "--burstiness: this is of --arrivals gamma"),
        (("--rate", "1/s", "--burstiness", "0"), "a burstiness is between 0.05"),
        (("--rate", "1/s", "--burstiness", "nan"), "a burstiness is between 0.05"),
        (("--trace", "t.csv", "--think-time", "2s"), "--think-time: this is of --concurrency and --turns"),
        (("--concurrency", "2", "--max-in-flight", "2"), "--max-in-flight: this is of an open loop"),
        (("--concurrency", "0"), "--concurrency: '0' is not a whole number"),
        (("--trace", "no.csv"), "no.csv: the file cannot be read"),
        (("--trace", "t.csv", "--trace-speed", "0"), "--trace-speed: '0' is not a number from 0.001"),
        (("--rate", "1e6/s"), "that is more than 5,000,000 requests"),
    ],
)
def test_arrivals_that_do_not_go_together_are_one_sentence(arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(InputError) as caught:
        built(Offered, *arguments)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("200", TokenLengths(mean=200)),
        ("200±20", TokenLengths(mean=200, stddev=20)),
        ("200 +- 20", TokenLengths(mean=200, stddev=20)),
        ("200±20,100..400", TokenLengths(mean=200, stddev=20, min=100, max=400)),
        ("200±20[100..400]", TokenLengths(mean=200, stddev=20, min=100, max=400)),
    ],
)
def test_lengths_are_read_as_mean_deviation_and_cut(text: str, lengths: TokenLengths) -> None:
    assert built(Call, "--model", "m", "--input-tokens", text).workload.input_tokens == lengths


@pytest.mark.parametrize("text", ["0", "-3", "200±", "200,1..", "200±20,400..100", "200±20,300..400", "1..2", "abc"])
def test_lengths_that_cannot_be_are_one_sentence(text: str) -> None:
    with pytest.raises(InputError, match=r"--input-tokens: .*(not a token length|is above the max|not between)"):
        built(Call, "--model", "m", "--input-tokens", text)


@pytest.mark.parametrize(
    ("api", "has_input", "has_output"),
    [("completions", True, True), ("chat", True, True), ("embeddings", True, False), ("images", False, False)],
)
def test_lengths_that_mean_nothing_to_an_api_are_left_out(api: str, has_input: bool, has_output: bool) -> None:
    workload = built(Call, "--model", "m", "--api", api).workload
    assert (workload.input_tokens is not None, workload.output_tokens is not None) == (has_input, has_output)


def test_a_post_takes_its_body_from_the_flag_or_from_a_file(tmp_path: Path) -> None:
    body = {"prompt": "{prompt}", "steps": 25}
    (tmp_path / "b.json").write_text(json.dumps(body))
    for given in (json.dumps(body), f"@{tmp_path / 'b.json'}"):
        call = built(Call, "--api", "post", "--path", "/genimage", "--body", given)
        assert (call.workload.api, call.workload.request_path, call.workload.body) == (Api.POST, "/genimage", body)


def test_headers_are_sent_beside_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "secret")
    call = built(Call, "--model", "m", "--header", "X-Tenant:  a: b ", "--header", "x-n: 1", "--token-from", "KEY")
    assert call.headers == (("authorization", "Bearer secret"), ("X-Tenant", "a: b"), ("x-n", "1"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--model: there is no model name; give the name that the server answers to"),
        (("--model", "a\nb"), "--model: the model name has characters that cannot be sent"),
        (("--model", "m", "--header", "X-Secret"), "--header: a header is not written like 'Name: value'"),
        (("--model", "m", "--header", "a b: c"), "--header: a header is not written like"),
        (("--model", "m", "--header", "a: é"), "--header: the value of a has characters"),
        (("--model", "m", "--header", "a: b\r\nc: d"), "--header: the value of a has characters"),
        (("--model", "m", "--header", "Host: a"), "--header: Host is set by holdfast itself"),
        (("--model", "m", "--header", "Authorization: a", "--token-from", "HOME"), "authorization is given twice"),
        (("--model", "m", "--path", "/a"), "--path and --body are of --api post"),
        (("--api", "post", "--path", "/a"), "--api post needs --path and --body"),
        (("--api", "post", "--path", "/a", "--body", "{"), "--body: this is not JSON"),
        (("--api", "post", "--path", "/a", "--body", "@no.json"), "no.json: the file cannot be read"),
        (("--api", "post", "--path", "a", "--body", "{}"), "'a' is not a path"),
        (("--api", "post", "--path", "/a", "--body", '{"a": "{promt}"}'), "the placeholder {promt}; known are"),
        (("--api", "post", "--path", "/a", "--body", '{"a": "{model}"}'), "there is no model name"),
    ],
)
def test_a_call_that_cannot_be_made_is_one_sentence(arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(InputError) as caught:
        built(Call, *arguments)
    assert said in str(caught.value)
    assert "X-Secret" not in str(caught.value)


def test_prompts_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"prompt": "a"}\n{"prompt": "b"}\n')
    recipe = built(Recipe, "--prompts", str(tmp_path / "p.jsonl"), "--tokenizer", "bytes")
    assert [dialogue.turns[0].text for dialogue in recipe.dialogues] == ["a", "b"]
    assert (recipe.source, recipe.requests) == (str(tmp_path / "p.jsonl"), 2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--prefix-pool", "3"), "--prefix-pool: a pool of prefixes needs their length"),
        (("--prompts", "no.jsonl"), "no.jsonl: the file cannot be read"),
        (("--tokenizer", "no-such-folder"), "no-such-folder: there is no tokenizer.json"),
        (("--image-size", "512"), "--image-size: '512' is not the size of an image"),
        (("--turns", "0"), "--turns: '0' is not a whole number"),
    ],
)
def test_prompts_that_cannot_be_made_are_one_sentence(arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(InputError) as caught:
        built(Recipe, *arguments)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--turns", "2"), "--turns: the requests of a trace are no conversations"),
        (("--prefix-tokens", "100"), "the prefix of 100 tokens leaves no room in the trace's prompt of 100"),
        (("--prefix-tokens", "300"), "the prefix of 300 tokens leaves no room in a prompt of 200"),
        (("--api", "images", "--turns", "2"), "--turns: the images API has no conversations"),
    ],
)
def test_a_trace_and_a_recipe_that_do_not_go_together_are_one_sentence(
    trace: str, arguments: tuple[str, ...], said: str
) -> None:
    with pytest.raises(InputError) as caught:
        load.main(["http://127.0.0.1:9", "--model", "m", "--trace", trace, *arguments], standalone_mode=False)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("verb", "arguments", "said"),
    [
        (load, ("--rate", "1/s", "--think-time", "2s"), "--think-time: this is of --concurrency and --turns"),
        (limit, ("--slo", "p95<1s", "--turns", "2"), "--turns: a limit is of requests that do not wait"),
    ],
)
def test_turns_and_pauses_that_mean_nothing_are_one_sentence(
    verb: click.Command, arguments: tuple[str, ...], said: str
) -> None:
    with pytest.raises(InputError) as caught:
        verb.main(["http://127.0.0.1:9", "--model", "m", *arguments], standalone_mode=False)
    assert said in str(caught.value)


@pytest.mark.parametrize("verb", [load, limit])
def test_help_is_in_sections_and_fits_eighty_columns(verb: click.Command) -> None:
    text = CliRunner().invoke(verb, ["--help"]).output
    assert [line for line in text.splitlines() if len(line) > 80 and "http" not in line] == []
    assert [section for section in ("API:", "Prompts:", "Run:") if f"\n{section}\n" not in text] == []


def test_a_count_may_have_commas() -> None:
    assert flags.COUNT.convert("10,000", None, None) == 10_000
