"""The cost of a fleet against the load that it holds, drawn."""

from __future__ import annotations

import plotly.graph_objects as go

from holdfast.model.cost_curve import CostCurve, CostPoint, PoolCost
from holdfast.model.tables import Cell, Column, Table
from holdfast.reports import cells, figures
from holdfast.reports.figures import Chart
from holdfast.reports.palette import Styles

_RATE = Column("demand", "requests/s")


def cost_curve_chart(curve: CostCurve, styles: Styles) -> Chart:
    """US dollars per hour of the cheapest plan against the demand in requests/s, pools stacked."""
    held = [point for point in curve.points if point.holds]
    figure = figures.blank("demand [requests/s]", "Cost of the cheapest plan [USD/h]")
    for unit in curve.units:
        figure.add_trace(_pool_area(unit, held, styles))
    # Between two rates the cost is at most that of the higher one: it never falls when the demand grows.
    figure.update_layout(
        hovermode="x unified", xaxis={"hoverformat": ".4g"}, yaxis={"rangemode": "tozero", "nticks": 7}
    )
    if curve.points:
        figure.update_xaxes(range=[curve.points[0].rate_per_s, curve.points[-1].rate_per_s])
    return Chart(
        title="Cost against demand",
        reading="A band is a pool’s instances. Between two planned rates the cost of the higher one is drawn.",
        summary=_summary(curve, held),
        figure=figure,
        data=_data(curve),
        height_px=400,
    )


def _pool_area(unit: str, held: list[CostPoint], styles: Styles) -> go.Scatter:
    none = PoolCost(unit, 0, 0.0)
    pools = [next((pool for pool in point.pools if pool.unit == unit), none) for point in held]
    return go.Scatter(
        x=figures.points([point.rate_per_s for point in held]),
        y=figures.points([pool.usd_per_h for pool in pools]),
        customdata=[pool.replicas for pool in pools],
        mode="lines",
        line={"color": styles[unit].colour, "width": 1, "shape": "vh"},
        stackgroup="cost",
        name=figures.label(unit),
        hovertemplate="%{customdata} replicas, $%{y:,.2f}/h",
    )


def _summary(curve: CostCurve, held: list[CostPoint]) -> str:
    if not held:
        return "No rate is held."
    first, last = held[0], held[-1]
    ends = " to ".join(
        f"${point.cost_usd_per_h:,.2f}/h at {cells.significant(point.rate_per_s)} requests/s" for point in (first, last)
    )
    beyond = "" if curve.holds else f" Above {cells.significant(last.rate_per_s)} requests/s no plan holds."
    return f"The cheapest plan goes from {ends}.{beyond}"


def _data(curve: CostCurve) -> Table:
    def row(point: CostPoint) -> tuple[Cell, ...]:
        own = {pool.unit: pool for pool in point.pools}
        pools = [(own[unit].replicas, own[unit].usd_per_h) if unit in own else (None, None) for unit in curve.units]
        cost = (point.cost_usd_per_h, point.usd_per_million_requests) if point.holds else (None, None)
        return (point.rate_per_s, *cost, *(figure for pair in pools for figure in pair))

    return Table(
        title="Cost against demand",
        columns=(
            _RATE,
            Column("cost", "USD/h", 2),
            Column("cost of a million requests", "USD", 2),
            *(
                column
                for unit in curve.units
                for column in (Column(f"{unit} replicas"), Column(f"{unit} cost", "USD/h", 2))
            ),
        ),
        rows=tuple(map(row, curve.points)),
    )
