"""Which plan a fleet runs in a cluster."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from control.planned_fleet import PlannedFleet, replicas, running
from holdfast.control.operator.plans import plan_records, settling
from holdfast.control.operator.plans.settled import Obstacle
from holdfast.model import codec, document

IRRELEVANT: dict[str, Callable[[dict[str, Any]], Any]] = {
    "dwell": lambda spec: spec.update(routing={"dwell": "5s", "policy": "two-mode"}),
    "an image": lambda spec: spec["units"][0].update(image="two"),
    "approval": lambda spec: spec.update(approval="manual"),
    "the bound": lambda spec: spec.update(replanBound="50%"),
    "the cluster": lambda spec: spec.update(cluster={"name": "other"}),
    "who brings nodes": lambda spec: spec["units"][0].update(nodes="node-groups"),
    "the data plane": lambda spec: spec.update(dataPlane="gateway-api"),
    "a default said": lambda spec: spec["units"][0].update(minReplicas=1),
    "another way to say it": lambda spec: spec.update(demand={"rate": "600/min"}),
}
RELEVANT: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "demand": (lambda spec: spec.update(demand={"rate": "10.1/s"}), "demand"),
    "the SLO": (lambda spec: spec["slo"].update(errorRate="2%"), "slo"),
    "a bound of replicas": (lambda spec: spec["units"][0].update(maxReplicas=8), "units"),
    "a number left to the plan": (lambda spec: spec["units"][0].update(tensorParallel="auto"), "units"),
    "what is survived": (lambda spec: spec.update(capacity={"survive": "none"}), "capacity"),
    "shares": (lambda spec: spec.update(routing={"minShare": "5%"}), "routing"),
    "the region": (lambda spec: spec.update(region="us-east-1"), "region"),
}


def test_a_fleet_is_planned_and_runs_once_the_plan_is_written_down() -> None:
    fleet = PlannedFleet()
    first = fleet.settled()
    assert (first.plan, first.obstacle) == (None, Obstacle.PLANNING)
    assert first.due is not None and first.due.reasons == ("there is no plan yet",)
    assert replicas(fleet.look()) == {"cheap": 3, "dear": 2}
    assert fleet.look().obstacle is None
    assert len(fleet.made) == 1


def test_a_restart_runs_the_same_and_plans_nothing() -> None:
    fleet = PlannedFleet()
    before = fleet.look()
    fleet.restart()
    assert fleet.settled() == before
    assert len(fleet.made) == 1


@pytest.mark.parametrize("what", IRRELEVANT)
def test_what_planning_does_not_read_holds_at_once_and_makes_no_plan(what: str) -> None:
    fleet = PlannedFleet()
    before = running(fleet.look())
    IRRELEVANT[what](fleet.spec)
    settled = fleet.look()
    assert settled.obstacle is None and len(fleet.made) == 1
    assert running(settled).fleet == document.declared_object(fleet.fleet).fleet
    assert running(settled).pools == before.pools


@pytest.mark.parametrize("what", RELEVANT)
def test_what_planning_reads_makes_a_plan_and_holds_with_it(what: str) -> None:
    fleet = PlannedFleet()
    before = running(fleet.look())
    change, part = RELEVANT[what]
    change(fleet.spec)
    meanwhile = fleet.settled()
    assert meanwhile.plan == before
    assert meanwhile.due is not None and meanwhile.due.reasons == (f"the spec changed in {part}",)
    assert fleet.look().obstacle is None
    assert len(fleet.made) == 2


def test_a_spec_that_no_plan_holds_tears_nothing_down() -> None:
    fleet = PlannedFleet()
    before = fleet.look().plan
    fleet.spec["demand"] = {"rate": "1000/s"}
    settled = fleet.look()
    assert settled.plan == before and settled.obstacle is Obstacle.INFEASIBLE
    assert settled.message.startswith("No plan holds (the spec changed in demand): ")
    assert settled.message.endswith("The plan before goes on running.")
    fleet.look()
    assert len(fleet.made) == 2
    fleet.spec["demand"] = {"rate": "12/s"}
    assert fleet.look().obstacle is None


def test_a_spec_that_says_what_cannot_be_tears_nothing_down() -> None:
    fleet = PlannedFleet()
    before = fleet.look().plan
    fleet.spec["demand"] = {"rate": "10/s", "peak": "1/s"}
    settled = fleet.look()
    assert settled.plan == before and settled.obstacle is Obstacle.REFUSED
    assert settled.message.startswith("inferencefleet inference/sd21: 'spec.demand': peak is below rate")


def test_a_planner_that_gave_no_answer_is_asked_again_after_a_while() -> None:
    fleet = PlannedFleet()
    fleet.fails = True
    settled = fleet.look()
    assert settled.obstacle is Obstacle.FAILED and settled.due is None
    fleet.now_s += settling.RETRY_S
    assert fleet.settled().due is not None
    fleet.fails = False
    assert fleet.look().obstacle is None


def test_demand_beyond_the_bound_is_planned_for_and_named() -> None:
    fleet = PlannedFleet()
    fleet.look()
    fleet.highest_per_s = 10.9
    assert fleet.look().obstacle is None and len(fleet.made) == 1
    fleet.highest_per_s = 14.0
    assert running(fleet.look()).demand_per_s == 14.0
    assert fleet.made[-1].reasons == (
        "the highest rate of the last day is 14/s, 40% above the 10/s that is planned for",
    )
    fleet.highest_per_s = 10.5
    assert running(fleet.look()).demand_per_s == 14.0
    fleet.highest_per_s = 9.0
    assert running(fleet.look()).demand_per_s == 10.0
    assert fleet.made[-1].reasons == ("the last day stayed below the declared 10/s, and 14/s is planned for",)


def test_a_declared_demand_that_is_lowered_is_not_held_up_by_the_one_before() -> None:
    fleet = PlannedFleet(demand={"rate": "20/s"})
    fleet.look()
    fleet.spec["demand"] = {"rate": "10/s"}
    fleet.highest_per_s = 10.5
    assert running(fleet.look()).demand_per_s == 10.0


def test_a_raised_day_keeps_its_shape() -> None:
    fleet = PlannedFleet(demand={"rate": "5/s", "day": ["5/s"] * 12 + ["10/s"] * 12})
    fleet.highest_per_s = 20.0
    plan = running(fleet.look())
    assert [period.demand_per_s for period in plan.periods] == [10.0] * 12 + [20.0] * 12


def test_prices_that_creep_are_planned_for_once_they_are_beyond_the_bound() -> None:
    fleet = PlannedFleet()
    fleet.look()
    for price in (1.04, 1.08):
        fleet.prices["cheap on-demand"] = price
        fleet.look()
    assert len(fleet.made) == 1
    fleet.prices["cheap on-demand"] = 1.12
    assert running(fleet.look()).pool("cheap").price_usd_per_h == 1.12
    assert fleet.made[-1].reasons == ("the price of an instance of cheap on-demand went from 1 to 1.12 USD/h, +12%",)


def test_measurements_that_move_no_limit_beyond_the_bound_keep_the_plan() -> None:
    fleet = PlannedFleet()
    before = running(fleet.look())
    fleet.measure("one", cheap=4.2)
    assert running(fleet.look()) == before
    assert fleet.look().obstacle is None and len(fleet.made) == 2
    fleet.measure("two", cheap=4.5)
    assert running(fleet.look()).pool("cheap").limit_per_s == 4.5
    assert fleet.made[-1].reasons == ("the measurements changed",)


def test_a_plan_that_was_changed_by_hand_is_made_anew() -> None:
    fleet = PlannedFleet()
    before = running(fleet.look())
    data = fleet.config["sd21-plan"]["data"]
    data["plan.json"] = data["plan.json"].replace('"replicas": 3', '"replicas": 4', 1)
    fleet.restart()
    assert fleet.settled().due is not None
    assert running(fleet.look()) == before


def test_what_is_written_is_the_fleets_and_small() -> None:
    fleet = PlannedFleet()
    fleet.look()
    written = fleet.config["sd21-plan"]
    assert written["metadata"]["labels"]["holdfast.dev/fleet"] == "sd21"
    assert written["metadata"]["ownerReferences"][0]["uid"] == "u"
    assert len(json.dumps(written)) < 20_000


class TestApproval:
    def test_the_first_plan_waits_and_says_what_it_brings(self) -> None:
        fleet = PlannedFleet(approval="manual")
        settled = fleet.look()
        assert settled.plan is None and settled.obstacle is Obstacle.WAITS
        assert settled.proposal is not None
        assert settled.proposal.difference.startswith(
            "7.00 USD/h for 10 requests/s; there is no plan yet. cheap: new, 3"
        )
        assert settled.message.endswith(
            f"kubectl annotate --overwrite -n inference fleet sd21 holdfast.dev/approved={settled.proposal.id}"
        )

    def test_an_approved_plan_runs(self) -> None:
        fleet = PlannedFleet(approval="manual")
        proposal = fleet.look().proposal
        assert proposal is not None
        fleet.approve("0123456789ab")
        assert fleet.look().obstacle is Obstacle.WAITS
        fleet.approve(proposal.id)
        settled = fleet.look()
        assert (settled.obstacle, settled.proposal) == (None, None)
        assert replicas(settled) == {"cheap": 3, "dear": 2}

    def test_what_runs_goes_on_until_then_and_a_restart_proposes_the_same_without_planning(self) -> None:
        fleet = PlannedFleet()
        before = fleet.look().plan
        fleet.spec.update(approval="manual", demand={"rate": "20/s"})
        waits = fleet.look()
        assert waits.plan is not None and before is not None
        assert (waits.plan.pools, waits.plan.demand_per_s) == (before.pools, before.demand_per_s)
        fleet.restart()
        assert fleet.settled() == waits
        assert len(fleet.made) == 2

    def test_the_difference_is_there_to_read(self) -> None:
        fleet = PlannedFleet()
        fleet.look()
        fleet.spec.update(approval="manual", demand={"rate": "20/s"})
        proposal = fleet.look().proposal
        assert proposal is not None and "cheap: replicas 5 instead of 3" in proposal.difference
        text = fleet.config["sd21-proposal"]["data"]["difference.txt"]
        assert "This plan and sd21-plan" in text
        assert max(map(len, text.splitlines()[len(proposal.difference) // 80 + 3 :])) <= 80

    def test_an_approval_is_of_one_plan_alone(self) -> None:
        fleet = PlannedFleet(approval="manual")
        first = fleet.look().proposal
        fleet.spec["demand"] = {"rate": "20/s"}
        second = fleet.look().proposal
        assert first is not None and second is not None and first.id != second.id
        fleet.approve(first.id)
        assert fleet.look().obstacle is Obstacle.WAITS

    def test_a_proposal_stands_while_the_rate_sways_and_goes_when_it_is_back(self) -> None:
        fleet = PlannedFleet(approval="manual")
        proposal = fleet.look().proposal
        assert proposal is not None
        fleet.approve(proposal.id)
        fleet.look()
        fleet.highest_per_s = 14.0
        waits = fleet.look()
        assert waits.obstacle is Obstacle.WAITS
        for rate in (14.5, 11.2, 10.2, 14.0):
            fleet.highest_per_s = rate
            assert fleet.look() == waits
        fleet.highest_per_s = 9.0
        assert fleet.look().obstacle is None
        assert len(fleet.made) == 2

    def test_without_manual_approval_what_waits_runs(self) -> None:
        fleet = PlannedFleet(approval="manual")
        fleet.look()
        fleet.spec["approval"] = "automatic"
        fleet.restart()
        assert fleet.look().plan is not None and len(fleet.made) == 1


class TestGiven:
    @pytest.fixture
    def fleet(self) -> PlannedFleet:
        """A fleet that runs a given plan."""
        fleet = PlannedFleet()
        made = fleet.look().plan
        fleet.config.clear()
        fleet.spec["planning"] = "given"
        fleet.give(codec.dumps(made))
        return fleet

    def test_it_runs_and_is_never_planned(self, fleet: PlannedFleet) -> None:
        fleet.highest_per_s = 100.0
        settled = fleet.look()
        assert (settled.obstacle, replicas(settled)) == (None, {"cheap": 3, "dear": 2})
        assert len(fleet.made) == 1

    def test_it_may_be_missing(self) -> None:
        settled = PlannedFleet(planning="given").look()
        assert (settled.plan, settled.obstacle) == (None, Obstacle.NO_PLAN)

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda text: text.replace('"sd21"', '"sd22"'), "is of another fleet, inference/sd22"),
            (lambda text: text.replace('"version": 1', '"version": 2'), "the plan is of version 2"),
            (lambda text: text.replace('"status": "feasible"', '"status": "infeasible"'), "holds nothing"),
            (lambda text: text[:100], "cannot be read"),
            (lambda text: "", "cannot be read"),
        ],
    )
    def test_what_cannot_run_is_told_and_the_last_one_runs_after_a_restart_too(
        self, fleet: PlannedFleet, change: Callable[[str], str], said: str
    ) -> None:
        before = fleet.look().plan
        fleet.give(change(fleet.config["sd21-plan"]["data"]["plan.json"]))
        fleet.restart()
        settled = fleet.look()
        assert settled.plan == before and settled.obstacle is Obstacle.UNREADABLE
        assert said in settled.message

    def test_one_of_another_spec_runs_as_it_is_and_is_told(self, fleet: PlannedFleet) -> None:
        before = replicas(fleet.look())
        fleet.spec["demand"] = {"rate": "12/s"}
        settled = fleet.look()
        assert replicas(settled) == before and settled.obstacle is Obstacle.OUTDATED

    def test_how_traffic_moves_holds_at_once(self, fleet: PlannedFleet) -> None:
        fleet.spec["routing"] = {"dwell": "7s"}
        assert running(fleet.look()).fleet.spec.routing.dwell_s == 7.0

    def test_planned_by_the_operator_from_now_on_it_is_planned_anew(self, fleet: PlannedFleet) -> None:
        before = running(fleet.look())
        fleet.spec["planning"] = "auto"
        fleet.restart()
        assert fleet.settled().plan is not None
        assert running(fleet.look()).pools == before.pools
        assert fleet.made[-1].reasons == ("nobody wrote down what the plan that runs was made on",)


def test_a_plan_has_the_same_identity_once_it_was_written_and_read() -> None:
    fleet = PlannedFleet()
    plan = running(fleet.look())
    kept = plan_records.read(fleet.fleet, fleet.config, plan_records.PLAN)
    assert kept.identity == plan_records.identity(plan)
    assert kept.inputs is not None


def test_a_unit_that_comes_and_one_that_goes_are_said() -> None:
    fleet = PlannedFleet(approval="manual")
    first = fleet.look().proposal
    assert first is not None
    fleet.approve(first.id)
    fleet.look()
    fleet.spec["units"][0] |= {"name": "third"}
    proposal = fleet.look().proposal
    assert proposal is not None
    assert "third: new, 2 replicas" in proposal.difference
    assert "cheap: goes, with its 3 replicas." in proposal.difference
