"""The figures of a simulation: each drawn once for every policy, on the same axes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import plotly.graph_objects as go

from holdfast.model.fleet import Slo
from holdfast.model.simulation import Simulation
from holdfast.model.tables import Column, Table
from holdfast.model.timeline import Timeline, TimelineEvent
from holdfast.reports import figures, timelines
from holdfast.reports.figures import Axis, Chart
from holdfast.reports.frames import LABELS_APART, Frame
from holdfast.reports.palette import Styles
from holdfast.reports.thinning import thin

POINTS_MOST = 600
"""Of a line: more than a figure of half a page has pixels."""

EVENTS_MOST = 24
"""Of a timeline that are marked and told."""

_HALF_APART = 0.11
"""As `frames.LABELS_APART`, in a figure of half a page."""

_MARKS = (
    " The dotted verticals are events, numbered as in the tables below; the ground is shaded while routing was "
    "capacity-optimised."
)

Drawing = Callable[[Frame], Chart]
Heights = Callable[[Frame], Sequence[float]]
"""What the common axis must span; one value where it shall be linear, none where the drawing has its own."""


def side_by_side(
    lines: Mapping[str, Timeline], styles: Styles, slo: Slo
) -> Iterator[tuple[str, str, tuple[Chart, ...]]]:
    """Of each kind of figure: its heading, how to read it, and one for each policy."""
    apart = _HALF_APART if len(lines) > 1 else LABELS_APART
    frames = {
        policy: Frame.of(thin(replace(line, events=told(line)), POINTS_MOST), styles, apart)
        for policy, line in lines.items()
    }
    if not frames:
        return
    drawings: tuple[tuple[Drawing, Heights], ...] = (
        (timelines.throughput_chart, _throughputs),
        (lambda frame: timelines.latency_chart(frame, slo), lambda frame: _latencies(frame, slo)),
        (timelines.weights_chart, lambda frame: ()),
        (timelines.replicas_chart, lambda frame: [max((p.ready for p in frame.timeline.pools), default=0)]),
        (timelines.errors_chart, lambda frame: [max((p.failed for p in frame.timeline.fleet), default=0)]),
    )
    for draw, heights in drawings:
        if draw is timelines.errors_chart and not any(p.failed for f in frames.values() for p in f.timeline.fleet):
            yield "Errors", "No request failed or was refused under any policy.", ()
            continue
        charts = {policy: draw(frame) for policy, frame in frames.items()}
        values = [height for frame in frames.values() for height in heights(frame)]
        axis = Axis.over(values) if values else None
        first = next(iter(charts.values()))
        marks = _MARKS if draw is timelines.throughput_chart else ""
        yield (
            first.title,
            first.reading + marks,
            tuple(_beside(chart, policy, axis, len(frames) > 1) for policy, chart in charts.items()),
        )


def told(timeline: Timeline) -> tuple[TimelineEvent, ...]:
    """The events to mark: all of them, or, where they are many, those of the kinds that come least often."""
    often = Counter(event.text for event in timeline.events)
    rare = sorted(timeline.events, key=lambda event: often[event.text])[:EVENTS_MOST]
    return tuple(sorted(rare, key=lambda event: event.t_s))


def _beside(chart: Chart, policy: str, axis: Axis | None, half: bool) -> Chart:
    """The chart as one of several: on their common scale, named by its policy."""
    if axis is not None:
        chart.figure.update_layout(yaxis={"tickvals": None} | axis.layout())
    return replace(
        chart, title=f"{policy}: {chart.title[0].lower()}{chart.title[1:]}", reading="", wide=not half, height_px=320
    )


def _throughputs(frame: Frame) -> list[float]:
    """The highest alone: what is stacked has no logarithm."""
    return [max((max(p.offered_per_s, p.served_per_s) for p in frame.timeline.fleet), default=0.0)]


def _latencies(frame: Frame, slo: Slo) -> list[float]:
    seen = [value for point in frame.timeline.fleet for value in (point.p50_s, point.p95_s)]
    return [*(value for value in seen if math.isfinite(value)), *(bound_s for _, bound_s in slo.latency.bounds())]


def cost_chart(found: Simulation, styles: Styles, optimum: str) -> Chart:
    """US dollars of each policy and of the optimum, stacked by pool; means over the seeds."""
    spent: dict[str, Mapping[str, float]] = {
        one.policy: _mean_usd([run.usd for run in one.runs], found.pools) for one in found.policies
    }
    spent[optimum] = _mean_usd([best.usd for best in found.best], found.pools)
    figure = figures.blank("cost of the run [USD]", "")
    for pool in found.pools:
        figure.add_trace(
            go.Bar(
                x=figures.points([usd[pool] for usd in spent.values()]),
                y=[figures.label(name) for name in spent],
                orientation="h",
                marker={"color": styles[pool].colour},
                name=figures.label(pool),
                hovertemplate="%{y}: $%{x:,.2f}",
            )
        )
    figure.update_layout(barmode="stack", bargap=0.35, xaxis={"rangemode": "tozero"}, legend={"traceorder": "normal"})
    figure.update_layout(yaxis={"autorange": "reversed", "showgrid": False, "ticksuffix": "  "})
    whole = {name: sum(usd.values()) for name, usd in spent.items()}
    return Chart(
        title="Cost by pool",
        reading="What each policy paid for which pool; the optimum knows the run beforehand and loses nothing.",
        summary=" ".join(f"{name}: ${usd:,.2f}." for name, usd in whole.items()),
        figure=figure,
        data=Table(
            "Cost by pool",
            (Column("policy"), *(Column(pool, "USD", 2) for pool in found.pools)),
            tuple((name, *(usd[pool] for pool in found.pools)) for name, usd in spent.items()),
        ),
        height_px=110 + 38 * len(spent),
    )


def _mean_usd(runs: Sequence[Mapping[str, float]], pools: Sequence[str]) -> dict[str, float]:
    return {pool: sum(run[pool] for run in runs) / len(runs) for pool in pools}
