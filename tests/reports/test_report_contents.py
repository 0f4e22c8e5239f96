"""Pages built from model values say what the values say, and say so when there are none."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest

from holdfast.model.fleet import InferenceFleet, parse_slo
from holdfast.model.plan import Plan, PlanStatus
from holdfast.model.stages import LoadCurve, Stage, Summary
from holdfast.model.tables import Table
from holdfast.model.timeline import Timeline
from holdfast.reports import contents, palette, tabulate
from holdfast.reports.figures import Chart
from holdfast.reports.page import Page, render

Parse = Callable[[str], Any]
MakeStage = Callable[..., Stage]


def titles(page: Page) -> list[str]:
    return [b.title for section in page.sections for b in section.blocks if isinstance(b, (Table, Chart))]


@pytest.fixture
def measured(fleet: InferenceFleet, curves: tuple[LoadCurve, ...]) -> contents.Measured:
    return contents.Measured(fleet, curves)


def test_the_demo_shows_limits_then_plan_then_failover(
    measured: contents.Measured, plan: Plan, timeline: Timeline
) -> None:
    page = contents.demo_page([measured], [plan], timeline, ["emulated"])
    assert [section.heading for section in page.sections] == [
        "Measured limits: sd21",
        "The plan: sd21",
        "What the plan weighed: sd21",
        "What the checks found: sd21",
        "Failover, as it happened",
    ]


def test_the_demo_leads_with_three_numbers(measured: contents.Measured, plan: Plan, timeline: Timeline) -> None:
    page = contents.demo_page([measured], [plan], timeline, ["emulated"])
    assert [(h.label, h.text, h.unit) for h in page.headlines] == [
        ("A replica of inf2-neuron holds", "1.78", "requests/s"),
        ("Cheapest fleet that holds", "20.67", "USD/h"),
        ("Served", "96.23", "% of requests"),
    ]
    assert "$287.08 per million" in page.headlines[1].explanation


def test_the_demo_of_nothing_is_sentences(plan: Plan, fleet: InferenceFleet, parse: Parse) -> None:
    bare = dataclasses.replace(plan, pools=(), tables={}, findings=(), reasons=(), status=PlanStatus.INFEASIBLE)
    page = contents.demo_page([contents.Measured(fleet, ())], [bare], Timeline(1.0, (), (), ()), [])
    assert page.headlines == ()
    text = parse(render(page)).text
    assert "Nothing has been measured yet" in text
    assert "The plan has no pools." in text
    assert "the timeline has no points" in text


def test_a_run_page_states_the_limit_its_interval_and_the_latency_there(curves: tuple[LoadCurve, ...]) -> None:
    page = contents.run_page(curves[0], parse_slo("p95<0.9s"))
    assert [(headline.text, headline.unit) for headline in page.headlines] == [
        ("1.78", "requests/s"),
        ("1.78 – 1.89", "requests/s"),
        ("0.722", "s"),
    ]
    assert "96% confident" in page.headlines[1].explanation
    assert page.lead == (
        "10 load levels were held, 9 of them valid. p95 was 1.03 s against a bound of 0.90 s at 1.89 requests/s."
    )


def test_a_run_that_was_not_searched_has_stages_and_no_headline(make_stage: MakeStage) -> None:
    page = contents.run_page(LoadCurve("u", (make_stage(1.0),)))
    assert page.headlines == ()
    assert "Stages of u" in titles(page)
    assert "No breaking point was searched for." in page.lead


def test_a_run_without_stages_says_so(parse: Parse) -> None:
    assert "Nothing has been measured yet" in parse(render(contents.run_page(LoadCurve("u")))).text


def test_token_latencies_are_drawn_where_the_slo_bounds_them(make_stage: MakeStage) -> None:
    streamed = Summary(100, 0.1, 0.1, 0.15, 0.2, 0.3, 0.4)
    curve = LoadCurve("u", (make_stage(1.0, ttft=streamed, itl=streamed, tokens_out_per_s=812.0),))
    page = contents.run_page(curve, parse_slo("p95<1s, ttft p95<0.5s"))
    assert "Time to first token against throughput" in titles(page)
    assert "Inter-token latency against throughput" not in titles(page)


def test_a_plan_page_states_cost_replicas_and_proof(plan: Plan) -> None:
    page = contents.plan_page(plan)
    assert [(h.label, h.text) for h in page.headlines] == [
        ("Cheapest fleet that holds", "20.67"),
        ("Replicas", "24"),
        ("Room to a cheaper plan", "0.0"),
    ]
    assert "p95<900ms" in page.lead


def test_a_plan_page_shows_every_table_of_the_plan_and_every_reason(plan: Plan, parse: Parse) -> None:
    page = contents.plan_page(plan)
    assert {"Pools", "Why, and on what evidence", "Autoscaling", "What other mixes cost", "Findings"} <= set(
        titles(page)
    )
    text = parse(render(page)).text
    for reason in (*plan.reasons, *(pool.reason for pool in plan.pools)):
        assert reason in text


def test_an_infeasible_plan_says_so_first_and_boasts_no_number(plan: Plan) -> None:
    short = dataclasses.replace(plan, status=PlanStatus.INFEASIBLE, reasons=("3.2 requests/s are missing",))
    page = contents.plan_page(short)
    assert page.sections[0].heading == "No plan holds"
    assert page.headlines == ()
    assert page.lead.startswith("No fleet of these units was found that serves 20 requests/s")


def test_a_long_timeline_says_what_a_point_of_its_figures_spans(timeline: Timeline) -> None:
    fleet = tuple(dataclasses.replace(timeline.fleet[0], t_s=float(t)) for t in range(1, 2501))
    page = contents.timeline_page(Timeline(1.0, (), fleet, ()))
    (span,) = [b for b in page.sections[0].blocks if isinstance(b, str) and b.startswith("Each point")]
    assert span.startswith("Each point of the figures spans 3 s")


def test_a_timeline_is_accounted_for_in_words(timeline: Timeline) -> None:
    section = contents.timeline_section(
        timeline, parse_slo("p95<0.9s, p99<2s"), palette.assign(["inf2-neuron", "g5-triton"])
    )
    assert section.blocks[0] == (
        "Of 5,406 requests offered, 5,202 were served and 204 failed. 92.0% of the intervals kept the SLO’s latency "
        "(p95<900ms). Routing was capacity-optimised at 90–198 s, shaded in the figures."
    )


def test_a_timeline_that_served_nothing_has_no_latency_headline(timeline: Timeline) -> None:
    dead = tuple(
        dataclasses.replace(point, served_per_s=0.0, failed=0, p50_s=math.nan, p95_s=math.nan)
        for point in timeline.fleet
    )
    page = contents.timeline_page(Timeline(2.0, (), dead, ()), parse_slo("p95<0.9s"))
    assert page.headlines == ()
    assert "<h3" in render(page)


def test_breaking_points_carry_interval_confidence_cause_and_evidence(curves: tuple[LoadCurve, ...]) -> None:
    table = tabulate.breaking_points([*curves, LoadCurve("new")])
    point = curves[0].breaking_point
    assert point is not None
    assert table.rows[0] == ("inf2-neuron", 1.78, 1.78, 1.78 * 1.06, 96.0, "latency", point.why)
    assert table.rows[2] == ("new", None, None, None, None, None, "not searched")


def test_columns_that_no_stage_has_a_value_for_are_left_out(make_stage: MakeStage) -> None:
    plain = tabulate.stages(LoadCurve("u", (make_stage(1.0, utilization=None),)))
    names = {column.name for column in plain.columns}
    assert names.isdisjoint({"TTFT p95", "ITL p95", "output", "utilisation", "remarks"})
    noted = tabulate.stages(LoadCurve("u", (make_stage(1.0, notes=("short",), invalid="late"),)))
    assert noted.column("remarks") == ("invalid: late; short",)
