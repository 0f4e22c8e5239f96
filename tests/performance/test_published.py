"""Estimates beside the published tables of the examples: the figures of docs/estimate.md."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from holdfast import catalog
from holdfast.catalog import models
from holdfast.model.measurements import Measurement, read_measurements
from holdfast.performance.estimate import Estimate, estimate

EXAMPLES = Path(__file__).parents[2] / "examples"
DOCUMENT = (Path(__file__).parents[2] / "docs" / "estimate.md").read_text()


def rows(example: str) -> tuple[Measurement, ...]:
    file = EXAMPLES / example / "measurements.csv"
    return read_measurements(file.read_text(), where=file.name)


def gpt_oss() -> list[tuple[Measurement, Estimate]]:
    """The levels on one and on four A10G, each with the estimate for as many in flight as it really had."""
    found = []
    for row in rows("gpt-oss-20b-g5"):
        if row.instance_type in ("g5.8xlarge", "g5.12xlarge"):
            assert row.rate_per_s and row.latency_avg_s and row.output_tokens_per_s and row.tensor_parallel
            made = estimate(
                models.architecture("openai/gpt-oss-20b"),
                catalog.accelerator("a10g"),
                tensor_parallel=row.tensor_parallel,
                input_tokens=200,
                output_tokens=round(row.output_tokens_per_s / row.rate_per_s),
                max_num_seqs=round(row.rate_per_s * row.latency_avg_s),
            )
            found.append((row, made))
    return found


def test_no_measured_level_is_beyond_the_physical_limit() -> None:
    for row, made in gpt_oss():
        assert row.rate_per_s is not None and row.rate_per_s < made.physical_limit_per_s


def test_the_document_says_how_far_off_the_estimates_are() -> None:
    off = []
    for row, made in gpt_oss():
        rate, point = row.rate_per_s, made.points[-1]
        assert rate is not None
        off.append(point.rate_per_s / rate - 1)
        line = (
            f"| {row.instance_type} | {row.tensor_parallel} | {point.concurrency} | {rate:.2f} | {point.rate_per_s:.2f}"
        )
        assert f"{line} | {off[-1]:+.0%} | {made.physical_limit_per_s:.1f} |" in DOCUMENT
    assert f"off by more than {statistics.median(off):.0%}, all of them too fast" in DOCUMENT
    assert min(off) > 0


@pytest.mark.parametrize(("device", "ranks", "printed_per_s"), [("a10g", 4, 36), ("inferentia2", 8, 38)])
def test_the_printed_rates_of_long_requests_are_beyond_the_peaks(device: str, ranks: int, printed_per_s: float) -> None:
    made = estimate(
        models.architecture("meta-llama/Llama-3.1-8B"),
        catalog.accelerator(device),
        tensor_parallel=ranks,
        input_tokens=16000,
        output_tokens=512,
        max_num_seqs=8,
    )

    assert printed_per_s > 20 * made.physical_limit_per_s
    said = f"{made.points[-1].rate_per_s:.2f}/s, error {made.error:.0%} | {made.physical_limit_per_s:.2f}/s"
    assert f"| {printed_per_s}/s | {said} | {printed_per_s / 60:.2f}/s |" in DOCUMENT


def test_images_are_within_their_limit_where_the_document_says() -> None:
    for row in rows("sd21"):
        assert row.rate_per_s is not None and row.accelerator is not None
        model, device = (
            models.architecture("stabilityai/stable-diffusion-2-1-base"),
            catalog.accelerator(row.accelerator),
        )
        made = estimate(model, device, tensor_parallel=1, input_tokens=1, output_tokens=1)

        assert row.rate_per_s < made.physical_limit_per_s
        assert f" | {60 * made.points[0].rate_per_s:.0f} | {60 * made.physical_limit_per_s:.0f} |" in DOCUMENT
