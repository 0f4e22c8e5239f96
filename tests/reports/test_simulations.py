"""The page of a simulation: policies on one scale, every event told or counted, what was given shown as it was."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from holdfast.model.pools import RoutingMode
from holdfast.model.simulation import Simulation, Spread
from holdfast.model.timeline import FleetPoint, PoolPoint, Timeline, TimelineEvent
from holdfast.reports import palette, simulation_charts, simulation_tables, simulations
from holdfast.reports.figures import Chart
from holdfast.reports.page import Page, Verbatim, render
from holdfast.simulation import study, sweep
from holdfast.simulation.study import Found
from simulation.small_fleets import LOSS, case


@functools.cache
def found(seeds: int = 1) -> Found:
    asked = study.Asked(("merit-order", "two-mode"), tuple(range(seeds)), None)
    return study.run([case("16min", "lost", events=[LOSS])], asked, sweep.in_turn)


def page() -> Page:
    return simulations.page(found().study, found().timelines)


def charts(of: Page, heading: str) -> list[Chart]:
    section = next(section for section in of.sections if section.heading == heading)
    return [block for block in section.blocks if isinstance(block, Chart)]


@pytest.mark.parametrize("heading", ["Throughput by pool", "Latency", "Weights", "Ready replicas", "Errors"])
def test_each_figure_is_drawn_for_every_policy_on_the_same_axes(heading: str) -> None:
    one, other = charts(page(), heading)
    assert one.title.startswith("merit-order: ") and other.title.startswith("two-mode: ")
    assert not one.wide and not other.wide
    assert one.figure.layout.yaxis.range == other.figure.layout.yaxis.range
    assert one.figure.layout.xaxis.range == other.figure.layout.xaxis.range == (0, 16)


def test_the_highest_of_either_policy_is_within_both_figures() -> None:
    for chart in charts(page(), "Ready replicas"):
        drawn = [y for trace in chart.figure.data for y in trace.y]
        assert chart.figure.layout.yaxis.range[1] > max(drawn)


def test_the_optimum_stands_beside_the_policies() -> None:
    requests, worth = simulation_tables.summary(found().study.simulations[0])
    assert requests.column("policy") == worth.column("policy") == ("merit-order", "two-mode", "optimum")
    assert worth.column("of optimum")[-1] == 100
    assert all(isinstance(share, float) and share < 100 for share in worth.column("of optimum")[:-1])


def test_several_seeds_have_their_intervals_in_tables_of_their_own() -> None:
    tables = simulation_tables.summary(found(3).study.simulations[0])
    assert [table.title.partition(",")[2] for table in tables] == [
        " means over 3 seeds", " means over 3 seeds", " 95 % intervals over 3 seeds", " 95 % intervals over 3 seeds",
    ]  # fmt: skip
    low, high = (float(edge.replace(",", "")) for edge in str(tables[2].column("served")[0]).split("–"))
    mean = tables[0].column("served")[0]
    assert isinstance(mean, float) and low < mean < high


def test_the_page_says_which_of_several_seeds_it_draws() -> None:
    said = simulations.page(found(3).study, found(3).timelines).sections[0].blocks
    assert "The figures over time are of seed 0 alone, the first of 3." in said
    assert not any("alone" in block for block in page().sections[0].blocks if isinstance(block, str))


def test_what_one_seed_in_some_lost_is_not_rounded_away() -> None:
    whole = found(3).study.simulations[0]
    lossy = replace(whole.policies[0], spreads={**whole.policies[0].spreads, "failed": Spread(0.4, (-0.9, 1.7))})
    tables = simulation_tables.summary(replace(whole, policies=(lossy,)))
    assert tables[0].text(0, 2) == "0.4" and tables[2].column("failed")[0] == "-0.9–1.7"


def test_what_was_not_recovered_from_is_infinite_and_said_to_be() -> None:
    whole = found().study.simulations[0]
    never = replace(whole.policies[0].runs[0], events=1, recovery_s=None)
    worth = simulation_tables.summary(replace(whole, policies=(replace(whole.policies[0], runs=(never,)),)))[1]
    assert worth.column("recovery")[0] == float("inf")
    assert any("merit-order had not recovered" in note for note in worth.notes)


def test_the_scenario_stands_as_it_was_given_and_cannot_run_as_html() -> None:
    whole = found().study.simulations[0]
    hostile = replace(found().study, simulations=(replace(whole, text="# <script>alert(1)</script>"),))
    made = simulations.page(hostile, found().timelines)
    assert Verbatim("# <script>alert(1)</script>") in made.sections[-1].blocks
    assert '<pre tabindex="0"># &lt;script&gt;' in render(made)


def test_refused_decisions_are_told() -> None:
    whole = found().study.simulations[0]
    policy = whole.policies[0]
    broken = replace(policy, runs=(replace(policy.runs[0], violations=("at 5 s: no",)),))
    made = simulations.page(replace(found().study, simulations=(replace(whole, policies=(broken,)),)), {})
    assert [section.heading for section in made.sections][1] == "Refused decisions"


def test_of_many_events_the_rare_ones_are_told_and_the_others_counted() -> None:
    flaps = tuple(TimelineEvent(float(t), "", f"mode: {'ab'[t % 2]}") for t in range(100))
    line = Timeline(1.0, (), (), (*flaps, TimelineEvent(200.0, "inf2", "the limit of inf2 is lifted")))
    table = simulation_tables.events(line, "two-mode")
    assert len(table.rows) == simulation_charts.EVENTS_MOST
    assert table.rows[-1][1:] == ("0:03:20", "inf2", "the limit of inf2 is lifted")
    assert table.notes == (f"{101 - len(table.rows)} more are left out, of the kinds that come most often.",)


def test_three_days_of_minutes_under_four_policies_stay_a_page_that_opens() -> None:
    pools = [f"pool-{n}" for n in range(5)]
    line = Timeline(60.0, tuple(_pool_points(pools)), tuple(_fleet_points()), ())
    drawn = simulation_charts.side_by_side(
        dict.fromkeys("abcd", line), palette.assign(pools), case().plan.fleet.spec.slo
    )
    sizes = [len(chart.figure.to_json()) for _, _, each in drawn for chart in each]
    assert sum(sizes) < 3_000_000


def _pool_points(pools: list[str]) -> Iterator[PoolPoint]:
    for minute in range(1, 4321):
        for number, pool in enumerate(pools):
            yield PoolPoint(60.0 * minute, pool, minute % 97, 0, 20, minute / 7 + number, minute % 3, 0.123, 0.456)


def _fleet_points() -> Iterator[FleetPoint]:
    for minute in range(1, 4321):
        yield FleetPoint(60.0 * minute, RoutingMode.COST_OPTIMIZED, 400.0, minute / 7, minute % 3, 0.123, 0.456)


def test_several_scenarios_are_sections_of_one_page() -> None:
    whole = found().study.simulations[0]
    other: Simulation = replace(whole, scenario="other")
    made = simulations.page(replace(found().study, simulations=(whole, other)), found().timelines)
    assert (
        made.sections[0].heading == "All side by side"
        and made.sections[1].heading.startswith("lost: ")
        and made.sections[-1].heading.startswith("other: ")
    )
    assert not made.headlines
    assert json.dumps([section.heading for section in made.sections]).count("other: ") == 2
