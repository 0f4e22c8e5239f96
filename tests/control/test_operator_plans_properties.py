"""What holds of settled plans whatever happens."""

from __future__ import annotations

import copy
import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from control.planned_fleet import PlannedFleet
from holdfast.cli import known
from holdfast.cli.known import Circumstances
from holdfast.control.operator.plans import plan_inputs
from holdfast.control.operator.plans.plan_inputs import beyond, wanted_per_s
from holdfast.control.operator.plans.settled import Obstacle
from holdfast.model import document
from holdfast.model.document import Declared
from holdfast.model.plan import Plan

EXAMPLE = Path(__file__).parents[2] / "examples" / "llama-3.1-8b" / "fleet.yaml"
RATES = st.floats(0.5, 40.0)
BOUNDS = st.floats(0.0, 1.0)


@given(declared=RATES, rates=st.lists(st.none() | RATES, max_size=40), bound=BOUNDS)
def test_the_planned_rate_moves_only_beyond_the_bound_and_only_down_to_the_declared(
    declared: float, rates: list[float | None], bound: float
) -> None:
    planned = declared
    for highest in rates:
        wanted = wanted_per_s(declared, planned, highest, bound)
        assert wanted >= declared
        assert wanted == wanted_per_s(declared, wanted, highest, bound)
        if wanted != planned:
            assert beyond(planned, wanted, bound)
            assert wanted in (declared, highest)
        if highest is not None:
            assert not beyond(wanted, max(wanted, highest), bound)
        planned = wanted


@given(declared=RATES, low=st.floats(1.001, 3.0), sway=st.lists(st.floats(0.0, 1.0), max_size=40), bound=BOUNDS)
def test_a_rate_that_sways_within_the_bound_is_planned_for_at_most_once(
    declared: float, low: float, sway: list[float], bound: float
) -> None:
    lowest = declared * low
    planned, changes = declared, 0
    for part in sway:
        wanted = wanted_per_s(declared, planned, lowest * (1 + bound * part * 0.999), bound)
        changes += wanted != planned
        planned = wanted
    assert changes <= 1


EVENTS = st.one_of(
    st.tuples(st.just("demand"), st.sampled_from(["4/s", "10/s", "16/s", "900/s"])),
    st.tuples(st.just("approval"), st.sampled_from(["automatic", "manual"])),
    st.tuples(st.just("dwell"), st.sampled_from(["5s", "60s"])),
    st.tuples(st.just("rate"), st.none() | RATES),
    st.tuples(st.just("price"), st.sampled_from([0.5, 1.0, 1.05, 1.2])),
    st.tuples(st.just("limit"), st.sampled_from([3.0, 4.0, 4.1])),
    st.tuples(st.just("refused"), st.booleans()),
    st.tuples(st.just("fails"), st.booleans()),
    st.tuples(st.just("restart"), st.none()),
    st.tuples(st.just("approve"), st.none()),
    st.tuples(st.just("planning"), st.sampled_from(["auto", "given"])),
    st.tuples(st.just("garbage"), st.none()),
)


def happen(fleet: PlannedFleet, what: str, value: Any) -> None:
    match what:
        case "demand":
            fleet.spec["demand"] = {"rate": value}
        case "approval" | "planning":
            fleet.spec[what] = value
        case "dwell":
            fleet.spec["routing"] = {"dwell": value}
        case "rate":
            fleet.highest_per_s = value
        case "price":
            fleet.prices["cheap on-demand"] = value
        case "limit":
            fleet.measure(str(value), cheap=value)
        case "refused":
            fleet.spec["units"][0]["minReplicas"] = 99 if value else 1
        case "fails":
            fleet.fails = value
        case "restart":
            fleet.restart()
        case "approve":
            proposal = fleet.settled().proposal
            if proposal is not None:
                fleet.approve(proposal.id)
        case "garbage" if fleet.spec.get("planning") == "given":
            fleet.give("{}")


@settings(max_examples=60)
@given(events=st.lists(EVENTS, max_size=12))
@example(events=[("refused", True), ("planning", "given"), ("garbage", None)])
@example(events=[("approval", "manual"), ("planning", "given"), ("garbage", None), ("planning", "auto")])
def test_what_runs_is_never_torn_down_and_a_restart_settles_the_same(events: list[tuple[str, Any]]) -> None:
    fleet = PlannedFleet()
    fleet.look()
    for what, value in events:
        happen(fleet, what, value)
        fleet.now_s += 100
        settled = fleet.look()
        assert settled.plan is not None
        assert settled.obstacle is not Obstacle.PLANNING
        assert (settled.proposal is not None) == (settled.obstacle is Obstacle.WAITS)
        again = copy.copy(fleet)
        again.restart()
        found = again.look()
        assert (found.plan, found.proposal) == (settled.plan, settled.proposal)
        # Who starts anew tries anew: what stands in the way may be told by another sentence.
        assert (found.obstacle is None) == (settled.obstacle is None)


NOISE = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@given(
    data=st.none() | st.dictionaries(st.sampled_from(["plan.json", "measurements.csv", "x"]), st.text(max_size=20)),
    notes=st.none() | st.dictionaries(st.sampled_from(["holdfast.dev/inputs", "holdfast.dev/plan"]), st.text()),
    spec=NOISE,
    name=st.sampled_from(["sd21-plan", "sd21-proposal", "sd21-measurements", "sd21-last-plan"]),
)
def test_nonsense_in_the_cluster_is_an_answer(data: object, notes: object, spec: Any, name: str) -> None:
    fleet = PlannedFleet()
    fleet.config[name] = {"metadata": {"name": name, "annotations": notes}, "data": data}
    assert fleet.look().plan is not None
    fleet.fleet["spec"] = spec
    assert fleet.settled().obstacle is Obstacle.REFUSED


def plan_of(declared: Declared) -> Plan:
    circumstances = Circumstances(declared, (), False, False, datetime.date(2026, 11, 21))
    return known.from_runs(circumstances, ()).plan()


@pytest.mark.parametrize(
    "change",
    [
        {"routing": {"dwell": "5s", "policy": "round-robin"}},
        {"dataPlane": "gateway-api"},
        {"cluster": {"name": "other", "nodes": "node-groups"}},
        {"planning": "given", "approval": "manual", "replanBound": "1%"},
    ],
    ids=str,
)
def test_planning_indeed_reads_nothing_of_what_makes_no_plan_due(change: dict[str, object]) -> None:
    declared = document.read_declared(EXAMPLE.read_text(encoding="utf-8"), where=str(EXAMPLE))
    content = document.resource(declared)
    for unit in content["spec"]["units"]:
        unit |= {"image": "other", "endpoint": "http://other"}
    other = document.declared_object(content | {"spec": content["spec"] | change})
    assert plan_inputs.parts(other) == plan_inputs.parts(declared)
    assert plan_of(other).pools == plan_of(declared).pools
