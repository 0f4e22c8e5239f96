"""The sweep of `make test-gpu`, dry on a CPU with a tiny model, and its thinking."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from benchmarks import gpu_serving, serving_levels
from benchmarks.serving_levels import Break, Level

from holdfast.catalog import models
from holdfast.model.architecture import ModelArchitecture
from holdfast.model.errors import InputError

torch.set_num_threads(1)
LEVEL = Level(1, 8, 1.0, 100.0, 0.1, 0.01, 0.02, 0.01, 576)


def _levels(*rates_and_gaps: tuple[float, float]) -> list[Level]:
    return [
        replace(LEVEL, concurrency=2**number, rate_per_s=rate, itl_p95_s=gap_s)
        for number, (rate, gap_s) in enumerate(rates_and_gaps)
    ]


@pytest.mark.parametrize(
    ("levels", "full", "broke"),
    [
        (_levels((1, 0.02), (2, 0.03), (4, 0.06)), False, Break(2, 2, "itl")),
        (_levels((1, 0.02), (2, 0.03), (2.05, 0.04)), False, Break(2, 2, "plateau")),
        (_levels((1, 0.02), (2, 0.03)), True, Break(2, 2, "memory")),
        (_levels((1, 0.02), (2, 0.03)), False, Break(2, 2, "none")),
        (_levels((1, 0.06)), False, Break(None, 0.0, "itl")),
        ([replace(LEVEL, ttft_p95_s=3.0)], False, Break(None, 0.0, "ttft")),
        ([], True, Break(None, 0.0, "memory")),
    ],
)
def test_the_breaking_point_is_the_last_level_that_held_and_why_the_next_did_not(
    levels: list[Level], full: bool, broke: Break
) -> None:
    assert serving_levels.breaking_point(levels, itl_s=0.05, ttft_s=2.0, out_of_memory=full) == broke


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA H200", "h200"),
        ("NVIDIA A100-SXM4-80GB", "a100-80gb"),
        ("NVIDIA A100-SXM4-40GB", "a100-40gb"),
        ("NVIDIA A10G", "a10g"),
        ("NVIDIA L4", "l4"),
        ("NVIDIA L40S", "l40s"),
        ("Tesla T4", "t4"),
        ("NVIDIA GeForce RTX 4090", None),
        ("AMD EPYC", None),
    ],
)
def test_the_catalogue_knows_a_gpu_by_its_drivers_name(kind: str, name: str | None) -> None:
    found = serving_levels.accelerator_of(kind)
    assert (found and found.name) == name


def test_the_roofline_of_one_sequence_is_the_reading_of_the_weights() -> None:
    llama = models.architecture("llama-3.1-8b")
    assert isinstance(llama, ModelArchitecture)
    level = replace(LEVEL, decode_s=0.009, context_tokens=0)

    bound = serving_levels.bound(level, llama, serving_levels.accelerator_of("NVIDIA H100 80GB HBM3"))

    # 7.5e9 parameters without the table of embeddings, of 2 bytes, at 3,350 GB/s.
    assert bound is not None and bound.peak_s == pytest.approx(7.5e9 * 2 / 3350e9, rel=0.01)
    assert bound.binds == "memory" and bound.share == pytest.approx(0.5, rel=0.02)
    assert bound.fitted_s > bound.peak_s
    assert serving_levels.bound(level, llama, None) is None


def test_a_dry_run_on_the_cpu_writes_the_whole_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = "--model tiny --device cpu --input-tokens 10 --output-tokens 4 --most 2 --itl-ms 60000 --ttft-ms 60000"

    result = gpu_serving.main([*asked.split(), "--out", str(tmp_path)])

    (file,) = tmp_path.glob("gpu-serving-*-tiny-eager-*.json")
    assert json.loads(file.read_text()) == result
    assert result["device"]["accelerator"] is None and result["levels"][0]["roofline"] is None
    first = result["levels"][0]
    assert (first["concurrency"], first["requests"]) == (1, 2)
    assert first["decode_s"] > 0 and 0 < first["itl_p50_s"] <= first["itl_p95_s"]
    assert result["breaking_point"]["cause"] in {"none", "plateau"}
    assert "of peak" in capsys.readouterr().out


def test_nonsense_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no language model of the catalogue"):
        gpu_serving.main(["--model", "gpt-9", "--device", "cpu", "--out", str(tmp_path)])
    with pytest.raises(InputError, match="answers of 4"):
        gpu_serving.main(["--model", "tiny", "--output-tokens", "0", "--out", str(tmp_path)])
