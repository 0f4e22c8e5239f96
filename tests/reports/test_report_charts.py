"""Charts draw the values they are given: gaps as gaps, one colour per unit, axes that show everything."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.fleet import InferenceFleet, parse_slo
from holdfast.model.plan import Plan
from holdfast.model.stages import BreakingPoint, Cause, LoadCurve, Stage, Summary
from holdfast.model.timeline import Timeline
from holdfast.reports import charts, palette, timelines
from holdfast.reports.curves import by_load
from holdfast.reports.figures import LOG_FROM_RATIO, Axis
from holdfast.reports.frames import Frame

MakeStage = Callable[..., Stage]
NOTHING = Summary(0, *[math.nan] * 6)


def traces(chart: Any, name: str) -> list[Any]:
    return [trace for trace in chart.figure.data if trace.name == name]


@given(st.lists(st.floats(1e-6, 1e6), min_size=1))
def test_an_axis_shows_every_value(values: list[float]) -> None:
    axis = Axis.over([*values, None, math.nan, math.inf])
    assert axis.low < min(values)
    assert axis.high > max(values)
    assert axis.log == (max(values) / min(values) > LOG_FROM_RATIO)


@given(st.floats(1e-4, 1e4), st.floats(25, 1e6))
def test_a_logarithmic_axis_is_labelled_at_round_values_within_it(low: float, ratio: float) -> None:
    layout = Axis.over([low, low * ratio]).layout()
    first, last = layout["range"]
    assert len(layout["tickvals"]) >= 3
    assert all(first <= math.log10(tick) <= last for tick in layout["tickvals"])
    assert all(label.strip("0.,e+-")[:1] in "125" for label in layout["ticktext"])


def test_an_axis_of_nothing_is_still_an_axis() -> None:
    assert Axis.over([None, math.nan, 0.0]) == Axis(0.0, 1.0)


def test_p95_is_drawn_against_achieved_throughput(curves: tuple[LoadCurve, ...], fleet: InferenceFleet) -> None:
    curve = curves[0]
    chart = charts.latency_chart(curves, fleet.spec.slo, palette.assign(c.unit for c in curves))
    dotted, solid = traces(chart, curve.unit)
    valid = [stage for stage in by_load(curve) if stage.valid]
    assert solid.x == pytest.approx([stage.achieved_per_s for stage in valid], rel=1e-5)
    assert solid.y == pytest.approx([stage.latency.p95_s for stage in valid], rel=1e-5)
    assert dotted.y == pytest.approx([stage.latency.p50_s for stage in valid], rel=1e-5)


def test_stages_are_joined_in_order_of_load_even_where_throughput_falls(make_stage: MakeStage) -> None:
    saturated = make_stage(4.0, 3.0, achieved_per_s=1.5)
    curve = LoadCurve("u", (make_stage(1.0), saturated, make_stage(2.0)))
    assert [stage.offered_per_s for stage in by_load(curve)] == [1.0, 2.0, 4.0]


def test_the_breaking_point_and_the_bound_are_marked(curves: tuple[LoadCurve, ...], fleet: InferenceFleet) -> None:
    chart = charts.latency_chart(curves, fleet.spec.slo, palette.assign(c.unit for c in curves))
    (mark,) = traces(chart, "inf2-neuron holds 1.78/s")
    assert mark.x == (1.78, 1.78)
    bounds = [trace for trace in chart.figure.data if trace.text and "SLO p95 0.9 s" in trace.text[0]]
    assert [trace.y for trace in bounds] == [(0.9, 0.9)]
    bands = [(shape.x0, shape.x1) for shape in chart.figure.layout.shapes]
    assert bands == [
        pytest.approx((c.breaking_point.low_per_s, c.breaking_point.high_per_s)) for c in curves if c.breaking_point
    ]


def test_a_unit_that_nothing_broke_has_no_band(make_stage: MakeStage) -> None:
    point = BreakingPoint(2.0, 2.0, math.inf, 0.5, Cause.NONE, "nothing broke it")
    curve = LoadCurve("u", (make_stage(1.0), make_stage(2.0)), point)
    chart = charts.latency_chart([curve], None, palette.assign(["u"]))
    assert chart.figure.layout.shapes == ()
    assert len(traces(chart, "u holds 2/s")) == 1


def test_an_invalid_stage_is_drawn_apart_from_the_curve(make_stage: MakeStage) -> None:
    curve = LoadCurve("u", (make_stage(1.0), make_stage(2.0, invalid="the client was late")))
    chart = charts.latency_chart([curve], None, palette.assign(["u"]))
    assert all(trace.x == (1.0,) for trace in traces(chart, "u"))
    (spoilt,) = traces(chart, "invalid stage, not counted")
    assert spoilt.x == (2.0,)
    assert [row[-1] for row in chart.data.rows] == ["", "the client was late"]


def test_a_stage_without_answers_is_a_gap_in_the_line(make_stage: MakeStage) -> None:
    curve = LoadCurve("u", (make_stage(1.0), make_stage(2.0, latency=NOTHING), make_stage(3.0)))
    chart = charts.latency_chart([curve], None, palette.assign(["u"]))
    assert [trace.y[1] for trace in traces(chart, "u")] == [None, None]
    assert [row[4] is None for row in chart.data.rows] == [False, True, False]


def test_latency_that_spans_far_is_drawn_on_a_logarithmic_axis(make_stage: MakeStage) -> None:
    curve = LoadCurve("u", (make_stage(1.0, 0.1), make_stage(2.0, 9.0)))
    figure = charts.latency_chart([curve], parse_slo("p95<0.5s"), palette.assign(["u"])).figure
    assert figure.layout.yaxis.type == "log"
    assert figure.layout.xaxis.type is None


def test_utilisation_is_drawn_in_percent_with_its_ceiling(make_stage: MakeStage) -> None:
    curve = LoadCurve("u", (make_stage(1.0, utilization=0.5), make_stage(2.0, utilization=None)))
    chart = charts.utilization_chart([curve], 0.8, palette.assign(["u"]))
    assert traces(chart, "u")[0].y == (50.0,)
    assert any(trace.y == (80.0, 80.0) for trace in chart.figure.data)
    assert chart.data.rows == (("u", 1.0, 50.0),)


def test_costs_are_sorted_and_a_unit_without_one_is_left_out(plan: Plan) -> None:
    dear, cheap = plan.pools[1], plan.pools[0]
    unknown = dataclasses.replace(dear, unit="other", usd_per_million_requests=math.inf)
    chart = charts.cost_chart([dear, unknown, cheap], palette.assign(["inf2-neuron", "g5-triton", "other"]))
    assert chart.figure.data[0].y == ("inf2-neuron", "g5-triton")
    assert chart.data.rows == tuple((pool.unit, pool.usd_per_million_requests) for pool in (cheap, dear))


def test_a_unit_has_one_colour_in_every_figure(
    curves: tuple[LoadCurve, ...], plan: Plan, timeline: Timeline, fleet: InferenceFleet
) -> None:
    styles = palette.assign(["inf2-neuron", "g5-triton"])
    frame = Frame.of(timeline, styles)
    lines = [
        charts.latency_chart(curves, fleet.spec.slo, styles),
        charts.utilization_chart(curves, None, styles),
        timelines.throughput_chart(frame),
        timelines.weights_chart(frame),
        timelines.replicas_chart(frame),
    ]
    colours = {trace.line.color for chart in lines for trace in traces(chart, "g5-triton")}
    assert colours == {styles["g5-triton"].colour}
    bars = charts.cost_chart(plan.pools, styles).figure.data[0]
    assert dict(zip(bars.y, bars.marker.color, strict=True)) == {name: style.colour for name, style in styles.items()}
