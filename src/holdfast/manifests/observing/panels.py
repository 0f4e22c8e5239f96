"""Grafana dashboards as values: panels in rows of a grid of 24 columns (schema 39, Grafana 10.4 and later)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.manifests.manifest import Object

_COLUMNS, _HEIGHT = 24, 8
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True)
class Line:
    """A query and the legend of its series, in Grafana's braces."""

    query: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """One graph. unit: Grafana's id of it, e.g. `s`, `reqps`, `percentunit`; text: what a reader should know."""

    title: str
    unit: str
    lines: tuple[Line, ...]
    text: str = ""


@dataclass(frozen=True)
class Row:
    """A heading and the panels below it, at most four side by side."""

    title: str
    panels: tuple[Panel, ...]


def dashboard(title: str, uid: str, tags: Sequence[str], rows: Sequence[Row]) -> Object:
    """The dashboard's model, as Grafana imports it. uid: at most 40 characters."""
    found: list[Object] = []
    top = 0
    for row in rows:
        found.append(_heading(row.title, top, len(found) + 1))
        width = _COLUMNS // len(row.panels)
        for index, panel in enumerate(row.panels):
            place = {"x": index * width, "y": top + 1, "w": width, "h": _HEIGHT}
            found.append(_panel(panel, place, len(found) + 1))
        top += 1 + _HEIGHT
    return {
        "title": title,
        "uid": uid,
        "tags": list(tags),
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"}]
        },
        "panels": found,
    }


def _heading(title: str, top: int, number: int) -> Object:
    place = {"x": 0, "y": top, "w": _COLUMNS, "h": 1}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _panel(panel: Panel, place: Object, number: int) -> Object:
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.text,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _SOURCE,
                "expr": line.query,
                "legendFormat": line.legend,
            }
            for index, line in enumerate(panel.lines)
        ],
    }
