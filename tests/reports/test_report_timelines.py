"""Timeline figures: marks, shading, gaps, totals, and long timelines made short."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.fleet import parse_slo
from holdfast.model.pools import RoutingMode
from holdfast.model.timeline import FleetPoint, PoolPoint, Timeline, TimelineEvent
from holdfast.reports import palette, timelines
from holdfast.reports.frames import Frame, TimeAxis
from holdfast.reports.thinning import pools_of, thin
from holdfast.reports.totals import TimelineTotals

COST, CAPACITY = RoutingMode.COST_OPTIMIZED, RoutingMode.CAPACITY_OPTIMIZED


def framed(timeline: Timeline) -> Frame:
    return Frame.of(timeline, palette.assign(point.pool for point in timeline.pools))


def charts_of(timeline: Timeline) -> list[Any]:
    frame = framed(timeline)
    return [
        timelines.throughput_chart(frame),
        timelines.weights_chart(frame),
        timelines.replicas_chart(frame),
        timelines.latency_chart(frame, parse_slo("p95<0.9s")),
        timelines.errors_chart(frame),
    ]


def flat(steps: int, interval_s: float = 1.0, **changed: Any) -> Timeline:
    values: dict[str, Any] = {"offered_per_s": 10.0, "served_per_s": 10.0, "failed": 0, "p50_s": 0.1, "p95_s": 0.2}
    times = [interval_s * step for step in range(1, steps + 1)]
    fleet = tuple(FleetPoint(t_s=t, mode=COST, **(values | changed)) for t in times)
    pools = tuple(PoolPoint(t, "a", 2, 0, 100, 10.0, 0, 0.1, 0.2) for t in times)
    return Timeline(interval_s, pools, fleet, ())


def test_every_figure_marks_the_events_and_shades_the_mode(timeline: Timeline) -> None:
    for chart in charts_of(timeline):
        shapes = chart.figure.layout.shapes
        assert [shape.x0 for shape in shapes if shape.type == "line"] == [90, 92, 180, 200]
        assert [(shape.x0, shape.x1) for shape in shapes if shape.type == "rect"] == [(90, 198)]
        assert [note.text for note in chart.figure.layout.annotations] == ["1–2", "3", "4"]


def test_every_figure_has_the_same_time_axis(timeline: Timeline) -> None:
    assert {chart.figure.layout.xaxis.range for chart in charts_of(timeline)} == {(0, 300.0)}


@pytest.mark.parametrize(("end_s", "unit", "end"), [(600, "s", 600), (660, "min", 11), (14_400, "h", 4)])
def test_the_time_axis_has_a_unit_that_suits_its_length(end_s: int, unit: str, end: float) -> None:
    axis = TimeAxis.of(flat(steps=10, interval_s=end_s / 10))
    assert (axis.unit, axis.end) == (unit, end)


def test_a_pool_that_served_nothing_has_no_latency_but_a_row(timeline: Timeline) -> None:
    silent = dataclasses.replace(timeline.fleet[0], p50_s=math.nan, p95_s=math.nan)
    chart = timelines.latency_chart(framed(dataclasses.replace(timeline, fleet=(silent, *timeline.fleet[1:]))), None)
    assert chart.figure.data[0].y[0] is None
    assert chart.data.rows[0][0] == silent.t_s
    assert len(chart.data.rows) == len(timeline.fleet)


def test_the_data_of_a_figure_is_the_timeline(timeline: Timeline) -> None:
    table = timelines.throughput_chart(framed(timeline)).data
    assert [column.heading for column in table.columns] == [
        "time [s]",
        "offered [requests/s]",
        "inf2-neuron [requests/s]",
        "g5-triton [requests/s]",
    ]
    assert table.column("offered") == tuple(point.offered_per_s for point in timeline.fleet)
    assert table.column("g5-triton") == tuple(p.served_per_s for p in timeline.pools if p.pool == "g5-triton")


def test_a_pool_that_came_late_is_a_gap_before(timeline: Timeline) -> None:
    late = tuple(p for p in timeline.pools if p.pool == "inf2-neuron" or p.t_s > 4)
    table = timelines.replicas_chart(framed(dataclasses.replace(timeline, pools=late))).data
    assert table.column("g5-triton")[:3] == (None, None, 1)


def test_weights_are_shown_as_shares_whatever_they_sum_to() -> None:
    points = tuple(PoolPoint(1.0, name, 1, 0, weight, 1.0, 0, 0.1, 0.1) for name, weight in [("a", 300), ("b", 100)])
    table = timelines.weights_chart(framed(Timeline(1.0, points, (), ()))).data
    assert table.rows == ((1.0, 75.0, 25.0),)


def test_weights_that_are_all_zero_are_a_gap() -> None:
    points = (PoolPoint(1.0, "a", 0, 0, 0, 0.0, 0, math.nan, math.nan),)
    assert timelines.weights_chart(framed(Timeline(1.0, points, (), ()))).data.rows == ((1.0, None),)


def test_failures_that_no_pool_counted_are_drawn_as_such() -> None:
    chart = timelines.errors_chart(framed(flat(steps=2, failed=3)))
    assert {trace.name: trace.y for trace in chart.figure.data} == {"a": (0, 0), "no pool": (3, 3)}
    assert "6 requests failed" in chart.summary


def test_totals_add_up(timeline: Timeline) -> None:
    totals = TimelineTotals.of(timeline, parse_slo("p95<0.9s"))
    assert totals.failed == sum(point.failed for point in timeline.fleet)
    assert totals.offered == pytest.approx(totals.served + totals.failed, rel=0.01)
    assert totals.served_share == pytest.approx(totals.served / (totals.served + totals.failed))
    assert totals.slo_share == pytest.approx(138 / 150)
    assert totals.capacity_spans == ((90, 198),)


def test_totals_of_nothing_are_unknown_and_not_perfect() -> None:
    totals = TimelineTotals.of(Timeline(1.0, (), (), ()), parse_slo("p95<1s"))
    assert math.isnan(totals.served_share)
    assert math.isnan(totals.slo_share)


def test_a_short_timeline_is_not_thinned(timeline: Timeline) -> None:
    assert thin(timeline) is timeline


@given(st.integers(1, 400), st.integers(1, 60))
def test_thinning_keeps_failures_and_requests(steps: int, most: int) -> None:
    long = flat(steps, failed=2)
    short = thin(long, most)
    assert len(short.fleet) <= most
    assert all(len(points) <= most for points in pools_of(short).values())
    assert sum(point.failed for point in short.fleet) == 2 * steps
    assert short.fleet[-1].t_s == long.fleet[-1].t_s
    assert {point.served_per_s for point in short.fleet} == {10.0}


def test_thinning_keeps_the_worst_moment(timeline: Timeline) -> None:
    short = thin(timeline, 10)
    assert max(p.p95_s for p in short.fleet) == max(p.p95_s for p in timeline.fleet)
    assert min(p.ready for p in short.pools) == 0
    assert CAPACITY in {p.mode for p in short.fleet}
    assert all(not math.isnan(p.p95_s) for p in short.pools if p.pool == "g5-triton")


def test_events_in_a_crowd_share_a_label() -> None:
    crowd = tuple(TimelineEvent(t_s, "a", "x") for t_s in (10.0, 10.5, 11.0, 60.0))
    figure = timelines.replicas_chart(framed(dataclasses.replace(flat(100), events=crowd))).figure
    assert [(note.x, note.text) for note in figure.layout.annotations] == [(10, "1–3"), (60, "4")]
