"""Two runs held against each other, as tables for the terminal and for pull requests."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from holdfast.model.comparison import Comparison, Difference, Finding, Kind, Metric, Outcome
from holdfast.model.tables import Cell, Column, Table
from holdfast.reports import cells

_FOREMOST = ("throughput", "errors", "p50", "p95", "ttft.p95", "itl.p95", "limit")
"""What a pull request shows without a click, besides what changed."""


def verdict(value: Comparison) -> str:
    """The answer in a sentence or two, with how many differences were looked at."""
    changed, unknown, figures = value.count(Finding.CHANGED), value.count(Finding.UNKNOWN), len(value.differences)
    if unknown == figures:
        return "Not enough data: of no figure of the two runs can be said whether it changed."
    sure = f"With {value.confidence:.0%} confidence{' over all figures together' if value.asked > 1 else ''}"
    said = f"{changed} of {figures} figures changed" if changed else "no change"
    return f"{sure}, {said}." + (f" Of {unknown} there is not enough data." if unknown else "")


def remarks(value: Comparison) -> list[str]:
    """What a reader must know before any figure, in sentences: what the runs did otherwise first."""
    other = [departure for departure in value.departures if not departure.alike]
    said = []
    if other:
        what = ", ".join(departure.what for departure in other)
        said.append(f"The runs did not do the same ({what}): their differences are not those of the servers alone.")
    said += [f"{each.what}: {each.before} in A, {each.after} in B." for each in value.departures]
    said += value.remarks
    said += [f"{level.name} is not compared: {level.why}." for level in value.levels if level.why]
    said += value.alone
    if value.limit is None and any(curve.breaking_point is not None for curve in value.curves):
        said.append("Only one of the runs searched for a breaking point.")
    return said


def pairing(value: Comparison) -> str:
    """How requests were held against each other; empty where no level was."""
    told = [level for level in value.levels if not level.why]
    same = sum(level.same_requests for level in told)
    if not told:
        return ""
    if same == len(told):
        return "Both runs sent the same requests at the same moments, and are compared request by request."
    where = "" if not same else f" at {len(told) - same} of {len(told)} levels"
    return f"The runs sent different requests{where}; with one --seed for both, smaller differences show."


def tables(value: Comparison) -> Iterator[Table]:
    """The differences of each level, and before them that of the breaking points."""
    columns = tuple(Column(name) for name in _HEADINGS[1:])
    if value.limit is not None:
        yield Table("Where it breaks", columns, (_row("", value.limit)[1:],))
    for level in value.levels:
        if not level.why:
            yield Table(f"At {level.name}", columns, tuple(_row("", each)[1:] for each in level.differences))


def figures_table(title: str, differences: Sequence[Difference]) -> Table:
    """The differences of one level, in numbers with units."""
    return Table(
        title=title,
        columns=(
            Column("figure"),
            Column("unit"),
            Column("A"),
            Column("B"),
            Column("change", "%", 1),
            Column("from", "%", 1),
            Column("to", "%", 1),
            Column("confidence", "%", 2),
            Column("finding"),
        ),
        rows=tuple(_numbers(each) for each in differences),
    )


def _numbers(each: Difference) -> tuple[Cell, ...]:
    """A difference as cells of numbers; the change of an error rate is in percentage points."""
    scale, unit = _scale(each)
    beside = each.why or each.remark
    said = f"{each.found.value}: {beside}" if beside else each.found.value
    confidence = None if math.isnan(each.low) else each.confidence * 100
    values = (each.before * scale, each.after * scale, each.change * 100, each.low * 100, each.high * 100)
    return (each.metric.words, unit, *values, confidence, said)


def _scale(each: Difference) -> tuple[float, str]:
    """What figures are multiplied by to be shown, and their unit then."""
    if each.metric.kind is Kind.SHARE:
        return 100.0, "%"
    if each.metric.kind is Kind.RATE:
        return 1.0, "requests/s"
    return (1000.0, "ms") if max(each.before, each.after) < 1 else (1.0, "s")


def _row(level: str, each: Difference) -> tuple[Cell, ...]:
    scale, unit = _scale(each)
    short = {"requests/s": "/s", "%": "%"}.get(unit, f" {unit}")
    before, after = (_with_unit(value * scale, short) for value in (each.before, each.after))
    change = cells.GAP if math.isnan(each.change) else percent(each.metric, each.change)
    interval = cells.GAP if math.isnan(each.low) else span(each)
    return (level or "search", each.metric.words, before, after, change, interval, each.found.value)


def _with_unit(value: float, unit: str) -> str:
    return cells.GAP if cells.is_gap(value) else f"{cells.significant(value)}{unit}"


def percent(metric: Metric, share: float) -> str:
    """`+4.2%` of a relative change, `+0.3 pp` (percentage points) of an error rate's."""
    return f"{_signed(share)}{_sign(metric)}"


