"""What a fleet did over time, drawn: throughput, weights, replicas, latency and errors on one time axis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import plotly.graph_objects as go

from holdfast.model.fleet import Slo
from holdfast.model.tables import Column
from holdfast.model.timeline import FleetPoint, PoolPoint
from holdfast.reports import cells, figures, palette
from holdfast.reports.figures import Axis, Chart
from holdfast.reports.frames import FleetColumn, Frame
from holdfast.reports.totals import TimelineTotals


def _times(points: Sequence[PoolPoint] | Sequence[FleetPoint]) -> list[float]:
    return [point.t_s for point in points]


def throughput_chart(frame: Frame) -> Chart:
    """Requests served per second, stacked by pool, under the line of the load that was offered."""
    figure = frame.figure("Throughput [requests/s]")
    for name, points in frame.pools.items():
        colour = frame.styles[name].colour
        served = [point.served_per_s for point in points]
        style = {"color": colour, "width": 1, "shape": "vh"}
        figure.add_trace(frame.line(_times(points), served, stackgroup="served", line=style, name=figures.label(name)))
    fleet = frame.timeline.fleet
    figure.add_trace(
        frame.line(
            _times(fleet),
            [point.offered_per_s for point in fleet],
            line={"color": palette.INK.light, "width": 1.75, "shape": "vh"},
            name="offered",
        )
    )
    figure.update_traces(hovertemplate="%{y:.3~g}/s")
    offered = FleetColumn(Column("offered", "requests/s"), lambda point: point.offered_per_s)
    return Chart(
        title="Throughput by pool",
        reading="Requests served, stacked by pool, against the load offered. A gap below the line is load not served.",
        summary=_throughput_summary(frame),
        figure=figure,
        data=frame.per_pool("Throughput by pool", "requests/s", lambda point: point.served_per_s, [offered]),
    )


def _throughput_summary(frame: Frame) -> str:
    totals = TimelineTotals.of(frame.timeline)
    if not frame.timeline.fleet:
        return "Nothing was recorded."
    return (
        f"{totals.served:,.0f} requests were served and {totals.failed:,} failed "
        f"in {frame.timeline.fleet[-1].t_s:.4g} s; the pools are {', '.join(frame.pools)}."
    )


def weights_chart(frame: Frame) -> Chart:
    """The share of the traffic, in percent, that the weights give each pool."""
    figure = frame.figure("Share of traffic [%]")
    totals: dict[float, int] = {}
    for point in frame.timeline.pools:
        totals[point.t_s] = totals.get(point.t_s, 0) + point.weight

    def percent(point: PoolPoint) -> float | None:
        return 100 * point.weight / totals[point.t_s] if totals[point.t_s] else None

    for name, points in frame.pools.items():
        line = {"color": frame.styles[name].colour, "width": 2.25, "shape": "hv"}
        shares = [percent(point) for point in points]
        figure.add_trace(frame.line(_times(points), shares, line=line, name=figures.label(name)))
    figure.update_layout(yaxis={"range": [0, 104], "tickvals": [0, 25, 50, 75, 100]})
    figure.update_traces(hovertemplate="%{y:.3~g}%")
    return Chart(
        title="Weights",
        reading="What routing gave each pool at the end of each interval.",
        summary=" ".join(
            _span(name, [percent(point) for point in points], "%") for name, points in frame.pools.items()
        ),
        figure=figure,
        data=frame.per_pool("Weights", "%", percent, []),
        height_px=280,
        wide=False,
    )


def replicas_chart(frame: Frame) -> Chart:
    """Ready replicas of each pool."""
    figure = frame.figure("Ready replicas")
    for name, points in frame.pools.items():
        line = {"color": frame.styles[name].colour, "width": 2.25, "shape": "hv"}
        ready = [point.ready for point in points]
        pending = [point.pending for point in points]
        figure.add_trace(
            frame.line(
                _times(points),
                ready,
                line=line,
                name=figures.label(name),
                customdata=pending,
                hovertemplate="%{y} ready, %{customdata} pending",
            )
        )
    return Chart(
        title="Ready replicas",
        reading="Replicas that take traffic; those still starting are not counted.",
        summary=" ".join(_span(name, [p.ready for p in points], "ready") for name, points in frame.pools.items()),
        figure=figure,
        data=frame.per_pool("Ready replicas", "replicas", lambda point: point.ready, []),
        height_px=280,
        wide=False,
    )


def _span(name: str, values: Sequence[float | None], unit: str) -> str:
    known = [value for value in values if value is not None]
    return f"{name}: {min(known):.3g} to {max(known):.3g} {unit}." if known else f"{name}: unknown."


def latency_chart(frame: Frame, slo: Slo | None) -> Chart:
    """Latency p50 and p95 of the whole fleet in seconds against the bounds of the SLO."""
    fleet = frame.timeline.fleet
    bounds = slo.latency.bounds() if slo is not None else ()
    figure = frame.figure("Latency [s]")
    times = _times(fleet)
    ink, seconds = {"color": palette.INK.light}, "%{y:.3~g} s"
    p50, p95 = [point.p50_s for point in fleet], [point.p95_s for point in fleet]
    figure.add_trace(frame.line(times, p95, line=ink | {"width": 2}, name="p95", hovertemplate=seconds))
    figure.add_trace(
        frame.line(times, p50, line=ink | {"width": 1.5, "dash": "dot"}, name="p50", hovertemplate=seconds)
    )
    for name, bound_s in bounds:
        text = f"SLO {name} {cells.significant(bound_s)} s"
        line = {"color": palette.BOUND.light, "width": 1.25}
        figure.add_trace(
            frame.line([0, times[-1] if times else 0], [bound_s] * 2, line=line, name=text, hoverinfo="skip")
        )
    figure.update_layout(yaxis=Axis.over([*p50, *p95, *(bound_s for _, bound_s in bounds)]).layout())
    columns = [
        FleetColumn(Column("p50", "s"), lambda point: point.p50_s),
        FleetColumn(Column("p95", "s"), lambda point: point.p95_s),
    ]
    return Chart(
        title="Latency",
        reading="As the fleet’s clients saw it, of requests that were answered.",
        summary=_span("p50", figures.points(p50), "s") + " " + _span("p95", figures.points(p95), "s"),
        figure=figure,
        data=replace(frame, pools={}).per_pool("Latency", "s", lambda point: None, columns),
        height_px=280,
        wide=False,
    )


def errors_chart(frame: Frame) -> Chart:
    """Failed requests per interval, by the pool that failed them."""
    figure = frame.figure("Failed requests per interval")
    for name, points in frame.pools.items():
        _draw_failures(figure, frame, [(point.t_s, point.failed) for point in points], frame.styles[name].colour, name)
    unrouted = _unrouted(frame)
    if any(count for _, count in unrouted):
        _draw_failures(figure, frame, unrouted, palette.MUTED.light, "no pool")
    failed = sum(point.failed for point in frame.timeline.fleet)
    figure.update_layout(barmode="stack", bargap=0)
    if not failed:
        figure.update_layout(yaxis={"range": [0, 1], "tickvals": [0, 1]})
    total = FleetColumn(Column("all", "requests"), lambda point: point.failed)
    return Chart(
        title="Errors",
        reading="Requests that failed, by pool; “no pool” failed before a pool took them.",
        summary=f"{failed:,} requests failed.",
        figure=figure,
        data=frame.per_pool("Errors", "requests", lambda point: point.failed, [total]),
        height_px=280,
        wide=False,
    )


def _unrouted(frame: Frame) -> list[tuple[float, int]]:
    """Failures of the fleet that no pool counted, by the end of their interval."""
    counted: Counter[float] = Counter()
    for point in frame.timeline.pools:
        counted[point.t_s] += point.failed
    return [(point.t_s, max(point.failed - counted[point.t_s], 0)) for point in frame.timeline.fleet]


def _draw_failures(
    figure: go.Figure, frame: Frame, failures: Sequence[tuple[float, int]], colour: str, name: str
) -> None:
    width = frame.timeline.interval_s / frame.axis.seconds
    figure.add_trace(
        go.Bar(
            x=frame.axis.at([t_s for t_s, _ in failures]),
            y=[count for _, count in failures],
            width=width,
            offset=-width,
            marker={"color": colour, "line": {"width": 0}},
            name=figures.label(name),
        )
    )
