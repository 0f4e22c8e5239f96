"""The page of two runs held against each other."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from holdfast.model.comparison import Comparison, Difference, Finding
from holdfast.model.stages import LoadCurve
from holdfast.model.tables import Cell, Column, Table
from holdfast.reports import charts, comparisons, figures, palette, tabulate
from holdfast.reports.curves import METRIC_NAMES, has_metric
from holdfast.reports.figures import Chart
from holdfast.reports.page import Block, Headline, Page, Points, Section

_SHADES = {
    Finding.CHANGED: palette.BOUND.light,
    Finding.SAME: palette.SERIES[0].light,
    Finding.UNKNOWN: palette.MUTED.light,
}


def page(value: Comparison) -> Page:
    """The answer, what the runs did otherwise, every difference with its interval, and both runs' curves."""
    known = comparisons.remarks(value)
    notes: list[Block] = [Points(tuple(known))] if known else ["Both runs were asked to do the same."]
    if comparisons.pairing(value):
        notes.append(comparisons.pairing(value))
    conditions = Section("Conditions", (_answers(value),)) if value.answers else None
    sections = [
        Section("What the runs did", tuple(notes)),
        *([conditions] if conditions else []),
        Section("What differs", tuple(_differences(value))),
        Section("Both runs", tuple(_curves(value.curves))),
    ]
    return Page(
        title="What changed from one run to another",
        lead=comparisons.verdict(value),
        provenance=(
            f"A is {value.before}, begun at {value.begun[0]}.",
            f"B is {value.after}, begun at {value.begun[1]}.",
        ),
        headlines=tuple(_headlines(value)),
        sections=tuple(sections),
    )


def _headlines(value: Comparison) -> list[Headline]:
    """What a reader asks first: the breaking point, or p95 and throughput at the highest level that both held."""
    told = [level for level in value.levels if not level.why]
    wanted = [("", value.limit)] if value.limit is not None else []
    if told:
        last = told[-1]
        names = ("p95", "throughput")
        wanted += [(last.name, each) for name in names for each in last.differences if each.metric.name == name]
    return [_headline(level, each) for level, each in wanted if each is not None]


def _headline(level: str, each: Difference) -> Headline:
    label = f"{each.metric.words[:1].upper()}{each.metric.words[1:]}{f' at {level}' if level else ''}"
    if each.why:
        return Headline(label, None, "", f"Not enough data: {each.why}.")
    return Headline(
        label,
        comparisons.percent(each.metric, each.change),
        "",
        f"{each.found.value.capitalize()}: {comparisons.span(each)}.",
    )


def _answers(value: Comparison) -> Table:
    return Table(
        "Conditions",
        (Column("condition"), Column("answer"), Column("why")),
        tuple((each.condition, each.outcome.value, each.sentence.partition(": ")[2]) for each in value.answers),
        ("Broken and held are said with the confidence above; unsure is neither.",),
    )


def _differences(value: Comparison) -> list[Block]:
    blocks: list[Block] = []
    if value.limit is not None:
        blocks += _shown("Where it breaks", [value.limit])
    for level in (level for level in value.levels if not level.why):
        blocks += _shown(f"At {level.name}", level.differences)
    blocks += comparisons.notes(value)
    return blocks or ["No level that both runs held is valid in both."]


def _shown(title: str, differences: Sequence[Difference]) -> list[Block]:
    return [_chart(title, differences), comparisons.figures_table(title, differences)]


def _chart(title: str, differences: Sequence[Difference]) -> Chart:
    """Each figure's change and its interval about zero."""
    told = [each for each in differences if not math.isnan(each.low)]
    figure = figures.blank("change from A to B [%]", "")
    for found, shade in _SHADES.items():
        some = [each for each in told if each.found is found]
        if not some:
            continue
        centres = [each.change * 100 for each in some]
        figure.add_trace(
            go.Scatter(
                x=figures.points(centres),
                y=[figures.label(_label(each)) for each in some],
                mode="markers",
                marker={"color": shade, "size": 8, "symbol": "diamond" if found is Finding.CHANGED else "circle"},
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": figures.points([each.high * 100 - c for each, c in zip(some, centres, strict=True)]),
                    "arrayminus": figures.points([c - each.low * 100 for each, c in zip(some, centres, strict=True)]),
                    "color": shade,
                    "thickness": 2,
                },
                name=found.value,
                showlegend=True,
                hovertemplate="%{y}<br>%{x:+.2f}%<extra></extra>",
            )
        )
    figure.add_vline(x=0, line={"color": palette.MUTED.light, "width": 1})
    names = [figures.label(_label(each)) for each in told]
    figure.update_layout(
        margin={"t": 8},
        yaxis={"categoryorder": "array", "categoryarray": names[::-1], "ticksuffix": "  "},
        xaxis={"showgrid": True, "range": _range(told), "ticksuffix": "%"},
    )
    return Chart(
        title=f"{title}: change from A to B",
        reading="A point is the change, the line its interval; where it crosses zero, there is no change to tell.",
        summary=" ".join(_sentence(each) for each in told) or "Nothing can be told.",
        figure=figure,
        data=_data(title, differences),
        height_px=96 + 24 * len(told),
    )


def _label(each: Difference) -> str:
    return each.metric.words if each.metric.relative else f"{each.metric.words} (pp)"


def _range(told: Sequence[Difference]) -> list[float]:
    ends = [end * 100 for each in told for end in (each.low, each.high, 0.0) if math.isfinite(end)]
    low, high = min(ends, default=-1.0), max(ends, default=1.0)
    margin = max((high - low) * 0.05, 0.2)
    return [low - margin, high + margin]


def _sentence(each: Difference) -> str:
    return f"{each.metric.words}: {comparisons.percent(each.metric, each.change)}, {each.found.value}."


def _data(title: str, differences: Sequence[Difference]) -> Table:
    def row(each: Difference) -> tuple[Cell, ...]:
        return (each.metric.words, each.before, each.after, each.change * 100, each.low * 100, each.high * 100)

    columns = (
        Column("figure, in s, requests/s or as a share"),
        Column("A"),
        Column("B"),
        Column("change", "%"),
        Column("from", "%"),
        Column("to", "%"),
    )
    return Table(f"{title}: change from A to B", columns, tuple(row(each) for each in differences))


def _curves(curves: tuple[LoadCurve, LoadCurve]) -> list[Block]:
    styles = palette.assign(curve.unit for curve in curves)
    blocks: list[Block] = [
        charts.latency_chart(curves, None, styles, metric)
        for metric in METRIC_NAMES
        if metric == "latency" or has_metric(curves, metric)
    ]
    if any(curve.breaking_point is not None for curve in curves):
        blocks.insert(0, tabulate.breaking_points(curves))
    return [*blocks, *(tabulate.stages(curve) for curve in curves if curve.stages)]
