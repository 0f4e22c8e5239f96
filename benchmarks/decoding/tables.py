"""The figures of benchmarks/decode_step.py as tables of Markdown."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from benchmarks.decoding import heldout
from benchmarks.decoding.heldout import Group, Predicted
from benchmarks.decoding.measured import Read, Row

from holdfast.performance.coefficients import Fitted

TARGET = 0.15
LEAST_ROWS = 5
"""Fewest rows of a model on so many devices for it to be named among those that fail."""


def summary(splits: Mapping[str, Mapping[Group, Sequence[Predicted]]]) -> str:
    """How far off all rows are together, by what was held out."""
    rows = []
    for name, by_group in splits.items():
        found = [one for many in by_group.values() for one in many]
        off = sorted(one.error for one in found)
        middle = statistics.median(off)
        rows.append(
            (
                name,
                len(found),
                percent(middle),
                percent(off[int(0.9 * len(off))]),
                f"{_bias(found):+.1%}",
                percent(statistics.median(one.whole_error for one in found)),
                "met" if middle <= TARGET else "not met",
            )
        )
    return table(("held out by", "rows", "median error", "90 %", "bias", "whole time", "median <= 15 %"), rows)


def by_accelerator(
    groups: Mapping[Group, Sequence[Row]], splits: Mapping[str, Mapping[Group, Sequence[Predicted]]]
) -> str:
    """The median error of each accelerator under each engine, by what was held out."""
    rows = []
    for group in sorted(groups):
        errors = [heldout.median_error(split.get(group, ())) for split in splits.values()]
        rows.append((*group, len(groups[group]), *map(percent, errors)))
    return table(("accelerator", "engine", "rows", *splits), rows)


def failures(by_model: Mapping[Group, Sequence[Predicted]]) -> str:
    """The models on so many devices whose held-out median is above the target, worst first, and their worst row."""
    cells = defaultdict(list)
    for group, found in by_model.items():
        for one in found:
            cells[group, one.row.model.name, one.row.devices].append(one)
    counted = {cell: found for cell, found in cells.items() if len(found) >= LEAST_ROWS}
    off = {cell: statistics.median(one.error for one in found) for cell, found in counted.items()}
    rows = []
    for cell in sorted((cell for cell in off if off[cell] > TARGET), key=lambda cell: -off[cell]):
        group, model, devices = cell
        worst = max(counted[cell], key=lambda one: one.error).row
        rows.append(
            (
                *group,
                model.rpartition("/")[2],
                devices,
                len(counted[cell]),
                percent(off[cell]),
                f"{_bias(counted[cell]):+.0%}",
                f"{worst.batch} x {worst.input_tokens}",
            )
        )
    heading = ("accelerator", "engine", "model", "devices", "rows", "median error", "bias", "worst batch x length")
    said = f"{len(rows)} of {len(counted)} pairs of a model and a number of devices are off by more than {TARGET:.0%}"
    return f"{said} in the median:\n\n{table(heading, rows)}"


def coefficients(fitted: Iterable[Fitted], shares: Mapping[Group, float]) -> str:
    """What was fitted on all rows; a star where no prefill was timed by itself."""
    rows = []
    for row in fitted:
        c = row.coefficients
        star = "" if (row.accelerator, row.framework) in shares else " *"
        overheads = (c.all_reduce_s, c.layer_s, c.sequence_s, c.step_s)
        rows.append(
            (
                row.accelerator,
                row.framework,
                f"{c.compute:.0%}{star}",
                *(f"{share:.0%}" for share in (c.memory, c.cache, c.link)),
                *(f"{overhead * 1e6:.0f}" for overhead in overheads),
                percent(c.error),
            )
        )
    heading = ("accelerator", "engine", "compute", "memory", "cache", "link")
    return table((*heading, "us/all-reduce", "us/layer", "us/sequence", "us/step", "error"), rows)


def left_out(files: Mapping[str, Read]) -> str:
    """How many rows of each file were used, and why the others were not."""
    rows: list[tuple[object, ...]] = []
    for name, read in files.items():
        whys: dict[str, Counter[str]] = defaultdict(Counter)
        for (why, place), count in read.left_out.items():
            whys[why][place] += count
        rows.append((name, "all", read.total, ""))
        for why, places in sorted(whys.items(), key=lambda item: -item[1].total()):
            most = "; ".join(f"{place} ({count})" for place, count in places.most_common(3))
            rows.append(("", why, places.total(), most))
        rows.append(("", "used", len(read.rows), ""))
    return table(("file", "rows", "count", "most of them"), rows)


def percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def table(heading: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Markdown, its columns padded; those of numbers alone stand to the right."""
    lines = [list(heading), *[[str(cell) for cell in row] for row in rows]]
    columns = list(zip(*lines, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [all(cell[:1] in "0123456789+-–" and " x " not in cell for cell in column[1:]) for column in columns]
    marks = ["-" * (width - 1) + (":" if side else "-") for width, side in zip(widths, right, strict=True)]
    padded = [[f"{cell:{'>' if side else '<'}{width}}" for cell in column]
              for column, width, side in zip(columns, widths, right, strict=True)]  # fmt: skip
    shown = list(zip(*padded, strict=True))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (shown[0], marks, *shown[1:]))


def _bias(found: Sequence[Predicted]) -> float:
    return statistics.median(one.predicted_s / one.step_s for one in found) - 1
