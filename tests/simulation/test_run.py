"""Whole runs on small fleets: what is conserved, what is restored, what a crash changes."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.control.decision import Decision
from holdfast.control.policies import POLICIES
from holdfast.control.pool_states import PoolState
from holdfast.load.traces import Trace
from holdfast.model import document
from holdfast.model.curve import Curve
from holdfast.model.errors import InputError
from holdfast.model.plan import Plan
from holdfast.simulation import fleet, material, supply
from holdfast.simulation.material import Material
from holdfast.simulation.outcome import Outcome
from holdfast.simulation.run import simulate
from simulation import worlds

MERIT = POLICIES["merit-order"]
TWO_LEFT = {"limit": {"unit": "a", "replicas": 2, "from": "0:10", "to": "0:20", "beyond": "drain"}}


def run(plan: Plan, policy: str = "merit-order", seed: int = 1, **spec: Any) -> Outcome:
    return simulate(plan, worlds.scenario(**spec), POLICIES[policy], seed)


@pytest.fixture(scope="module")
def roomy() -> Plan:
    """Three pools that carry 10/s without the largest of them."""
    return worlds.plan(peak="20/s")


@pytest.mark.parametrize("policy", POLICIES)
def test_requests_and_money_are_conserved(roomy: Plan, policy: str) -> None:
    events = worlds.random_losses(3, 0.5, 3)
    outcome = run(roomy, policy, events=events, dataPlane={"retries": 1})
    assert outcome.offered == outcome.served + outcome.failed + outcome.refused + outcome.unfinished
    assert outcome.offered == sum(interval.offered for interval in outcome.intervals)
    assert outcome.served == sum(interval.served for interval in outcome.intervals) == outcome.latencies.sum()
    assert outcome.cost_usd == pytest.approx(sum(outcome.usd.values()))
    assert outcome.cost_usd == pytest.approx(sum(interval.usd for interval in outcome.intervals))
    assert not outcome.violations


@pytest.mark.parametrize("policy", POLICIES)
def test_the_same_seed_gives_the_same_outcome(roomy: Plan, policy: str) -> None:
    events = worlds.random_losses(5, 0.5, 3)
    first, second = (run(roomy, policy, 7, events=events) for _ in range(2))
    assert repr(first) == repr(second)
    assert np.array_equal(first.latencies, second.latencies)
    assert run(roomy, policy, 8, events=events).served != first.served


def test_policies_meet_the_same_load(roomy: Plan) -> None:
    assert len({run(roomy, policy, duration="5min").offered for policy in POLICIES}) == 1


def test_an_undisturbed_fleet_costs_its_replicas_and_loses_nothing(roomy: Plan) -> None:
    outcome = run(roomy)
    assert outcome.cost_usd == pytest.approx(roomy.cost_usd_per_h / 2)
    assert (outcome.lost, outcome.slo_minutes_lost, outcome.recoveries) == (0, 0, ())


def test_an_autoscaler_leaves_the_replicas_that_a_loss_takes_at_the_usual_rate() -> None:
    """Planned for 20/s, two pools have 10 replicas each; at the usual 10/s half survives the loss of the other."""
    plan = worlds.plan(2, demand={"rate": "10/s", "peak": "20/s"})
    outcome = run(plan, "round-robin", rate="1/s")
    assert {point.pool: point.ready for point in outcome.timeline.pools} == {"a": 5, "b": 5}
    assert {point.ready for point in outcome.timeline.pools} == {5}


def test_merit_order_serves_again_within_the_delay_and_two_seconds(roomy: Plan) -> None:
    """The capacity that is left is ready: nothing but the decision and the data plane take time."""
    outcome = run(roomy, events=[TWO_LEFT])
    assert outcome.lost == 0
    restored = [each.restored_s for each in outcome.recoveries]
    assert restored
    assert all(seconds is not None and seconds <= 2 + 5 for seconds in restored)


def test_a_pool_that_is_short_is_not_waited_for() -> None:
    """Nothing is spare, and the load rises: the next pool is asked for what the first cannot have."""
    plan = worlds.plan(2, peak="20/s", survive="none")
    load = {"points": [{"at": "0s", "rate": "10/s"}, {"at": "30min", "rate": "30/s"}]}
    limit = {"limit": {"unit": "a", "share": "100%", "from": "1min"}}
    outcome = simulate(plan, worlds.scenario(load=load, events=[limit]), MERIT, 1)
    ready = {point.pool: point.ready for point in outcome.timeline.pools}
    assert outcome.lost == 0
    assert ready["a"] * 2.0 * 0.8 < 30
    assert ready["b"] > plan.pool("b").replicas


def test_what_is_lost_unannounced_is_retried_and_then_noticed(roomy: Plan) -> None:
    events = [{"loss": {"unit": "a", "share": "50%", "at": "0:10"}}]
    without, with_retry = (run(roomy, events=events, dataPlane={"retries": retries}) for retries in (0, 1))
    assert without.failed > 10 * max(1, with_retry.failed)
    slower = run(roomy, events=events, dataPlane={"retries": 0, "notice": "60s"})
    assert slower.failed > 1.5 * without.failed


def test_a_crash_in_the_middle_of_a_shift_changes_no_decision_after_it(roomy: Plan) -> None:
    crash = {"crash": {"at": "1205s", "for": "60s"}}
    calm, crashed = (run(roomy, duration="40min", events=events) for events in ([TWO_LEFT], [TWO_LEFT, crash]))
    assert calm.lost == crashed.lost == 0
    assert calm.looks > crashed.looks

    def final(outcome: Outcome) -> dict[str, int]:
        return {point.pool: point.weight for point in outcome.timeline.pools[-3:]}

    assert final(calm) == final(crashed)
    assert not crashed.violations


def test_weights_stand_while_the_api_is_away(roomy: Plan) -> None:
    outage = {"outage": {"of": "api", "from": "0:09", "to": "0:15"}}
    outcome = run(roomy, duration="15min", events=[outage, TWO_LEFT])
    weights = [point.weight for point in outcome.timeline.pools if point.pool == "a"]
    assert len(set(weights[9:])) == 1


def test_a_dead_pool_is_left_though_the_rate_is_unknown(roomy: Plan) -> None:
    outage = {"outage": {"of": "metrics", "from": "0:05"}}
    gone = {"limit": {"unit": "a", "replicas": 0, "from": "0:10", "beyond": "drain"}}
    outcome = run(roomy, events=[outage, gone])
    assert [point.weight for point in outcome.timeline.pools if point.pool == "a"][-1] == 0


def test_the_order_of_cost_follows_a_price(roomy: Plan) -> None:
    outcome = run(roomy, duration="40min", events=[{"price": {"unit": "a", "factor": 10, "at": "0:10"}}])
    weights = [point.weight for point in outcome.timeline.pools if point.pool == "a"]
    assert weights[-1] < weights[8]


def test_a_policy_that_does_not_scale_is_scaled() -> None:
    plan = worlds.plan(2, peak="20/s")
    load = {"steps": [{"at": "0s", "rate": "4/s"}, {"at": "10min", "rate": "16/s"}]}
    outcome = run(plan, "two-mode", duration="40min", load=load)
    points = outcome.timeline.pools
    ready = [points[at].ready + points[at + 1].ready for at in range(0, len(points), 2)]
    assert ready[5] * 2.0 * 0.8 <= 4 + 2 * 2.0
    assert ready[-1] * 2.0 * 0.8 >= 16


def test_an_hourly_plan_is_followed_and_asked_for_ahead(roomy: Plan) -> None:
    day = [f"{4 + hour % 12}/s" for hour in range(24)]
    plan = worlds.plan(2, survive="none", demand={"rate": "4/s", "day": day})
    small = worlds.scenario(startsAt="6:00")
    (first, _) = fleet.pools(plan, small, {})
    by_hour = [sum(each.replicas[hour] for each in plan.pool("a").allotments) for hour in range(24)]
    assert first.planned_at(0.0) == by_hour[6]
    assert first.planned_at(3600.0 - 80.0) == max(by_hour[6:8])


def test_supply_from_a_file_takes_and_gives_back(roomy: Plan) -> None:
    rows = ["time_s,pool,available", "600,a,1", "1200,a,100"]
    scenario = worlds.scenario(duration="40min", supply={"file": "spot.csv"})
    outcome = simulate(roomy, scenario, MERIT, 1, material=Material(changes=supply.read(rows, where="spot.csv")))
    ready = [point.ready for point in outcome.timeline.pools if point.pool == "a"]
    assert (ready[5], ready[14], ready[-1]) == (ready[0], 1, ready[0])
    assert outcome.intervals[14].available[0] == 1
    with pytest.raises(InputError, match="no unit 'z'"):
        wrong = Material(changes=supply.read(["time_s,pool,available", "0,z,1"], where="spot.csv"))
        simulate(roomy, scenario, MERIT, 1, material=wrong)


def test_a_trace_is_replayed_at_its_rate(roomy: Plan) -> None:
    trace = Trace(np.cumsum(np.ones(50)), np.ones(50, np.int64), np.arange(1, 51))
    scenario = worlds.scenario(duration="10min", load={"trace": {"file": "t.csv", "rate": "8/s"}})
    outcome = simulate(roomy, scenario, MERIT, 1, material=Material(trace=trace))
    assert outcome.offered == pytest.approx(4800, abs=2)


def test_a_unit_serves_by_its_load_curve_where_there_is_one(roomy: Plan) -> None:
    curve = Curve((1.0, 2.0, 4.0), (1.0, 1.6, 2.0), (1.0, 1.25, 2.0), "avg", False, "a test")
    pools = fleet.pools(roomy, worlds.scenario(), {"a": curve})
    assert pools[0].service.slots == 4
    assert pools[0].service.seconds[0] == pytest.approx(1.0)
    assert pools[0].service.seconds[3] == pytest.approx(4 / 2.0)
    assert pools[1].service.seconds == (0.5,)


def test_a_plan_without_a_latency_cannot_be_simulated(roomy: Plan) -> None:
    pools = tuple(dataclasses.replace(pool, latency_s=None) for pool in roomy.pools)
    with pytest.raises(InputError, match="no mean latency of a"):
        run(dataclasses.replace(roomy, pools=pools))


@pytest.mark.parametrize("seed", range(3))
def test_no_invariant_breaks_in_a_large_fleet_under_random_losses(seed: int) -> None:
    """Five pools of up to 200 replicas each; an hour of it."""
    plan = worlds.plan(5, peak="100/s", most=200)
    outcome = run(plan, seed=seed, duration="1h", rate="80/s", events=worlds.random_losses(seed, 1.0, 5))
    assert outcome.looks > 200
    assert not outcome.violations


def test_the_example_scenarios_can_be_read_and_speak_of_the_example_fleet() -> None:
    examples = Path(__file__).parents[2] / "examples"
    wave = document.read_fleet((examples / "sd21/wave.yaml").read_text("utf-8"), where="wave.yaml")
    paths = sorted((examples / "scenarios").glob("*.yaml"))
    for path in paths:
        read, _ = material.read(path)
        assert read.metadata.name == path.stem
        for event in read.spec.events:
            for scope in (event.limit, event.loss, event.reclaim, event.price):
                assert scope is None or scope.unit is None or wave.unit(scope.unit)
    assert len(paths) == 9


def test_a_look_that_contradicts_the_one_before_is_refused(roomy: Plan) -> None:
    turns = itertools.cycle([PoolState.IDLE, PoolState.SERVING])

    def turning(*look: Any) -> Decision:
        return dataclasses.replace(MERIT.decide(*look), states={"a": next(turns)})

    policy = dataclasses.replace(MERIT, decide=turning)
    outcome = simulate(roomy, worlds.scenario("2min"), policy, 1)
    assert "pool a cannot go from IDLE to SERVING in one look" in {violation.text for violation in outcome.violations}
