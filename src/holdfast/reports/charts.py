"""Load curves and costs drawn: where units break, how busy they were, what a million requests costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from holdfast.model.fleet import Slo
from holdfast.model.plan import PoolPlan
from holdfast.model.stages import LoadCurve, Stage
from holdfast.model.tables import Cell, Column, Table
from holdfast.reports import cells, figures, palette
from holdfast.reports.curves import METRIC_NAMES, Metric, by_load, statistic
from holdfast.reports.figures import Axis, Chart
from holdfast.reports.palette import Styles

_THROUGHPUT = "throughput of one replica [requests/s]"


def latency_chart(curves: Sequence[LoadCurve], slo: Slo | None, styles: Styles, metric: Metric = "latency") -> Chart:
    """p50 and p95 of a latency metric in seconds against achieved throughput per replica, one line per unit.

    Marks each breaking point with its interval, and the bounds that `slo` sets on the metric.
    """
    stages = [stage for curve in curves for stage in curve.stages]
    bounds = getattr(slo, metric).bounds() if slo is not None else ()
    x = Axis.over([stage.achieved_per_s for stage in stages] + _limits(curves))
    y = Axis.over(
        [statistic(stage, metric, name) for stage in stages for name in ("p50", "p95")] + [s for _, s in bounds]
    )
    figure = figures.blank(_THROUGHPUT, f"{METRIC_NAMES[metric]} [s]")
    figure.update_layout(xaxis=x.layout(), yaxis=y.layout(), hovermode="closest")
    for curve in curves:
        _draw_unit(figure, _UnitCurve(curve, metric, styles[curve.unit]), y)
    _draw_invalid(figure, stages, metric)
    for name, bound_s in bounds:
        _draw_bound(figure, x, bound_s, f"SLO {name} {cells.significant(bound_s)} s")
    return Chart(
        title=f"{METRIC_NAMES[metric]} against throughput",
        reading=_latency_reading(slo is not None and bool(bounds)),
        summary=" ".join(_latency_sentence(curve, metric) for curve in curves) or "Nothing was measured.",
        figure=figure,
        data=_latency_data(curves, metric),
        height_px=350 + 18 * len(curves),
    )


@dataclass(frozen=True)
class _UnitCurve:
    curve: LoadCurve
    metric: Metric
    style: palette.UnitStyle

    @property
    def valid(self) -> tuple[Stage, ...]:
        return tuple(stage for stage in by_load(self.curve) if stage.valid)

    def trace(self, name: str, **style: object) -> go.Scatter:
        unit = figures.label(self.curve.unit)
        return go.Scatter(
            x=figures.points([stage.achieved_per_s for stage in self.valid]),
            y=figures.points([statistic(stage, self.metric, name) for stage in self.valid]),
            legendgroup=unit,
            name=unit,
            hovertemplate=f"{unit}<br>%{{x:.4g}} requests/s<br>{name} %{{y:.4g}} s<extra></extra>",
            **style,
        )


def _draw_unit(figure: go.Figure, drawn: _UnitCurve, y: Axis) -> None:
    colour, marker = drawn.style.colour, drawn.style.marker
    if drawn.valid:
        dotted = {"color": colour, "width": 1.5, "dash": "dot"}
        figure.add_trace(drawn.trace("p50", mode="lines", line=dotted, showlegend=False))
        solid = {"mode": "lines+markers", "line": {"color": colour, "width": 2.25}}
        figure.add_trace(drawn.trace("p95", marker={"color": colour, "symbol": marker, "size": 7}, **solid))
    point = drawn.curve.breaking_point
    if point is None or not math.isfinite(point.rate_per_s):
        return
    unit = figures.label(drawn.curve.unit)
    figure.add_trace(
        go.Scatter(
            x=[point.rate_per_s] * 2,
            y=[y.low, y.high],
            mode="lines",
            line={"color": colour, "width": 1.5, "dash": "dash"},
            legendgroup=unit,
            name=f"{unit} holds {cells.significant(point.rate_per_s)}/s",
            hovertemplate=f"{unit} breaks here: {point.cause.value}<extra></extra>",
        )
    )
    if math.isfinite(point.high_per_s) and point.high_per_s > point.low_per_s:
        figure.add_vrect(
            x0=point.low_per_s, x1=point.high_per_s, fillcolor=colour, opacity=0.13, line_width=0, layer="below"
        )


def _draw_invalid(figure: go.Figure, stages: Sequence[Stage], metric: Metric) -> None:
    spoilt = [stage for stage in stages if not stage.valid]
    if not spoilt:
        return
    figure.add_trace(
        go.Scatter(
            x=figures.points([stage.achieved_per_s for stage in spoilt]),
            y=figures.points([statistic(stage, metric, "p95") for stage in spoilt]),
            mode="markers",
            marker={"color": palette.MUTED.light, "symbol": "x-thin-open", "size": 8},
            name="invalid stage, not counted",
            text=[figures.label(stage.invalid) for stage in spoilt],
            hovertemplate="invalid: %{text}<extra></extra>",
        )
    )


def _draw_bound(figure: go.Figure, x: Axis, bound: float, text: str) -> None:
    """A horizontal line at `bound` across the figure; a trace, as annotations on log axes want exponents."""
    figure.add_trace(
        go.Scatter(
            x=[x.low, x.high],
            y=[bound, bound],
            mode="lines+text",
            line={"color": palette.BOUND.light, "width": 1.25},
            text=[f"\u2002{text}", ""],
            textposition="top right",
            textfont={"color": palette.BOUND.light, "size": 12},
            showlegend=False,
            hoverinfo="skip",
        )
    )


def _limits(curves: Sequence[LoadCurve]) -> list[float | None]:
    return [curve.breaking_point.rate_per_s for curve in curves if curve.breaking_point is not None]


def _latency_reading(bounded: bool) -> str:
    bound = " The horizontal line is the SLO’s bound." if bounded else ""
    return (
        "Solid lines are p95, dotted lines p50. Dashed verticals mark the highest rate shown to hold; "
        "the band beside one is the interval that its breaking point lies in." + bound
    )


def _latency_sentence(curve: LoadCurve, metric: Metric) -> str:
    counted = [(stage.achieved_per_s, statistic(stage, metric, "p95")) for stage in by_load(curve) if stage.valid]
    known = [(rate, p95) for rate, p95 in counted if p95 is not None]
    if not known:
        return f"{curve.unit}: no valid stage."
    (first_rate, first), (last_rate, last) = known[0], known[-1]
    path = (
        f"{curve.unit}: p95 goes from {first:.3g} s at {first_rate:.3g} requests/s "
        f"to {last:.3g} s at {last_rate:.3g} requests/s"
    )
    point = curve.breaking_point
    return f"{path}; it holds {point.rate_per_s:.4g} requests/s." if point else f"{path}."


def _latency_data(curves: Sequence[LoadCurve], metric: Metric) -> Table:
    def row(unit: str, stage: Stage) -> tuple[Cell, ...]:
        quantiles = (statistic(stage, metric, name) for name in ("p50", "p95"))
        return (unit, stage.offered_per_s, stage.achieved_per_s, *quantiles, stage.invalid)

    name = METRIC_NAMES[metric]
    return Table(
        title=f"{name} against throughput",
        columns=(
            Column("unit"),
            Column("offered", "requests/s"),
            Column("achieved", "requests/s"),
            Column(f"{name} p50", "s"),
            Column(f"{name} p95", "s"),
            Column("invalid because"),
        ),
        rows=tuple(row(curve.unit, stage) for curve in curves for stage in by_load(curve)),
    )


def utilization_chart(curves: Sequence[LoadCurve], ceiling: float | None, styles: Styles) -> Chart:
    """Accelerator utilisation in percent against achieved throughput per replica; `ceiling` is 0..1."""
    rows = tuple(
        (curve.unit, stage.achieved_per_s, stage.utilization * 100)
        for curve in curves
        for stage in by_load(curve)
        if stage.valid and stage.utilization is not None
    )
    x = Axis.over([rate for _, rate, _ in rows])
    figure = figures.blank(_THROUGHPUT, "Utilisation [%]")
    figure.update_layout(xaxis=x.layout(), yaxis={"range": [0, 104], "tickvals": [0, 25, 50, 75, 100]})
    for unit in dict.fromkeys(unit for unit, _, _ in rows):
        colour, marker = styles[unit].colour, styles[unit].marker
        figure.add_trace(
            go.Scatter(
                x=figures.points([rate for name, rate, _ in rows if name == unit]),
                y=figures.points([percent for name, _, percent in rows if name == unit]),
                mode="lines+markers",
                line={"color": colour, "width": 2.25},
                marker={"color": colour, "symbol": marker, "size": 7},
                name=figures.label(unit),
                hovertemplate="%{x:.4g} requests/s<br>%{y:.1f}%",
            )
        )
    if ceiling is not None:
        _draw_bound(figure, x, ceiling * 100, f"ceiling {ceiling:.0%}")
    columns = (Column("unit"), Column("achieved", "requests/s"), Column("utilisation", "%"))
    return Chart(
        title="Utilisation against throughput",
        reading="The accelerator’s own figure over the steady part of each stage.",
        summary=" ".join(_busiest(unit, rows) for unit in dict.fromkeys(row[0] for row in rows)) or "Not measured.",
        figure=figure,
        data=Table("Utilisation against throughput", columns, rows),
        height_px=300,
    )


def _busiest(unit: str, rows: Sequence[tuple[str, float, float]]) -> str:
    _, rate, percent = max((row for row in rows if row[0] == unit), key=lambda row: row[2])
    return f"{unit}: up to {percent:.0f}% at {rate:.3g} requests/s."


def cost_chart(pools: Sequence[PoolPlan], styles: Styles) -> Chart:
    """US dollars per million requests of each pool's unit filled to its limit, cheapest first."""
    cheapest = sorted(
        (pool for pool in pools if math.isfinite(pool.usd_per_million_requests)),
        key=lambda pool: pool.usd_per_million_requests,
    )
    costs = [pool.usd_per_million_requests for pool in cheapest]
    figure = figures.blank("", "Cost of a million requests [USD]")
    figure.add_trace(
        go.Bar(
            x=figures.points(costs),
            y=[figures.label(pool.unit) for pool in cheapest],
            orientation="h",
            marker={"color": [styles[pool.unit].colour for pool in cheapest]},
            text=[f"{cost:,.2f}" for cost in costs],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: $%{x:,.2f}<extra></extra>",
        )
    )
    figure.update_layout(bargap=0.4, margin={"b": 8}, xaxis={"rangemode": "tozero", "showline": False, "ticks": ""})
    figure.update_layout(yaxis={"autorange": "reversed", "showgrid": False, "ticksuffix": "  "})
    figure.update_xaxes(showticklabels=False, range=[0, max(costs, default=1.0) * 1.18])
    columns = (Column("unit"), Column("cost of a million requests", "USD", 2))
    return Chart(
        title="Cost of a million requests",
        reading="Each unit filled to its breaking point: price of a replica-hour over requests served in it.",
        summary=" ".join(f"{pool.unit}: ${pool.usd_per_million_requests:,.2f}." for pool in cheapest) or "No pools.",
        figure=figure,
        data=Table(
            "Cost of a million requests",
            columns,
            tuple((pool.unit, c) for pool, c in zip(cheapest, costs, strict=True)),
        ),
        height_px=50 + 44 * max(len(cheapest), 1),
    )
