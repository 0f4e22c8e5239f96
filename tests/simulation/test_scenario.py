"""What a scenario says, and what it is told when it says it wrongly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from holdfast.model.errors import InputError
from holdfast.simulation import fleet, loads, material, parameters
from holdfast.simulation.events import Surge
from holdfast.simulation.loads import Load
from simulation import worlds

HEAD = "apiVersion: holdfast.dev/v1alpha1\nkind: Scenario\nmetadata: {name: x}\nspec:\n  duration: 1h\n"
COLD = "  coldStart: {any: {node: 1s, pull: 1s, load: 1s}}\n"
RATE = "  load: {rate: 1/s}\n"


def told(text: str) -> str:
    with pytest.raises(InputError) as raised:
        parameters.scenario_of(text, {}, where="s.yaml")
    return str(raised.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (HEAD + COLD + "  laod: {rate: 1/s}\n", "s.yaml:7: unknown key 'spec.laod'; did you mean 'load'."),
        (HEAD + COLD + RATE + "  events: [{limit: {unti: a, from: 1s}}]\n", "did you mean 'unit'"),
        (HEAD + COLD + "  load: {rate: 5}\n", "the number 5 has no unit"),
        (HEAD + COLD + "  load: {rate: 0/s}\n", "greater than 0"),
        (HEAD + COLD + "  load: {rate: 1/s, wave: {low: 1/s, high: 2/s}}\n", "exactly one of rate, wave"),
        (HEAD + COLD + "  load: {wave: {low: 3/s, high: 2/s}}\n", "from `low` up to `high`"),
        (HEAD + COLD + "  load: {steps: [{at: 5s, rate: 1/s}]}\n", "the first of them 0s"),
        (HEAD + COLD + "  load: {rate: 1/s, arrivals: gamma}\n", "needs a burstiness"),
        (HEAD + RATE, "'spec.coldStart' is missing"),
        (HEAD + COLD + RATE + "  events: [{crash: {at: 21:20}}]\n", 'in quotes like "21:20"'),
        (HEAD + COLD + RATE + "  events: [{}]\n", "exactly one of the keys limit, loss"),
        (HEAD + COLD + RATE + "  events: [{outage: {of: api, from: 5s, to: 5s}}]\n", "ends before it begins"),
        (HEAD + COLD + RATE + "  events: [{limit: {from: 5s}}]\n", "give one of the two"),
        ("[]", "this file holds no Scenario"),
    ],
)
def test_a_wrong_scenario_is_told_in_a_sentence(text: str, sentence: str) -> None:
    assert sentence in told(text)


def test_clock_times_count_from_the_start() -> None:
    read = parameters.scenario_of(HEAD + COLD + RATE + '  events: [{crash: {at: "30:05"}}]\n', {}, where="s.yaml")
    crash = read.spec.events[0].crash
    assert crash is not None
    assert crash.at_s == 30 * 3600 + 5 * 60


def test_the_nearest_cold_start_counts() -> None:
    spec = worlds.scenario(
        coldStart={
            kind: {"node": node, "pull": "1s", "load": "1s"}
            for kind, node in (("any", "1s"), ("triton", "2s"), ("a", "3s"))
        }
    ).spec
    found = [spec.cold_start_of(*names) for names in (("a", "triton"), ("b", "triton"), ("b", "cuda"))]
    assert [start and start.node_s for start in found] == [3, 2, 1]


@pytest.mark.parametrize(
    ("events", "sentence"),
    [
        ([{"loss": {"unit": "aa", "at": "1s"}}], "scenario test, spec.events.0: .* no unit 'aa'; did you mean 'a'"),
        ([{"loss": {"zone": "us-west-2a", "at": "1s"}}], "no zone 'us-west-2a'"),
        ([{"reclaim": {"capacityType": "spot", "at": "1s"}}], "no replicas of spot"),
    ],
)
def test_names_that_the_fleet_does_not_have_are_refused(events: list[object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        fleet.pools(worlds.plan(), worlds.scenario(events=events), {})


def test_a_surge_rises_and_falls_in_straight_lines() -> None:
    surge = Surge.model_validate({"factor": 3, "from": "100s", "to": "200s", "over": "60s"})
    rate = loads.rate_function(Load.model_validate({"rate": "10/s"}), [surge])
    at_s = np.array([0.0, 100.0, 130.0, 160.0, 200.0, 230.0, 260.0])
    assert rate(at_s).tolist() == [10, 10, 20, 30, 30, 20, 10]


def test_a_wave_follows_the_time_of_day() -> None:
    load = Load.model_validate({"wave": {"low": "4/s", "high": "20/s"}})
    assert loads.rate_function(load, (), 12 * 3600.0)(np.zeros(1))[0] == pytest.approx(20)


def test_arrivals_follow_the_rate() -> None:
    load = Load.model_validate({"points": [{"at": "0s", "rate": "0/s"}, {"at": "1000s", "rate": "20/s"}]})
    source = loads.source(load, (), 0.0, duration_s=1000.0, seed=1, trace=None)
    first, second = (len(source.until(t_s)[0]) for t_s in (500.0, 1000.0))
    assert first == pytest.approx(2500, abs=250)
    assert second == pytest.approx(7500, abs=400)


def test_a_trace_is_read_beside_the_scenario(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n0,1,10\n1,1,30\n3,1,20\n")
    (tmp_path / "s.yaml").write_text(HEAD + COLD + "  load: {trace: {file: t.csv, rate: 2/s}}\n")
    read, found = material.read(tmp_path / "s.yaml")
    source = loads.source(read.spec.load, (), 0.0, duration_s=100.0, seed=1, trace=found.trace)
    arrivals_s, work = source.until(100.0)
    assert len(arrivals_s) == pytest.approx(200, abs=3)
    assert work[:3].tolist() == [0.5, 1.5, 1.0]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(HEAD + COLD + RATE + "  supply: {file: none.csv}\n")
    with pytest.raises(InputError, match=r"none\.csv: cannot be read"):
        material.read(tmp_path / "s.yaml")
