"""The server's own series beside the load curve."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from holdfast.model.server import Point, ServerTable
from holdfast.model.stages import LoadCurve, Stage
from holdfast.reports import contents, palette, tabulate
from holdfast.reports.figures import Chart
from holdfast.reports.page import render
from holdfast.reports.server_chart import server_chart


def read(source: str = "target", seconds: int = 30, **series: float) -> list[Point]:
    """The same values every second, a little more each time."""
    return [
        Point(float(t), source, name, value * (1 + t / 100)) for t in range(seconds) for name, value in series.items()
    ]


def line(chart: Chart, name: str) -> Any:
    (trace,) = [trace for trace in chart.figure.data if trace.name == name]
    return trace


def test_queues_are_drawn_above_and_shares_below_in_per_cent() -> None:
    chart = server_chart(ServerTable.of(read(waiting=10, running=4, kv_usage=0.5, utilization=0.6, power_w=100)))
    assert [trace.name for trace in chart.figure.data] == ["waiting", "running", "KV cache in use", "utilisation"]
    assert line(chart, "waiting").yaxis == "y"
    assert line(chart, "KV cache in use").yaxis == "y2"
    assert line(chart, "utilisation").y[0] == 60.0
    layout = chart.figure.layout
    assert layout.yaxis2.domain[1] < layout.yaxis.domain[0]


@pytest.mark.parametrize(("points", "axis"), [(read(waiting=3), "yaxis"), (read(utilization=0.5), "yaxis2")])
def test_one_panel_takes_the_whole_height(points: list[Point], axis: str) -> None:
    assert tuple(server_chart(ServerTable.of(points)).figure.layout[axis].domain) == (0.0, 1.0)


def test_several_sources_of_one_series_are_told_apart() -> None:
    chart = server_chart(ServerTable.of(read("a", utilization=0.5) + read("b", utilization=0.7)))
    assert line(chart, "utilisation, a").line.dash != line(chart, "utilisation, b").line.dash


def test_a_long_run_is_thinned_to_its_highest_values() -> None:
    points = read(seconds=5000, waiting=1.0)
    points[1234] = Point(1234.0, "target", "waiting", 777.0)
    trace = line(server_chart(ServerTable.of(points)), "waiting")
    assert len(trace.x) <= 601
    assert max(trace.y) == 777.0


def test_a_line_is_interrupted_where_nothing_was_read() -> None:
    later = [Point(point.time_s + 100, "target", "waiting", 1.0) for point in read(waiting=1.0)]
    trace = line(server_chart(ServerTable.of(read(waiting=1.0) + later)), "waiting")
    assert list(trace.y).count(None) == 1


def test_every_colour_has_a_partner_for_the_dark() -> None:
    chart = server_chart(ServerTable.of(read(waiting=1, running=1, kv_usage=0.1, utilization=0.1)))
    shades = palette.light_to_dark()
    assert all(trace.line.color in shades for trace in chart.figure.data)
    assert all(note.font.color in shades for note in chart.figure.layout.annotations)


def test_a_run_with_series_has_the_chart_and_one_without_has_not(make_stage: Callable[..., Stage]) -> None:
    curve = LoadCurve("u", (make_stage(1.0),))
    assert "The server over time" in render(contents.run_page(curve, server=ServerTable.of(read(waiting=1))))
    assert "The server over time" not in render(contents.run_page(curve, server=ServerTable.of(read(power_w=1))))
    assert "The server over time" not in render(contents.run_page(curve))


def test_a_stage_shows_its_queue_and_its_cache(make_stage: Callable[..., Stage]) -> None:
    told = make_stage(1.0, server={"waiting_mean": 2.25, "waiting_max": 9.0, "kv_usage_max": 0.5})
    table = tabulate.stages(LoadCurve("u", (told, make_stage(2.0))))
    assert table.column("queue mean") == (2.25, None)
    assert table.column("queue max") == (9.0, None)
    assert table.column("KV cache max") == (50.0, None)
    assert "prefix hits" not in [column.name for column in table.columns]


def test_the_summary_says_mean_and_highest() -> None:
    chart = server_chart(ServerTable.of([Point(0, "t", "kv_usage", 0.2), Point(1, "t", "kv_usage", 0.4)]))
    assert chart.summary == "KV cache in use: mean 30%, highest 40%."
