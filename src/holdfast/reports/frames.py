"""The common time axis of a timeline's figures, with the marks that each of them carries.

A numbered line stands for an event; the background is shaded while routing was capacity-optimised.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from holdfast.model.tables import Cell, Column, Table
from holdfast.model.timeline import FleetPoint, PoolPoint, Timeline
from holdfast.reports import figures, palette
from holdfast.reports.palette import Styles
from holdfast.reports.thinning import pools_of
from holdfast.reports.totals import capacity_spans

LABELS_APART = 0.035
"""Marks nearer than this share of the time axis are labelled as one, or their numbers would overlap."""
LINES_APART = 0.1
"""Of that: nearer marks are one line, or the lines would hide the figure."""


@dataclass(frozen=True)
class TimeAxis:
    """Seconds as the axis shows them: divided by `seconds`, in `unit`."""

    seconds: float
    unit: str
    end: float

    @classmethod
    def of(cls, timeline: Timeline) -> TimeAxis:
        """The axis from 0 to the last point of the timeline."""
        ends_s = [point.t_s for point in timeline.fleet] + [point.t_s for point in timeline.pools]
        return cls.spanning(max(ends_s, default=timeline.interval_s))

    @classmethod
    def spanning(cls, end_s: float) -> TimeAxis:
        """Seconds up to 10 minutes, then minutes up to 3 hours, then hours."""
        seconds, unit = (1.0, "s") if end_s <= 600 else (60.0, "min") if end_s <= 10_800 else (3600.0, "h")
        return cls(seconds, unit, end_s / seconds)

    def at(self, times_s: Sequence[float]) -> list[float | None]:
        return figures.points([time_s / self.seconds for time_s in times_s])


@dataclass(frozen=True)
class FleetColumn:
    """A column of a timeline's table that is about the whole fleet."""

    column: Column
    value: Callable[[FleetPoint], Cell]


@dataclass(frozen=True)
class Frame:
    """What all figures of one timeline share. apart: of labels, as LABELS_APART; more where figures are narrow."""

    timeline: Timeline
    styles: Styles
    axis: TimeAxis
    pools: dict[str, list[PoolPoint]]
    apart: float = LABELS_APART

    @classmethod
    def of(cls, timeline: Timeline, styles: Styles, apart: float = LABELS_APART) -> Frame:
        return cls(timeline, styles, TimeAxis.of(timeline), pools_of(timeline), apart)

    def figure(self, y_title: str) -> go.Figure:
        """An empty figure with the time axis and the marks."""
        figure = figures.blank(f"time since start [{self.axis.unit}]", y_title)
        figure.update_layout(
            xaxis={"range": [0, self.axis.end], "nticks": 10, "hoverformat": ".4~g"},
            hovermode="x unified",
            yaxis={"rangemode": "tozero", "nticks": 6},
            margin={"t": figures.TOP_PX + (14 if self.timeline.events else 0)},
        )
        self._shade(figure)
        self._mark(figure)
        return figure

    def line(self, times_s: Sequence[float], values: Sequence[float | None], **style: Any) -> go.Scatter:
        return go.Scatter(x=self.axis.at(times_s), y=figures.points(values), mode="lines", **style)

    def _shade(self, figure: go.Figure) -> None:
        for start_s, end_s in capacity_spans(self.timeline):
            figure.add_vrect(
                x0=start_s / self.axis.seconds,
                x1=end_s / self.axis.seconds,
                fillcolor=palette.SHADE.light,
                line_width=0,
                layer="below",
            )

    def _mark(self, figure: go.Figure) -> None:
        drawn = -math.inf
        for x in sorted(event.t_s / self.axis.seconds for event in self.timeline.events):
            if x - drawn < LINES_APART * self.apart * self.axis.end:
                continue
            drawn = x
            figure.add_vline(x=x, line={"color": palette.MUTED.light, "width": 1, "dash": "dot"}, layer="below")
        for x, numbers in self._labels():
            figure.add_annotation(
                x=x,
                y=1,
                yref="paper",
                yanchor="bottom",
                text=numbers,
                showarrow=False,
                font={"color": palette.MUTED.light, "size": 11},
            )

    def _labels(self) -> Iterator[tuple[float, str]]:
        """Where to write which event numbers: `3`, or `3–5` for a crowd, at its first."""
        crowd: list[tuple[int, float]] = []
        for number, event in sorted(enumerate(self.timeline.events, 1), key=lambda item: item[1].t_s):
            x = event.t_s / self.axis.seconds
            if crowd and x - crowd[0][1] > self.apart * self.axis.end:
                yield _crowd_label(crowd)
                crowd = []
            crowd.append((number, x))
        if crowd:
            yield _crowd_label(crowd)

    def per_pool(
        self, title: str, unit: str, value: Callable[[PoolPoint], Cell], fleet: Sequence[FleetColumn]
    ) -> Table:
        """A table with a row per time: the fleet's columns first, then one column per pool."""
        known = {(point.t_s, point.pool): value(point) for point in self.timeline.pools}
        whole = {point.t_s: point for point in self.timeline.fleet}
        times = sorted({*whole, *(t_s for t_s, _ in known)})
        return Table(
            title,
            columns=(
                Column("time", "s"),
                *(column.column for column in fleet),
                *(Column(name, unit) for name in self.pools),
            ),
            rows=tuple(
                (
                    t_s,
                    *(column.value(whole[t_s]) if t_s in whole else None for column in fleet),
                    *(known.get((t_s, name)) for name in self.pools),
                )
                for t_s in times
            ),
        )


def _crowd_label(crowd: Sequence[tuple[int, float]]) -> tuple[float, str]:
    numbers = [number for number, _ in crowd]
    text = str(numbers[0]) if len(numbers) == 1 else f"{min(numbers)}–{max(numbers)}"
    return crowd[0][1], text
