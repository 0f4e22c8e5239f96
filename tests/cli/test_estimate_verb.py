"""`holdfast estimate` as a user types it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from holdfast.cli.main import cli
from holdfast.model.errors import InputError

LENGTHS = ("--input-tokens", "200", "--output-tokens", "100")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["estimate", *arguments])


def test_it_reads_well_in_eighty_columns() -> None:
    shown = run("openai/gpt-oss-20b", "--instance", "g5.12xlarge", "--tp", "4", *LENGTHS)

    assert shown.exit_code == 0
    assert shown.output.startswith("openai/gpt-oss-20b on g5.12xlarge: TP=4 on 4 of 4 a10g\n")
    assert max(map(len, shown.output.splitlines())) <= 80
    for words in (
        "weights",
        "KV cache",
        "TTFT",
        "ITL",
        "binds",
        "together",
        "Physical limit",
        "Coefficients: a100-40gb",
        "Error of a decode step: ",
    ):
        assert words in shown.output


def test_without_tp_it_takes_the_least_that_fits() -> None:
    found = json.loads(run("meta-llama/Llama-3.3-70B-Instruct", "--instance", "g5.48xlarge", *LENGTHS, "--json").output)

    assert (found["tensor_parallel"], found["pipeline_parallel"], found["fits"]) == (8, 1, True)
    assert found["borrowed_from"] == "a100-40gb" and found["points"][0]["concurrency"] == 1


def test_what_does_not_fit_ends_with_1_and_says_what_would() -> None:
    model = "meta-llama/Llama-3.3-70B-Instruct"
    shown = run(model, "--instance", "g5.48xlarge", "--tp", "4", *LENGTHS)
    assert shown.exit_code == 1 and "does not fit with TP=4" in shown.output and "TP=8 holds" in shown.output

    never = run(model, "--instance", "g5.xlarge", *LENGTHS)
    assert never.exit_code == 1 and "no parallelism up to its 1 a10g" in never.output


def test_fewer_bits_need_fewer_devices() -> None:
    asked = ("meta-llama/Llama-3.3-70B-Instruct", "--instance", "p4d.24xlarge", *LENGTHS, "--json")
    whole, narrow = (json.loads(run(*asked, *more).output) for more in ((), ("--dtype", "int4")))

    assert narrow["tensor_parallel"] < whole["tensor_parallel"]


def test_a_kv_cache_of_half_the_bits_holds_twice_the_requests_and_is_read_in_half_the_time() -> None:
    asked = ("meta-llama/Llama-3.1-8B", "--instance", "g5.12xlarge", "--tp", "4", *LENGTHS, "--json")
    whole, half = (json.loads(run(*asked, *more).output) for more in ((), ("--kv-dtype", "fp8")))

    assert half["memory"]["kv_gib_per_sequence"] == whole["memory"]["kv_gib_per_sequence"] / 2
    assert half["points"][0]["terms"]["cache_s"] == pytest.approx(whole["points"][0]["terms"]["cache_s"] / 2)
    assert whole["memory"]["sequences"] * 2 <= half["memory"]["sequences"] <= whole["memory"]["sequences"] * 2 + 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("meta-llama/Llama-3.1-8B", "--instance", "g5.12xlarge", "--tp", "4", *LENGTHS),
        ("deepseek-ai/DeepSeek-V3", "--instance", "p5.48xlarge", "--tp", "8", "--pp", "2", *LENGTHS),
        ("stabilityai/stable-diffusion-2-1-base", "--instance", "g5.xlarge"),
    ],
)
def test_the_terms_of_a_request_add_up_to_what_it_takes_of_the_replica(arguments: tuple[str, ...]) -> None:
    for point in json.loads(run(*arguments, "--json").output)["points"]:
        assert sum(point["terms"].values()) == pytest.approx(1 / point["rate_per_s"])


def test_an_image_model_has_no_tokens_to_show() -> None:
    shown = run("stabilityai/stable-diffusion-2-1-base", "--instance", "g6.xlarge")

    assert shown.exit_code == 0 and "requests/s" in shown.output and "TTFT" not in shown.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("no/model", "--instance", "g5.xlarge", *LENGTHS), "'no/model' is neither"),
        (("openai/gpt-oss-20b", "--instance", "g5.13xlarge", *LENGTHS), "did you mean g5.16xlarge"),
        (("openai/gpt-oss-20b", "--instance", "g5.12xlarge", "--tp", "3", *LENGTHS), "does not divide"),
        (
            ("openai/gpt-oss-20b", "--instance", "g5.2xlarge", "--tp", "8", *LENGTHS),
            "g5.2xlarge has 1; a tensor-parallel",
        ),
        (("openai/gpt-oss-20b", "--instance", "g5.12xlarge", "--tp", "0", *LENGTHS), "not a whole number"),
        (("openai/gpt-oss-20b", "--instance", "g5.12xlarge", "--pp", "2", *LENGTHS), "--pp goes with --tp"),
        (("openai/gpt-oss-20b", "--instance", "g5.12xlarge", "--tp", "4"), "--input-tokens is missing"),
        (("openai/gpt-oss-20b", "--instance", "g5.12xlarge", *LENGTHS, "--max-num-seqs", "nan"), "not a whole number"),
        (("/", "--instance", "g5.12xlarge", *LENGTHS), "config.json"),
        (("meta-llama/Llama-3.2-1B", "--instance", "g7.2xlarge", *LENGTHS), "no source states the memory bandwidth"),
    ],
)
def test_nonsense_gets_one_sentence(arguments: tuple[str, ...], words: str) -> None:
    done = run(*arguments)

    assert isinstance(done.exception, InputError)
    assert words in str(done.exception) and str(done.exception).endswith(".")


def test_on_trainium2_a_rank_is_a_logical_core_of_four() -> None:
    shown = run("Qwen/Qwen3-32B", "--instance", "trn2.48xlarge", "--tp", "8", *LENGTHS).output

    assert shown.startswith(
        "Qwen/Qwen3-32B on trn2.48xlarge: TP=8 on 2 of 16 trainium2\n\nMemory of each logical core,"
    )


def test_a_group_of_more_ranks_than_an_instance_without_efa_has_is_refused() -> None:
    done = run("Qwen/Qwen3-32B", "--instance", "trn1.2xlarge", "--tp", "8", *LENGTHS)

    assert str(done.exception).startswith("a parallelism of 8 needs 8 cores, and trn1.2xlarge has 2; a tensor-parallel")


def test_over_several_instances_it_says_how_many_and_what_is_assumed_between_them() -> None:
    asked = ("deepseek-ai/DeepSeek-V3", "--instance", "p5.48xlarge", *LENGTHS)
    shown = run(*asked, "--tp", "8", "--pp", "2")

    assert shown.exit_code == 0
    assert shown.output.startswith("deepseek-ai/DeepSeek-V3 on 2 x p5.48xlarge: TP=8 PP=2 on 16 of 16 h100\n")
    assert "Across 2 p5.48xlarge at 3,200 Gbit/s each, an assumption: no measurement of" in shown.output
    assert max(map(len, shown.output.splitlines())) <= 80
    # Nothing on one of them holds it, so the least that does is the same.
    found = json.loads(run(*asked, "--json").output)
    assert (found["instances"], found["tensor_parallel"], found["pipeline_parallel"]) == (2, 8, 2)


def test_what_no_number_of_instances_holds_is_said_so() -> None:
    shown = run(
        "deepseek-ai/DeepSeek-V3", "--instance", "p5.48xlarge", "--input-tokens", "300000", "--output-tokens", "9"
    )

    assert shown.exit_code == 1
    assert "no parallelism up to its 8 h100 holds one such request, nor on up to 8 together." in shown.output
