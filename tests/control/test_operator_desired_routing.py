"""What a route remembers: written, read again, and unknown where it is nonsense."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.desired_plans import NOW_S, desired_of, of_seven
from holdfast.control.observation import Applied
from holdfast.control.operator.keeping import desired, routing_record
from holdfast.control.operator.keeping.routing_record import ROUTING, Record
from holdfast.kube.kinds import Object
from holdfast.model.fleet import DataPlane
from holdfast.model.pools import RoutingMode
from manifests.conftest import _plan as plan_of

TIMES = st.floats(0, 253402300799)
RECORDS = st.builds(
    Record,
    st.builds(
        Applied, st.dictionaries(st.text(max_size=9), st.integers(0, 999)), st.sampled_from(RoutingMode), TIMES, TIMES
    ),
    st.integers(0, 2**31),
)
WRITTEN = {
    "weights": {"g5": 40, "inf2": 60},
    "mode": "cost-optimized",
    "modeSince": "2026-11-21T20:30:00.25Z",
    "lastShift": "1970-01-01T00:00:00Z",
    "term": 3,
    "stood": True,
}


def with_memory(text: str) -> Object:
    return {"metadata": {"name": "sd21", "annotations": {ROUTING: text}}}


@given(RECORDS)
def test_a_record_that_is_written_and_read_is_the_same_to_the_last_digit(record: Record) -> None:
    assert routing_record.read(with_memory(routing_record.text(record))) == record


def test_it_is_written_for_people_too() -> None:
    applied = Applied({"inf2": 60, "g5": 40}, RoutingMode.COST_OPTIMIZED, 1795293000.25, 0.0)
    assert json.loads(routing_record.text(Record(applied, 3))) == WRITTEN


NONSENSE: list[dict[str, Any]] = [
    {"weights": {"g5": 1000}},
    {"weights": {"g5": -1}},
    {"weights": {"g5": 1.5}},
    {"weights": {"g5": "40"}},
    {"weights": [40, 60]},
    {"mode": "fastest"},
    {"modeSince": "yesterday"},
    {"modeSince": 1795293000},
    {"lastShift": None},
    {"term": -1},
    {"term": "three"},
]


@pytest.mark.parametrize("broken", NONSENSE, ids=json.dumps)
def test_nonsense_is_not_known(broken: dict[str, Any]) -> None:
    assert routing_record.read(with_memory(json.dumps(WRITTEN))) is not None
    assert routing_record.read(with_memory(json.dumps(WRITTEN | broken))) is None


@pytest.mark.parametrize("missing", WRITTEN)
def test_without_one_of_its_parts_it_is_not_known(missing: str) -> None:
    rest = {key: value for key, value in WRITTEN.items() if key != missing}
    assert routing_record.read(with_memory(json.dumps(rest))) is None


@given(st.text())
def test_any_text_is_read_or_not_known(text: str) -> None:
    assert routing_record.read(with_memory(text)) is None


def test_what_a_later_version_adds_is_passed_over() -> None:
    assert routing_record.read(with_memory(json.dumps(WRITTEN | {"epoch": 7}))) is not None


def test_there_is_no_memory_without_a_route() -> None:
    assert routing_record.read(None) is None
    assert routing_record.read({"metadata": {"name": "sd21"}}) is None


PLANES = [DataPlane.ALB, DataPlane.GATEWAY_API]


@pytest.mark.parametrize("plane", PLANES)
def test_a_fleet_without_a_route_begins_with_the_weights_of_its_plan(plane: DataPlane) -> None:
    wanted = desired_of(plan_of(data_plane=plane))
    record = desired.in_force(wanted, None, NOW_S)
    assert record == Record(
        Applied({"inf2-neuron": 60, "g5-triton": 40}, RoutingMode.COST_OPTIMIZED, 0.0, 0.0), 0, stood=False
    )


@pytest.mark.parametrize("plane", PLANES)
@given(weights=st.lists(st.integers(0, 142), min_size=7, max_size=7))
def test_a_route_that_has_lost_its_memory_keeps_its_weights_and_is_failed_over(
    plane: DataPlane, weights: list[int]
) -> None:
    wanted = WANTED_OF_SEVEN[plane]
    given_weights = {f"unit-{n}": weight for n, weight in enumerate(weights)}
    made = desired.route(wanted, Record(Applied(given_weights, RoutingMode.COST_OPTIMIZED, 1.0, 1.0), 4))
    assert desired.in_force(wanted, made, NOW_S).applied.weights == given_weights
    made["metadata"]["annotations"][ROUTING] = "lost"
    found = desired.in_force(wanted, made, NOW_S).applied
    assert (found.mode, found.mode_since_s, found.last_shift_s) == (RoutingMode.CAPACITY_OPTIMIZED, NOW_S, NOW_S)
    if any(weights):
        again = desired.route(wanted, Record(Applied(found.weights, RoutingMode.COST_OPTIMIZED, 1.0, 1.0), 4))
        assert routing_record.weights_of(again, wanted.placed) == routing_record.weights_of(made, wanted.placed)
        assert sum(found.weights.values()) == sum(weights)


WANTED_OF_SEVEN = {plane: desired_of(of_seven(plane)) for plane in PLANES}


@pytest.mark.parametrize("action", ["", "{}", "null", '{"forwardConfig": {"targetGroups": [{"weight": 3}]}}'])
def test_a_route_without_readable_weights_has_those_of_the_plan(action: str) -> None:
    wanted = desired_of(plan_of())
    made = desired.route(wanted, desired.in_force(wanted, None, NOW_S))
    made["metadata"]["annotations"] = {"alb.ingress.kubernetes.io/actions.weighted-pools": action}
    assert desired.in_force(wanted, made, NOW_S).applied.weights == {"inf2-neuron": 60, "g5-triton": 40}
