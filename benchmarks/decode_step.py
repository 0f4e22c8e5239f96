"""How well the roofline predicts measured decode steps, and the coefficients that it takes.

    python benchmarks/decode_step.py FOLDER [--coefficients] [--into docs/benchmarks.md]

FOLDER holds llm_inference_bench.csv (argonne-lcf/LLM-Inference-Bench, Plots/All_results.csv, BSD-3-Clause) and
splitwise_perf_model.csv (Mutinifni/splitwise-sim, data/perf_model.csv, MIT). Coefficients are fitted for each
accelerator under each engine, on half of what can be used, and predict the other half. `--coefficients` fits them on
all of it and writes the table that the package reads, each with its held-out error.
"""

from __future__ import annotations

import argparse
import csv
import io
import math
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.decoding import heldout, measured, tables
from benchmarks.decoding.heldout import Group, Predicted
from benchmarks.decoding.measured import Row

from holdfast.performance.coefficients import Fitted

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "src/holdfast/performance/data/coefficients.csv"
BEGIN, END = "<!-- decode step: begin -->", "<!-- decode step: end -->"
SOURCES = {True: "splitwise-sim data/perf_model.csv", False: "LLM-Inference-Bench Plots/All_results.csv"}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("folder", type=Path)
    asked.add_argument("--coefficients", action="store_true", help="write the package's table of coefficients")
    asked.add_argument("--into", type=Path, help="replace the figures in this document")
    given = asked.parse_args()

    files = {
        "llm_inference_bench.csv": measured.inference_bench(given.folder),
        "splitwise_perf_model.csv": measured.splitwise(given.folder),
    }
    shares = measured.prefill_shares(given.folder)
    groups: dict[Group, list[Row]] = defaultdict(list)
    for read in files.values():
        for row in read.rows:
            groups[row.group].append(row)

    held = {
        split: {group: list(heldout.halves(rows, shares.get(group), split)) for group, rows in groups.items()}
        for split in heldout.SPLITS
    }
    more = {group: list(heldout.more_devices(rows, shares.get(group))) for group, rows in groups.items()}
    fitted = [_fitted(group, rows, shares.get(group), held) for group, rows in sorted(groups.items())]
    kin, strangers = heldout.by_kin(groups, fitted), heldout.by_kin(groups, fitted, stranger=True)
    fitted = [replace(row, kin_error=_largest(kin), stranger_error=_largest(strangers)) for row in fitted]
    tried = held | {"more devices": more, "nearest kin": kin, "a stranger": strangers}

    text = "\n\n".join(
        (
            tables.summary(tried),
            tables.by_accelerator(groups, tried),
            tables.failures(held["model"]),
            tables.coefficients(fitted, shares),
            tables.left_out(files),
        )
    )
    print(text)
    if given.coefficients:
        TABLE.parent.mkdir(exist_ok=True)
        TABLE.write_text(_csv(fitted, groups, shares), encoding="utf-8")
    if given.into is not None:
        document = given.into.read_text(encoding="utf-8")
        before, after = document.split(BEGIN)[0], document.split(END)[1]
        given.into.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def _fitted(
    group: Group, rows: Sequence[Row], compute: float | None, held: Mapping[str, Mapping[Group, Sequence[Predicted]]]
) -> Fitted:
    """Fitted on all rows; the error is the largest of the medians over what was held out, whatever the halves."""
    device = rows[0].accelerator
    assert device.memory_gb_per_s is not None and device.bf16_dense_tflops is not None
    errors = [error for split in held.values() if (error := heldout.median_error(split[group])) is not None]
    timed = rows[0].prefill_s is not None
    source = f"{SOURCES[timed]}, {len(rows)} configurations"
    return Fitted(
        accelerator=device.name,
        vendor=device.vendor,
        framework=group[1],
        memory_gb_per_s=device.memory_gb_per_s,
        bf16_dense_tflops=device.bf16_dense_tflops,
        span=_span(rows),
        kin_error=math.nan,
        stranger_error=math.nan,
        coefficients=replace(heldout.of_group(rows, compute, source), error=max(errors, default=1.0)),
    )


def _span(rows: Sequence[Row]) -> float:
    """Largest over smallest weights per device."""
    weights = [row.model.weight_bytes / row.devices for row in rows]
    return max(weights) / min(weights)


def _largest(found: Mapping[Group, Sequence[Predicted]]) -> float:
    """The largest of the accelerators' medians."""
    return max(error for one in found.values() if (error := heldout.median_error(one)) is not None)


COLUMNS = (
    "accelerator", "vendor", "framework", "memory_gb_per_s", "bf16_dense_tflops", "link_gb_per_s", "compute", "memory",
    "cache", "link", "all_reduce_s", "layer_s", "sequence_s", "step_s", "rows", "span", "error", "kin_error",
    "stranger_error", "compute_from", "source",
)  # fmt: skip
HEADER = """\
# Written by benchmarks/decode_step.py --coefficients; not to be edited.
# What the columns mean is in performance/coefficients.py. Peaks are of the accelerator; shares are of the peaks.
# error, kin_error, stranger_error: medians over held-out decode steps, as a share. rows: configurations fitted.
# compute_from: `prefill` where prefills were timed by themselves, `fit` where they were not.
"""


def _csv(fitted: Sequence[Fitted], groups: Mapping[Group, Sequence[Row]], shares: Mapping[Group, float]) -> str:
    out = io.StringIO()
    out.write(HEADER)
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in fitted:
        c, rows = row.coefficients, groups[row.accelerator, row.framework]
        peaks = (row.memory_gb_per_s, row.bf16_dense_tflops, rows[0].accelerator.link_gb_per_s or 0.0)
        overheads = (c.all_reduce_s, c.layer_s, c.sequence_s, c.step_s)
        errors = (row.span, c.error, row.kin_error, row.stranger_error)
        compute_from = "prefill" if (row.accelerator, row.framework) in shares else "fit"
        shares_of_peaks = (c.compute, c.memory, c.cache, c.link)
        writer.writerow(
            (row.accelerator, row.vendor, row.framework, *_short(*peaks, *shares_of_peaks, *overheads),
             len(rows), *_short(*errors), compute_from, c.source)
        )  # fmt: skip
    return out.getvalue()


def _short(*values: float) -> list[str]:
    return [f"{value:.4g}" if value > 1e-9 else "0" for value in values]


if __name__ == "__main__":
    main()
