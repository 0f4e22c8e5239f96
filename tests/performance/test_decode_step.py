"""The benchmark of decode steps: what it leaves out, and that it predicts what it did not see."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.decoding import heldout, measured
from benchmarks.decoding.measured import Row

from holdfast import catalog
from holdfast.catalog import models
from holdfast.model.architecture import ModelArchitecture
from holdfast.performance import fitting

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "measured"
needs_data = pytest.mark.skipif(not SHARED.is_dir(), reason="the published measurements are not at hand")


def row(**changed: object) -> Row:
    """Eight sequences of 512 + 512 tokens through Llama-3-8B on one A100, 10 s."""
    model = models.architecture("meta-llama/Meta-Llama-3-8B")
    assert isinstance(model, ModelArchitecture)
    return replace(Row(catalog.accelerator("a100-40gb"), "vllm", 1, model, 512, 512, 16, 10.0), **changed)  # type: ignore[arg-type]


def kept(*rows: Row) -> tuple[list[Row], list[str]]:
    left_out: Counter[tuple[str, str]] = Counter()
    return list(measured._possible(rows, left_out)), [why for why, _ in left_out]


def test_a_row_that_can_be_is_kept() -> None:
    assert kept(row()) == ([row()], [])


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        # 15 GB of weights 511 times over 1,555 GB/s are 4.9 s.
        (row(elapsed_s=4.0), "faster than the peaks allow"),
        # 128 KiB x 8,192 tokens x 64 sequences are 64 GiB of KV cache.
        (row(batch=64, input_tokens=4096, output_tokens=4096, elapsed_s=999.0), "more than the memory holds at once"),
    ],
)
def test_a_row_that_cannot_be_is_left_out_and_condemns_no_other(wrong: Row, why: str) -> None:
    good = row(batch=1, elapsed_s=8.0)
    assert kept(good, wrong) == ([good], [why])


def test_a_larger_batch_that_is_done_earlier_is_left_out() -> None:
    assert kept(row(batch=1), row(elapsed_s=9.0)) == ([row(batch=1)], ["faster than a smaller batch"])


def test_times_that_hardly_grow_with_the_tokens_have_a_start_up_in_them() -> None:
    double = row(input_tokens=1024, output_tokens=1024, elapsed_s=40.0)
    late = (row(elapsed_s=30.0), double)
    assert kept(*late) == ([], ["twice the tokens take hardly longer"])


@needs_data
def test_every_row_of_the_files_is_used_or_left_out_for_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    bench, timed = measured.inference_bench(SHARED), measured.splitwise(SHARED)

    assert bench.total == 4772 == len(bench.rows) + bench.left_out.total()
    assert timed.total == 1260 == len(timed.rows) + timed.left_out.total()
    with capsys.disabled():
        print(f"\n{bench.total + timed.total} published rows read", end=" ")  # noqa: T201


@needs_data
@pytest.mark.parametrize("group", [("a100-40gb", "vllm"), ("h100", "vllm")])
def test_half_of_the_models_predicts_the_other_half(group: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    rows = [one for one in measured.inference_bench(SHARED).rows if one.group == group]
    compute = measured.prefill_shares(SHARED)[group]

    found = list(heldout.halves(rows, compute, "model"))

    error = heldout.median_error(found)
    assert len(found) == len(rows) and error is not None and error <= 0.10
    shipped = heldout.of_group(rows, compute)
    assert all(fitting.predicted_s(one.sample(), shipped) > 0 for one in rows)
    with capsys.disabled():
        print(f"\n{len(found)} held-out rows of {group[0]}, median error {error:.1%}", end=" ")  # noqa: T201
