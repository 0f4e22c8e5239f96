"""Two public collections of batch timings, where they are at hand: what is beyond the hardware is an error in them.

Splitwise prints the time of a token beside that of the whole answer, LLM-Inference-Bench several lengths of one
configuration. So each row that the audit puts beyond the physical limit can be told by other means: the answer took
less time than its tokens, or than one of half its length. Such answers ended early.

No row may be called impossible that cannot be told so, and few suspicious that are right: 14 of 2,411.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdfast.auditing import audit_measurements
from holdfast.model.findings import Checked, Severity
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


def audited(rows: list[Measurement], record: Callable[[str, object], None]) -> tuple[Checked, Checked]:
    """The checks `physical-limit` and `roofline`; no other may find anything impossible."""
    audit = audit_measurements(rows, "measured.csv")
    checks = {checked.check: checked for checked in audit.checked}
    others = [f for f in audit.findings if f.severity is Severity.IMPOSSIBLE and f.check != "physical-limit"]
    assert not others
    record("rows checked", {name: checked.judged for name, checked in checks.items()})
    return checks["physical-limit"], checks["roofline"]


def impossible(checked: Checked) -> int:
    return sum(finding.severity is Severity.IMPOSSIBLE for finding in checked.findings)


def test_splitwise_rows_beyond_the_hardware_or_all_servers_are_those_whose_answers_ended_early(
    record_property: Callable[[str, object], None],
) -> None:
    table = lines("splitwise_perf_model.csv")
    early = {
        number
        for number, line in enumerate(table, 2)
        if float(line["e2e_time"]) < 0.95 * (int(line["token_size"]) - 1) * float(line["token_time"])
    }

    limits, reach = audited(list(splitwise()), record_property)

    assert (limits.judged, len(limits.findings), impossible(limits)) == (840, 108, 0)  # as docs/audit.md says
    assert (reach.judged, len(reach.findings)) == (840, 9)
    assert {finding.row for finding in (*limits.findings, *reach.findings)} <= early


def test_llm_inference_bench_rows_beyond_the_hardware_are_quicker_than_ones_of_half_their_length(
    record_property: Callable[[str, object], None],
) -> None:
    rows = {row.row: row for row in llm_inference_bench()}

    limits, reach = audited(list(rows.values()), record_property)

    assert (limits.judged, len(limits.findings), impossible(limits)) == (1718, 12, 3)  # as docs/audit.md says
    for row in (rows[finding.row] for finding in limits.findings):
        shorter = [
            other.latency_avg_s
            for other in rows.values()
            if (other.unit, other.framework, other.concurrency) == (row.unit, row.framework, row.concurrency)
            and 2 * (other.output_tokens or 0) == row.output_tokens
        ]
        assert shorter and min(latency_s or 0 for latency_s in shorter) > (row.latency_avg_s or 0)

    # What llama.cpp's rows call a batch is no number of requests at once (benchmarks/decoding/measured.py); Qwen2's
    # answer ended early; of a mixture, real routers touch fewer experts than the roofline expects.
    found = [rows[finding.row] for finding in reach.findings]
    kinds = Counter(
        row.framework if row.framework == "llama.cpp" else str(row.model).split("/")[1].split("-")[0] for row in found
    )
    assert kinds == {"llama.cpp": 17, "Mixtral": 14, "Qwen2": 1}
