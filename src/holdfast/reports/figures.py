"""A chart is a plotly figure with its caption, its reading for those who cannot see it, and its data.

Figures are drawn in the light shades of `palette` on a transparent ground; the page re-colours them for
dark screens.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import plotly.graph_objects as go

from holdfast.model.tables import Table
from holdfast.reports import cells, palette

LOG_FROM_RATIO = 20
"""Positive values that differ by more than this factor are drawn on a logarithmic axis."""

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"
TOP_PX = 34
"""Space above the plot, for the name of the y axis."""

_LOG_STEPS = (1, 2, 5)


@dataclass(frozen=True)
class Chart:
    """One figure of a report.

    reading: how to read it, shown under the title.
    summary: what it shows, in words, for screen readers.
    data:    what is drawn; offered as CSV.
    height_px: height of the figure; wide: whether it takes the full width of the page.
    """

    title: str
    reading: str
    summary: str
    figure: go.Figure
    data: Table
    height_px: int = 380
    wide: bool = True

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return all(cells.is_gap(cell) for row in self.data.rows for cell in row[1:])


@dataclass(frozen=True)
class Axis:
    """The range of an axis in data values, and whether it is logarithmic."""

    low: float
    high: float
    log: bool = False

    @classmethod
    def over(cls, values: Iterable[float | None]) -> Self:
        """An axis that shows all of `values` (gaps ignored): from 0, or logarithmic where they span far."""
        known = [value for value in values if value is not None and math.isfinite(value)]
        positive = [value for value in known if value > 0]
        if not positive:
            return cls(0.0, 1.0)
        low, high = min(positive), max(positive)
        if high / low > LOG_FROM_RATIO:
            return cls(low / 1.3, high * 1.3, log=True)
        return cls(0.0, high * 1.08)

    def layout(self) -> dict[str, Any]:
        """The axis as plotly wants it; logarithmic axes are labelled at 1, 2 and 5 of each decade."""
        if not self.log:
            return {"range": [self.low, self.high], "nticks": 7}
        ticks = self._ticks()
        return {
            "type": "log",
            "range": [math.log10(self.low), math.log10(self.high)],
            "tickvals": ticks,
            "ticktext": [cells.significant(tick) for tick in ticks],
        }

    def _ticks(self) -> list[float]:
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        # float("5e-2") is exact where 5 * 10.0**-2 is not, and the tick would be labelled so.
        steps = [float(f"{step}e{decade}") for decade in decades for step in _LOG_STEPS]
        return [step for step in steps if self.low <= step <= self.high]


def blank(x_title: str, y_title: str) -> go.Figure:
    """An empty figure in the style of the report. Titles are `name [unit]`; the y title lies above its axis."""
    axis = {
        "gridcolor": palette.RULE.light,
        "linecolor": palette.MUTED.light,
        "zeroline": False,
        "tickfont": {"color": palette.MUTED.light},
        "title": {"font": {"size": 12.5, "color": palette.MUTED.light}, "standoff": 10},
        "automargin": True,
    }
    return go.Figure(
        layout={
            "template": "none",
            "autosize": True,
            "font": {"family": FONT, "size": 12.5, "color": palette.INK.light},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 40, "r": 14, "t": TOP_PX, "b": 40},
            "xaxis": axis | {"showgrid": False, "showline": True, "ticks": "outside", "ticklen": 4},
            "yaxis": axis,
            "legend": {
                "orientation": "h",
                "xref": "container",
                "x": 0,
                "yref": "container",
                "y": 0,
                "yanchor": "bottom",
            },
            "hoverlabel": {
                "font": {"family": FONT, "size": 12.5, "color": palette.INK.light},
                "bgcolor": palette.PAPER.light,
                "bordercolor": palette.MUTED.light,
            },
            "title": _above_axis(y_title),
        }
    ).update_xaxes(title_text=x_title)


def _above_axis(title: str) -> dict[str, Any]:
    return {
        "text": title,
        "font": {"size": 12.5, "color": palette.MUTED.light},
        "xref": "container",
        "x": 0,
        "xanchor": "left",
        "yref": "container",
        "y": 1,
        "yanchor": "top",
        "pad": {"t": 4},
    }


def label(name: str) -> str:
    """A name from outside as figure text; plotly reads its text as HTML."""
    return html.escape(name, quote=False)


def points(values: Sequence[float | int | None]) -> list[float | None]:
    """Values as plotly draws them, to 6 significant digits: what is not finite becomes a gap."""
    return [None if value is None or not math.isfinite(value) else float(f"{value:.6g}") for value in values]
