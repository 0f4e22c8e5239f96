"""What the server and its devices said of themselves, drawn over time: queues above, shares below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from holdfast.model.records import Floats
from holdfast.model.server import ServerTable
from holdfast.model.tables import Column, Table
from holdfast.reports import cells, figures, palette
from holdfast.reports.figures import Chart
from holdfast.reports.frames import TimeAxis

_MOST = 600
"""Points of a line; more are merged to the highest of each stretch, so that no queue is hidden."""

_SILENT = 5
"""A line is interrupted where its points lie this many times further apart than usual."""

_DASHES = ("solid", "dash", "dot")


@dataclass(frozen=True)
class _Kind:
    """How one series is drawn: its panel (1: requests, 2: per cent), colour, and factor to the panel's unit."""

    series: str
    name: str
    panel: int
    colour: str
    factor: float = 1.0


_KINDS = (
    _Kind("waiting", "waiting", 1, palette.SERIES[1].light),
    _Kind("running", "running", 1, palette.SERIES[0].light),
    _Kind("kv_usage", "KV cache in use", 2, palette.SERIES[2].light, 100.0),
    _Kind("utilization", "utilisation", 2, palette.SERIES[3].light, 100.0),
)


@dataclass(frozen=True)
class _Line:
    kind: _Kind
    source: str
    name: str
    times_s: Floats
    values: Floats


def has_series(server: ServerTable) -> bool:
    """Whether there is anything to draw."""
    return bool(np.isin(server.series, [kind.series for kind in _KINDS]).any())


def server_chart(server: ServerTable) -> Chart:
    """Queue length, requests in execution, KV cache in use and utilisation against the time of the run."""
    lines = _lines(server)
    axis = TimeAxis.spanning(max((float(line.times_s[-1]) for line in lines), default=0.0))
    figure = figures.blank(f"time since start [{axis.unit}]", "Requests")
    queues, shares = _panels(lines)
    figure.update_layout(
        hovermode="x unified",
        xaxis={"range": [0, axis.end], "nticks": 10, "hoverformat": ".4~g", "anchor": "y2" if shares else "y"},
        yaxis={"domain": list(queues or (0, 1)), "rangemode": "tozero", "nticks": 5, "visible": queues is not None},
    )
    if shares:
        percent = figure.layout.yaxis.to_plotly_json() | {
            "domain": list(shares), "range": [0, 104], "tickvals": [0, 50, 100], "visible": True, "anchor": "x",
        }  # fmt: skip
        figure.update_layout(yaxis2=percent)
        _name_panel(figure, "Share [%]", shares[1]) if queues else figure.update_layout(title={"text": "Share [%]"})
    sources = list(dict.fromkeys(line.source for line in lines))
    for line in lines:
        times_s, values = _interrupted(line.times_s, line.values * line.kind.factor)
        figure.add_trace(
            go.Scatter(
                x=axis.at(times_s.tolist()),
                y=figures.points(values.tolist()),
                yaxis="y" if line.kind.panel == 1 else "y2",
                mode="lines",
                name=figures.label(line.name),
                line={
                    "color": line.kind.colour,
                    "width": 1.75,
                    "shape": "vh",
                    "dash": _DASHES[sources.index(line.source) % len(_DASHES)],
                },
                hovertemplate="%{y:.4~g}" + ("" if line.kind.panel == 1 else "%"),
            )
        )
    return Chart(
        title="The server over time",
        reading="What the target and its exporters published, read about once a second while load was sent.",
        summary=" ".join(_sentence(line) for line in lines) or "Nothing was published.",
        figure=figure,
        data=_data(lines),
        height_px=420 if queues and shares else 300,
    )


def _lines(server: ServerTable) -> list[_Line]:
    found = []
    for kind in _KINDS:
        of_source = server.of_series(kind.series)
        for source, (times_s, values) in of_source.items():
            name = kind.name if len(of_source) == 1 else f"{kind.name}, {source}"
            found.append(_Line(kind, source, name, *_highest(times_s, values)))
    return found


def _highest(times_s: Floats, values: Floats) -> tuple[Floats, Floats]:
    """At most _MOST points: of each stretch the highest value, at the stretch's end."""
    size = math.ceil(len(values) / _MOST)
    starts = np.arange(0, len(values), size)
    ends = np.minimum(starts + size, len(values)) - 1
    return times_s[ends], np.maximum.reduceat(values, starts)


def _interrupted(times_s: Floats, values: Floats) -> tuple[Floats, Floats]:
    """The points with a gap wherever nothing was read for long: between levels, or while the source was silent."""
    apart_s = np.diff(times_s)
    if not len(apart_s):
        return times_s, values
    after = np.flatnonzero(apart_s > _SILENT * np.median(apart_s)) + 1
    return np.insert(times_s, after, times_s[after - 1]), np.insert(values, after, np.nan)


def _panels(lines: Sequence[_Line]) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
    """The heights of the two panels, 0..1; None for one that has no line."""
    panels = {line.kind.panel for line in lines}
    if panels == {1, 2}:
        return (0.56, 1.0), (0.0, 0.4)
    return ((0.0, 1.0), None) if panels != {2} else (None, (0.0, 1.0))


def _name_panel(figure: go.Figure, text: str, top: float) -> None:
    """Names the lower panel as `figures.blank` names the upper one: above its axis."""
    figure.add_annotation(
        text=text,
        xref="paper",
        x=0,
        xanchor="left",
        xshift=-36,
        yref="paper",
        y=top,
        yanchor="bottom",
        showarrow=False,
        font={"color": palette.MUTED.light, "size": 12.5},
    )


def _sentence(line: _Line) -> str:
    mean, high = (
        cells.significant(float(value) * line.kind.factor) for value in (line.values.mean(), line.values.max())
    )
    unit = "%" if line.kind.panel == 2 else ""
    return f"{line.name}: mean {mean}{unit}, highest {high}{unit}."


def _data(lines: Sequence[_Line]) -> Table:
    known = [dict(zip(line.times_s.tolist(), (line.values * line.kind.factor).tolist(), strict=True)) for line in lines]
    times = sorted({time_s for values in known for time_s in values})
    return Table(
        "The server over time",
        (Column("time", "s"), *(Column(line.name, "requests" if line.kind.panel == 1 else "%") for line in lines)),
        tuple((time_s, *(values.get(time_s) for values in known)) for time_s in times),
    )