def span(each: Difference) -> str:
    """An interval: `-1.2 to +4.0%`."""
    unit = "" if math.isinf(each.high) else _sign(each.metric)
    return f"{_signed(each.low)} to {_signed(each.high)}{unit}"


def _sign(metric: Metric) -> str:
    return "%" if metric.relative else " pp"


def _signed(share: float) -> str:
    if math.isinf(share):
        return "∞" if share > 0 else "−∞"
    text = f"{share * 100:+.1f}" if abs(share) < 10 else f"{share * 100:+,.0f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def notes(value: Comparison) -> Iterator[str]:
    """What stands below the figures."""
    reasons = dict.fromkeys(each.why for _, each in value.differences if each.why)
    yield from (f"Not enough data: {reason}." for reason in reasons)
    yield from (
        f"{text[:1].upper()}{text[1:]}."
        for text in dict.fromkeys(each.remark for _, each in value.differences if each.remark and not each.why)
    )
    if value.asked > 1:
        yield (
            f"{value.asked} differences are looked at; intervals are so wide that the probability of any false "
            f"“changed” among them is at most {1 - value.confidence:.0%} (Holm)."
        )


def markdown(value: Comparison) -> str:
    """The comparison for a pull request: the answer, what to know, a table of at most 100 columns, all figures."""
    rows = [_row(level, each) for level, each in value.differences]
    pairs = list(zip(rows, value.differences, strict=True))
    shown = [row for row, (_, each) in pairs if each.found is Finding.CHANGED or each.metric.name in _FOREMOST]
    parts = [f"**{_plain(value.before)} → {_plain(value.after)}**: {verdict(value)}"]
    parts += ["\n".join(f"- {_mark(each.outcome)} {_plain(each.sentence)}" for each in value.answers)]
    parts += ["\n".join(f"- {_plain(remark)}" for remark in remarks(value))]
    parts += [_grid(shown)]
    if len(shown) < len(rows):
        parts += [f"<details><summary>All {len(rows)} figures</summary>\n\n{_grid(rows)}\n\n</details>"]
    parts += ["\n".join(f"- {note}" for note in (*notes(value), pairing(value)) if note)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _mark(outcome: Outcome) -> str:
    return {Outcome.BROKEN: "❌", Outcome.HELD: "✅", Outcome.UNSURE: "❔"}[outcome]


_HEADINGS = ("level", "figure", "A", "B", "change", "interval", "finding")


def _grid(rows: Sequence[tuple[Cell, ...]]) -> str:
    if not rows:
        return ""
    texts = [[_plain(str(cell)) for cell in row] for row in rows]
    widths = [max(len(_HEADINGS[i]), *(len(row[i]) for row in texts)) for i in range(len(_HEADINGS))]
    right = [2 <= i <= 5 for i in range(len(_HEADINGS))]
    lines = [_HEADINGS, *texts]
    shown = [
        "| " + " | ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True)) + " |"
        for line in lines
    ]
    rule = "|" + "|".join("-" * (w + 1) + (":" if r else "-") for w, r in zip(widths, right, strict=True)) + "|"
    return "\n".join([shown[0], rule, *shown[1:]])


_ESCAPED = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]<>|#~"})


def _plain(content: str) -> str:
    """Text from outside that Markdown shows as it is."""
    return cells.plain(content).translate(_ESCAPED)


def lines(value: Comparison) -> list[str]:
    """What stands above the table in a terminal."""
    return [verdict(value), *remarks(value), *([pairing(value)] if pairing(value) else [])]
