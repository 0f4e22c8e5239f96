from __future__ import annotations

import json
from pathlib import Path

import pytest

from holdfast.catalog import models

from .conftest import Run


def test_advice_names_its_rules_and_priced_instances(holdfast: Run) -> None:
    done = holdfast("advise", "meta-llama/Llama-3.3-70B-Instruct", "--region", "us-west-2", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["answers"]["size"]["rule"] == "tensor-parallel"
    assert told["answers"]["routing"]["answer"] == "kv-aware"
    assert all(answer["why"] and answer["changes"] and answer["source"] for answer in told["answers"].values())
    prices = [one["price_usd_per_h"] for one in told["candidates"]]
    assert prices and prices == sorted(prices)
    assert all(one["price_source"] and one["price_date"] for one in told["candidates"])


@pytest.mark.parametrize("entry", models.entries(), ids=lambda entry: entry.id)
@pytest.mark.parametrize("flags", [(), ("--needs", "mig, dra,multi-node", "--phase", "pilot", "--region", "eu-west-1")])
def test_every_built_in_model_is_advised_in_80_columns(
    holdfast: Run, entry: models.Entry, flags: tuple[str, ...]
) -> None:
    done = holdfast("advise", entry.id, *flags)
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    for question in ("size", "nodes", "devices", "engine", "routing", "fallback", "migration"):
        assert f"rule     {question}/" in done.stdout
    assert ("[USD/h]" in done.stdout) or "holds it: give another region" in " ".join(done.stdout.split())


def test_prices_of_ones_own_are_advised_with(holdfast: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mine = tmp_path / "prices.csv"
    mine.write_text(
        "instance_type,region,capacity_type,price_usd_per_h,source,date\n"
        "p5.48xlarge,us-east-1,on-demand,0.5,our contract,2999-01-01\n"
    )
    monkeypatch.setenv("HOLDFAST_PRICES", str(mine))
    told = json.loads(holdfast("advise", "Qwen/Qwen3-8B", "--json").stdout)
    assert [told["candidates"][0][key] for key in ("instance_type", "price_source")] == ["p5.48xlarge", "our contract"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("llama-3.3-70b-instrukt",), "did you mean llama-3.3-70b-instruct"),
        (("nowhere/at-all",), "'nowhere/at-all' is neither a built-in model nor a path"),
        (("",), "'' is neither a built-in model nor a path"),
        ((".",), "cannot be read"),
        (("Qwen/Qwen3-8B", "--needs", "mig,fpga"), "'fpga' is no need; known: mig, dra, multi-node"),
        (("Qwen/Qwen3-8B", "--region", "us-wset-2"), "did you mean us-west-2"),
        (("Qwen/Qwen3-8B", "--sequences", "0"), "'0' is not a whole number"),
        (("Qwen/Qwen3-8B", "--sequences", "-1"), "'-1' is not a whole number"),
        (("Qwen/Qwen3-8B", "--sequence-tokens", "nan"), "'nan' is not a whole number"),
        (("Qwen/Qwen3-8B", "--sequence-tokens", "999,999"), "takes 40,960 tokens of prompt and answer, not 999,999"),
        (("stable-diffusion-2-1-base", "--sequence-tokens", "5"), "makes no sequences"),
    ],
)
def test_what_cannot_be_advised_is_one_sentence(holdfast: Run, arguments: tuple[str, ...], words: str) -> None:
    done = holdfast("advise", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.startswith("holdfast: ") and done.stderr.count("\n") == 1
