"""Two public collections of batch timings, where they are at hand: what is beyond the hardware is an error in them.

Splitwise prints the time of a token beside that of the whole answer, LLM-Inference-Bench several lengths of one
configuration. So each row that the audit puts beyond the physical limit can be told by other means: the answer took
less time than its tokens, or than one of half its length. Such answers ended early.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.auditing import audit_measurements
from holdfast.model.findings import Severity
from holdfast.model.measurements import Measurement

MEASURED = Path(__file__).parents[3] / "shared" / "data" / "measured"
DEVICES = {"Nvidia A100 GPU": "a100-80gb", "Nvidia H100 GPU": "h100"}


def lines(name: str) -> list[dict[str, str]]:
    if not (MEASURED / name).exists():
        pytest.skip("the measured data are not at hand")
    with (MEASURED / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def batch(
    row: int, unit: str, devices: str, parallel: int, size: int, lengths: tuple[int, int], took_s: float, framework: str
) -> Measurement:
    return Measurement(
        row=row,
        unit=f"{unit} on {parallel} {devices}",
        model=unit,
        accelerator=devices,
        framework=framework,
        tensor_parallel=parallel,
        concurrency=size,
        rate_per_s=size / took_s,
        input_tokens=lengths[0],
        output_tokens=lengths[1],
        output_tokens_per_s=size * lengths[1] / took_s,
        latency_avg_s=took_s,
    )


def llm_inference_bench() -> Iterator[Measurement]:
    """Its lengths are of prompt and answer alike."""
    for number, line in enumerate(lines("llm_inference_bench.csv"), 2):
        if line["Hardware"] in DEVICES and float(line["Latency"] or 0) > 0:
            length, parallel = int(float(line["Input Output Length"])), int(line["Num of Hardware"])
            size, took_s = int(float(line["Batch Size"])), float(line["Latency"])
            yield batch(
                number,
                line["Model"],
                DEVICES[line["Hardware"]],
                parallel,
                size,
                (length, length),
                took_s,
                line["Framework"],
            )


def splitwise() -> Iterator[Measurement]:
    """Times in milliseconds; `token_size` tokens are generated."""
    names = {"llama2-70b": "meta-llama/Llama-2-70b-hf", "bloom-176b": "bigscience/bloom"}
    for number, line in enumerate(lines("splitwise_perf_model.csv"), 2):
        device, parallel = line["hardware"].removesuffix("-80gb"), int(line["tensor_parallel"])
        if device in ("a100", "h100"):
            lengths, took_s = (int(line["prompt_size"]), int(line["token_size"])), float(line["e2e_time"]) / 1000
            name = names[line["model"]]
            yield batch(
                number,
                name,
                {"a100": "a100-80gb"}.get(device, device),
                parallel,
                int(line["batch_size"]),
                lengths,
                took_s,
                "vllm",
            )


def beyond(rows: list[Measurement]) -> tuple[int, set[int]]:
    """How many rows were held against their hardware, and the lines of those beyond it."""
    audit = audit_measurements(rows, "measured.csv")
    (limits,) = [checked for checked in audit.checked if checked.check == "physical-limit"]
    others = [f for f in audit.findings if f.severity is Severity.IMPOSSIBLE and f.check != "physical-limit"]
    assert not others
    return limits.judged, {finding.row for finding in limits.findings}


def test_splitwise_rows_beyond_the_hardware_are_those_whose_answers_ended_early() -> None:
    table = lines("splitwise_perf_model.csv")
    early = {
        number
        for number, line in enumerate(table, 2)
        if float(line["e2e_time"]) < 0.95 * (int(line["token_size"]) - 1) * float(line["token_time"])
    }

    count, found = beyond(list(splitwise()))

    assert (count, len(found)) == (840, 108)  # as docs/audit.md says
    assert found <= early


def test_llm_inference_bench_rows_beyond_the_hardware_are_quicker_than_ones_of_half_their_length() -> None:
    rows = list(llm_inference_bench())
    count, found = beyond(rows)

    assert (count, len(found)) == (1718, 12)  # as docs/audit.md says
    for row in rows:
        if row.row in found:
            shorter = [
                other.latency_avg_s
                for other in rows
                if (other.unit, other.framework, other.concurrency) == (row.unit, row.framework, row.concurrency)
                and 2 * (other.output_tokens or 0) == row.output_tokens
            ]
            assert shorter and min(latency_s or 0 for latency_s in shorter) > (row.latency_avg_s or 0)
