"""Results in the shapes of other tools, held against their own readers and definitions."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from holdfast.model import measurements
from holdfast.model.records import COLUMNS, Outcome, RequestRecord, RequestTable
from holdfast.model.stages import Arrivals, Level, LoadCurve, Stage, Summary
from holdfast.reports import exports
from holdfast.reports.exports import LevelRequests

VLLM_FIELDS = {
    "date", "endpoint_type", "backend", "label", "model_id", "tokenizer_id", "num_prompts", "request_rate",
    "burstiness", "max_concurrency", "duration", "completed", "failed", "total_input_tokens", "total_output_tokens",
    "request_throughput", "request_goodput", "output_throughput", "total_token_throughput", "max_output_tokens_per_s",
    "max_concurrent_requests",
    *(f"{s}_{m}_ms" for m in ("ttft", "tpot", "itl", "e2el") for s in ("mean", "median", "std", "p99")),
}  # fmt: skip
"""What `vllm bench serve --save-result` writes of a run against a text server."""


def request(sent_s: float, first_s: float, end_s: float, tokens: int, outcome: Outcome = Outcome.OK) -> RequestRecord:
    return RequestRecord(
        0, sent_s - 0.1, sent_s, first_s, first_s, end_s, 0.0, tokens, 10, tokens, 10, tokens, 200, outcome
    )


@pytest.fixture
def level() -> LevelRequests:
    """Two answers of three and two tokens, and one that broke off after its first."""
    table = RequestTable.of(
        [
            request(1.0, 1.2, 2.0, 3),
            request(1.5, 1.6, 1.8, 2),
            request(2.0, 2.5, 3.0, 1, Outcome.TRUNCATED),
        ]
    )
    times = np.array([0, 0.3, 0.8, 0, 0.2, 0], dtype=np.float32)
    return LevelRequests(table, np.array([3, 2, 1], dtype=np.int32), times)


def exported(stage: Stage, level: LevelRequests, detailed: bool = False) -> dict[str, object]:
    return exports.vllm_result(
        stage, level, model="m", url="http://x", backend="openai", date="20261121-120000", detailed=detailed
    )


def test_a_level_has_vllms_names_and_definitions(make_stage: Callable[..., Stage], level: LevelRequests) -> None:
    found = exported(make_stage(), level)
    assert set(found) >= VLLM_FIELDS
    expected = {
        "num_prompts": 3,
        "completed": 2,
        "failed": 1,
        "duration": 2.0,  # from the first send to the last end, the failed one included
        "request_throughput": 1.0,
        "total_input_tokens": 20,
        "total_output_tokens": 5,
        "output_throughput": 2.5,
        "mean_ttft_ms": 150.0,  # from the send, not from the intended start
        "mean_e2el_ms": 650.0,
        "std_e2el_ms": 350.0,
        "mean_tpot_ms": 1000 * (0.8 / 2 + 0.2) / 2,
        "mean_itl_ms": 1000 * (0.3 + 0.5 + 0.2) / 3,
        "max_output_tokens_per_s": 4.0,  # 1.2, 1.5, 1.6 and 1.8 s are in the first second
        "max_concurrent_requests": 2,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_details_are_lists_over_all_requests(make_stage: Callable[..., Stage], level: LevelRequests) -> None:
    found = exported(make_stage(), level, detailed=True)
    assert found["errors"] == ["", "", "truncated"]
    assert found["output_lens"] == [3, 2, 0]
    assert [len(gaps) for gaps in found["itls"]] == [2, 1, 0]  # type: ignore[attr-defined]
    assert found["queue_times"] == pytest.approx([0.1] * 3)


@pytest.mark.parametrize(
    ("level_of", "expected"),
    [
        (Level(Arrivals.CLOSED, concurrency=8), ("inf", 1.0, 8)),
        (Level(Arrivals.POISSON, rate_per_s=4.0), (4.0, 1.0, None)),
        (Level(Arrivals.CONSTANT, rate_per_s=4.0), (4.0, None, None)),
    ],
)
def test_arrivals_are_told_in_vllms_terms(
    make_stage: Callable[..., Stage], level: LevelRequests, level_of: Level, expected: tuple[object, ...]
) -> None:
    found = exported(make_stage(level=level_of), level)
    assert (found["request_rate"], found["burstiness"], found["max_concurrency"]) == expected


def test_images_and_empty_levels_have_no_token_times(make_stage: Callable[..., Stage], level: LevelRequests) -> None:
    image = RequestTable.of([request(1.0, 2.0, 2.0, 1)])
    none = np.zeros(0, dtype=np.float32)
    found = exported(make_stage(), LevelRequests(image, np.array([0], dtype=np.int32), none))
    assert (found["mean_ttft_ms"], found["mean_itl_ms"], found["mean_e2el_ms"]) == (0.0, 0.0, 1000.0)
    empty = LevelRequests(RequestTable.of([]), np.zeros(0, dtype=np.int32), none)
    assert exported(make_stage(), empty, detailed=True)["completed"] == 0


def test_a_measurement_file_reads_back_as_what_was_measured(make_stage: Callable[..., Stage]) -> None:
    streamed = Summary(100, 0.1, 0.1, 0.15, 0.2, 0.3, 0.4)
    together = Summary(100, *[0.0] * 6)
    stages = (
        make_stage(
            0.5, ttft=streamed, itl=streamed, ok=400, tokens_in=80_000, tokens_out=40_000, tokens_out_per_s=50.0
        ),
        make_stage(1.0, index=1, level=Level(Arrivals.CLOSED, concurrency=8), itl=together),
        make_stage(1.5, index=2, invalid="the client was late"),
        make_stage(2.0, index=3, latency=Summary(0, *[math.nan] * 6), achieved_per_s=0.0, errors={"connect": 400}),
    )
    text = "".join(exports.measurement_csv(LoadCurve("http://x", stages), unit="g5", model="m", source="a, run"))
    assert text.startswith("# left out, 1.5/s: the client was late\n")
    first, closed, broken = measurements.read_measurements(text, where="x.csv")
    assert (first.unit, first.model, first.source) == ("g5", "m", "a, run")
    assert first.rate_per_s == stages[0].achieved_per_s
    assert first.latency_p95_s == stages[0].latency.p95_s
    assert (first.input_tokens, first.output_tokens, first.output_tokens_per_s) == (200, 100, 50)
    assert (first.ttft_p95_s, first.itl_p95_s) == (0.2, 0.2)
    assert (first.concurrency, closed.concurrency) == (None, 8)
    assert closed.itl_p95_s is None
    assert (broken.rate_per_s, broken.error_rate, broken.latency_p95_s) == (0.0, 1.0, None)


def test_requests_are_a_row_each_in_full_precision(level: LevelRequests) -> None:
    third = replace(level.table, end_s=np.array([1 / 3, 2.0, math.nan]))
    rows = list(csv.DictReader(io.StringIO("".join(exports.requests_csv(third)))))
    assert list(rows[0]) == list(COLUMNS)
    assert float(rows[0]["end_s"]) == 1 / 3
    assert rows[2]["end_s"] == ""
    assert [row["outcome"] for row in rows] == ["ok", "ok", "truncated"]
