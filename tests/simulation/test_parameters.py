"""Parameters of a sweep: every combination once, checked as the documents are, and the plan is left alone."""

from __future__ import annotations

import pytest

from holdfast.model.errors import InputError
from holdfast.simulation import parameters
from holdfast.simulation.parameters import Parameter
from simulation.small_fleets import LOSS, plan, scenario_text

TEXT = scenario_text(events=[LOSS])


def test_settings_are_every_combination_and_the_last_key_changes_fastest() -> None:
    varied = [parameters.parse("spec.load.rate=1/s, 2/s"), parameters.parse("spec.routing.dwell=60s,90s")]
    assert [tuple(setting.values()) for setting in parameters.settings(varied)] == [
        ("1/s", "60s"), ("1/s", "90s"), ("2/s", "60s"), ("2/s", "90s"),
    ]  # fmt: skip
    assert list(parameters.settings([])) == [{}]


def test_a_field_that_the_scenario_leaves_out_can_be_set_and_so_can_one_of_an_event() -> None:
    given = {"spec.dataPlane.delay": "7s", "spec.replica.queue": "3", "spec.events.0.limit.replicas": "1"}
    spec = parameters.scenario_of(TEXT, given, where="s.yaml").spec
    limit = spec.events[0].limit
    assert (spec.data_plane.delay_s, spec.replica.queue, limit and limit.replicas) == (7, 3, 1)


def test_the_routing_is_the_fleet_s_and_the_rest_of_the_plan_stays() -> None:
    changed = parameters.plan_of(plan(), {"spec.routing.dwell": "7s", "spec.load.rate": "1/s"})
    assert changed.fleet.spec.routing.dwell_s == 7
    assert changed.fleet.spec.slo == plan().fleet.spec.slo and changed.pools == plan().pools
    assert parameters.plan_of(plan(), {"spec.load.rate": "1/s"}) is plan()


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("spec.dataPlane.dlay", "5s", "--set spec.dataPlane.dlay: unknown key 'spec.dataPlane.dlay'; did you mean 'd"),
        ("spec.dataPlane.delay", "5", "'spec.dataPlane.delay': the number 5 has no unit"),
        ("spec.dataPlane.delay.x", "5s", "--set spec.dataPlane.delay.x: 'spec.dataPlane.delay': a duration"),
        ("spec.duration.x", "5s", "'x' is a key of '20min', which has none"),
        ("spec.events.3.limit", "5", "--set spec.events.3.limit: '3' is none of 1 entries"),
        ("spec.events.x", "5", "'x' is none of 1 entries"),
        ("spec.load.rate", "nan", "'nan' is not a rate"),
        ("spec.replica.queue", "NaN", "input should be a valid integer (found nan)"),
    ],
)
def test_a_value_that_does_not_fit_is_told_by_its_key(key: str, value: str, sentence: str) -> None:
    with pytest.raises(InputError) as refused:
        parameters.scenario_of(TEXT, {key: value}, where="s.yaml")
    assert sentence in str(refused.value) and "s.yaml" not in str(refused.value)


def test_what_was_wrong_in_the_file_is_told_by_its_line() -> None:
    with pytest.raises(InputError, match=r"s.yaml:\d+: unknown key 'spec.lod'"):
        parameters.scenario_of(TEXT.replace("load:", "lod:", 1), {"spec.replica.queue": "3"}, where="s.yaml")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is not KEY=VALUE"),
        ("spec.x", "is not KEY=VALUE"),
        ("spec.x=", "is not KEY=VALUE"),
        ("spec.x=1,,2", "is not KEY=VALUE"),
        ("dwell=1s", "begins with spec"),
        ("spec.x=1,1", "has a value twice"),
        ("spec.routing.policy=static", "--policy"),
    ],
)
def test_what_names_no_parameter_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parameters.parse(text)


def test_a_key_twice_and_too_many_combinations_are_refused() -> None:
    twice = [Parameter("spec.a", ("1",)), Parameter("spec.a", ("2",))]
    with pytest.raises(InputError, match="given twice"):
        list(parameters.settings(twice))
    many = [Parameter(f"spec.{name}", tuple(map(str, range(101)))) for name in "ab"]
    with pytest.raises(InputError, match="10,201 combinations"):
        list(parameters.settings(many))
