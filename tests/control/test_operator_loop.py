"""The operator as a whole, in virtual time, on an API server."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from control.operator_scene import SPACE, Rate, Scene, definitions, given, killed, operate, rest, run
from holdfast.control.operator import steering
from holdfast.control.operator.keeping.desired import Desired
from holdfast.kube import kinds
from holdfast.kube.watching import REFUSED_S
from holdfast.model.plan import Plan
from kube_api.faults import Fault, Loss

PLAN = given()
BOTH = {"inf2-neuron": 60, "g5-triton": 40}


def without(unit: str) -> Plan:
    """The plan without one of its units, whose weight the rest has."""
    spec = PLAN.fleet.spec
    units = tuple(one for one in spec.units if one.name != unit)
    fleet = PLAN.fleet.model_copy(update={"spec": spec.model_copy(update={"units": units})})
    pools = tuple(replace(pool, weight=100) for pool in PLAN.pools if pool.unit != unit)
    return replace(PLAN, fleet=fleet, pools=pools)


async def served(scene: Scene) -> None:
    """Both pools of the plan have the planned replicas, for longer than it takes to trust them."""
    await scene.declare(PLAN)
    await scene.pods(PLAN, "inf2-neuron", 6)
    await scene.pods(PLAN, "g5-triton", 6)


def test_a_declared_fleet_is_made_with_all_its_objects_and_owned_by_it() -> None:
    async def story() -> tuple[dict[str, int], list[str], set[str]]:
        scene = Scene()
        await scene.declare(PLAN)
        task = await operate(scene.operator())
        await rest(5)
        fleet = await scene.people.get(kinds.FLEET, "sd21", SPACE)
        route = await scene.people.get(kinds.INGRESS, "sd21", SPACE)
        made = [
            one["metadata"]["name"]
            for kind in (kinds.DEPLOYMENT, kinds.SERVICE, kinds.SCALED_OBJECT)
            for one in (await scene.people.list(kind, SPACE)).items
        ]
        await killed(task)
        owners = {one["uid"] for one in route["metadata"]["ownerReferences"]}
        return await scene.weights(), made, owners ^ {fleet["metadata"]["uid"]}

    assert run(story()) == (BOTH, 3 * ["sd21-g5-triton", "sd21-inf2-neuron"], set())


def test_weights_leave_a_pool_within_a_second_of_its_loss_and_the_reaction_is_measured() -> None:
    async def story() -> tuple[dict[str, int], str, list[float]]:
        scene = Scene()
        await served(scene)
        operator = scene.operator()
        task = await operate(operator)
        await rest(10)
        await scene.pods(PLAN, "inf2-neuron", 6, ready=False)
        await rest(1)
        weights = await scene.weights()
        await rest(2)
        samples = [
            sample.value
            for family in operator.exported.collect()
            for sample in family.samples
            if sample.name in ("holdfast_reaction_seconds_count", "holdfast_reaction_seconds_sum")
        ]
        told = await scene.condition("FailedOver")
        await killed(task)
        return weights, told, samples

    weights, told, (count, sum_s) = run(story())
    assert (weights, told) == ({"inf2-neuron": 0, "g5-triton": 100}, "True CapacityLost")
    assert count >= 1
    assert 0 < sum_s < count * 0.5


def test_a_scaler_that_cannot_scale_is_told_of_while_it_cannot() -> None:
    async def story() -> list[str]:
        scene = Scene()
        await served(scene)
        task = await operate(scene.operator())
        await rest(10)
        (scaled, *_) = (await scene.people.list(kinds.SCALED_OBJECT, SPACE)).items
        told = []
        for ready in ("False", "True"):
            said = {"type": "Ready", "status": ready, "reason": "X", "message": "a trigger of it is wrong"}
            status = {"status": {"conditions": [said]}}
            name = scaled["metadata"]["name"]
            await scene.people.merge(kinds.SCALED_OBJECT, name, SPACE, status)
            await rest(5)
            told.append(await scene.condition("Degraded"))
        await killed(task)
        return told

    assert run(story()) == ["True ScalerFailed", "False AsPlanned"]


def test_a_settled_fleet_is_not_written_to() -> None:
    async def story() -> list[str]:
        scene = Scene()
        await served(scene)
        task = await operate(scene.operator())
        await rest(300)
        before = len(scene.written("a"))
        await rest(300)
        await killed(task)
        return scene.written("a")[before:]

    assert run(story()) == []


def test_who_does_not_lead_writes_nothing_and_takes_over_within_seconds_of_a_death() -> None:
    async def story() -> tuple[list[str], dict[str, int], int]:
        scene = Scene()
        await served(scene)
        leader = await operate(scene.operator("a"))
        await rest(2)
        standby = await operate(scene.operator("b"))
        await rest(30)
        idle = scene.written("b")
        scene.faults["a"] = lambda request: Fault(loss=Loss.BEFORE)
        await killed(leader)
        await scene.pods(PLAN, "inf2-neuron", 6, ready=False)
        await rest(8)
        weights, term = await scene.weights(), await scene.term()
        await killed(standby)
        return idle, weights, term

    assert run(story()) == ([], {"inf2-neuron": 0, "g5-triton": 100}, 2)


def test_who_is_cut_off_stands_down_and_what_comes_back_leaves_the_successor_alone() -> None:
    async def story() -> tuple[list[int], list[str]]:
        scene = Scene()
        await served(scene)
        first = await operate(scene.operator("a"))
        await rest(2)
        second = await operate(scene.operator("b"))
        await rest(10)
        scene.faults["a"] = lambda request: Fault(loss=Loss.BEFORE)
        terms, before = [], len(scene.written("a"))
        for second_s in range(40):
            terms.append(await scene.term())
            if second_s == 8:
                await scene.pods(PLAN, "inf2-neuron", 6, ready=False)
            if second_s == 20:
                del scene.faults["a"]
            await rest(1)
        await killed(first)
        await killed(second)
        return terms, scene.written("a")[before:]

    terms, late = run(story())
    assert (terms[0], terms[-1]) == (1, 2)
    assert terms == sorted(terms)
    assert late == []


def test_where_the_lease_was_deleted_the_terms_of_the_routes_are_surpassed() -> None:
    async def story() -> tuple[int, dict[str, int]]:
        scene = Scene()
        await served(scene)
        for name in "abc":
            task = await operate(scene.operator(name))
            await rest(10)
            await killed(task)
        await scene.people.delete(kinds.LEASE, "holdfast-operator", "default")
        task = await operate(scene.operator("d"))
        await scene.pods(PLAN, "inf2-neuron", 6, ready=False)
        await rest(10)
        found = await scene.term(), await scene.weights()
        await killed(task)
        return found

    term, weights = run(story())
    assert term > 3
    assert weights == {"inf2-neuron": 0, "g5-triton": 100}


def test_who_is_stopped_finishes_and_gives_the_lease_back() -> None:
    async def story() -> tuple[float, float]:
        scene = Scene()
        await served(scene)
        first, second = scene.operator("a"), scene.operator("b")
        leader, standby = await operate(first), await operate(second)
        await rest(30)
        began_s = scene.clock()
        first.stop()
        await asyncio.wait_for(leader, 5)
        ended_s = scene.clock() - began_s
        before = len(scene.written("b"))
        while len(scene.written("b")) == before:
            await rest(0.1)
        taken_s = scene.clock() - began_s
        await killed(standby)
        return ended_s, taken_s

    ended_s, taken_s = run(story(), limit_s=120)
    assert ended_s < 5
    assert taken_s < 5


def test_a_fault_in_one_fleet_is_told_and_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = steering.Steering.steer

    async def breaks(self: Any, account: Any, wanted: Desired, *rest_of: Any) -> Any:
        if wanted.plan.fleet.metadata.name == "bad":
            raise ZeroDivisionError("a fault of ours")
        return await whole(self, account, wanted, *rest_of)

    monkeypatch.setattr(steering.Steering, "steer", breaks)

    async def story() -> tuple[str, dict[str, int], bool]:
        scene = Scene()
        await scene.declare(given("bad"))
        await scene.declare(PLAN)
        task = await operate(scene.operator())
        await rest(60)
        found = await scene.condition("Degraded", "bad"), await scene.weights(), task.done()
        await killed(task)
        return found

    assert run(story()) == ("True LookFailed", BOTH, False)


def test_a_fleet_that_is_deleted_and_declared_again_is_made_anew() -> None:
    async def story() -> bool:
        scene = Scene()
        await scene.declare(PLAN)
        task = await operate(scene.operator())
        await rest(5)
        await scene.people.delete(kinds.FLEET, "sd21", SPACE)
        await rest(5)
        assert await scene.there(kinds.DEPLOYMENT, "sd21-g5-triton") is None
        await scene.declare(PLAN)
        await rest(5)
        fleet = await scene.people.get(kinds.FLEET, "sd21", SPACE)
        made = await scene.people.get(kinds.DEPLOYMENT, "sd21-g5-triton", SPACE)
        await killed(task)
        return bool(made["metadata"]["ownerReferences"][0]["uid"] == fleet["metadata"]["uid"])

    assert run(story())


def test_on_trial_nothing_is_sent_and_no_lease_is_asked_for() -> None:
    async def story() -> list[str]:
        scene = Scene()
        await served(scene)
        task = await operate(scene.operator(acts=False))
        await rest(60)
        await killed(task)
        return scene.sent["a"]

    assert run(story()) == []


def test_only_the_namespaces_that_are_named_are_looked_at() -> None:
    async def story() -> dict[str, int]:
        scene = Scene()
        await served(scene)
        task = await operate(scene.operator(namespaces=("elsewhere",)))
        await rest(10)
        await killed(task)
        return await scene.weights()

    assert run(story()) == {}


def test_what_people_change_or_delete_is_put_back_and_what_they_add_stays() -> None:
    async def story() -> tuple[bool, dict[str, str], dict[str, int]]:
        scene = Scene()
        await served(scene)
        task = await operate(scene.operator())
        await rest(10)
        before = await scene.weights()
        await scene.people.delete(kinds.SERVICE, "sd21-g5-triton", SPACE)
        noted = {"metadata": {"annotations": {"people.example.com/note": "mine", "holdfast.dev/routing": "{}"}}}
        await scene.people.merge(kinds.INGRESS, "sd21", SPACE, noted)
        await rest(3)
        service = await scene.there(kinds.SERVICE, "sd21-g5-triton")
        route = await scene.people.get(kinds.INGRESS, "sd21", SPACE)
        weights = await scene.weights()
        await killed(task)
        return service is not None, route["metadata"]["annotations"], {k: weights[k] - before[k] for k in before}

    there, annotations, moved = run(story())
    assert there
    assert annotations["people.example.com/note"] == "mine"
    assert moved == {"inf2-neuron": 0, "g5-triton": 0}


def test_a_watch_that_ends_with_a_fault_ends_the_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        scene = Scene()
        operator = scene.operator()
        monkeypatch.setattr(operator._sight, "told", lambda *_: 1 / 0)
        await scene.declare(PLAN)
        await operator.run()

    with pytest.raises(ExceptionGroup) as caught:
        run(story(), limit_s=60)
    assert caught.group_contains(ZeroDivisionError)


async def unit_taken_out(scene: Scene) -> None:
    """Of a fleet whose other unit cannot carry the rate alone."""
    scene.rate.rate_per_s = 30.0
    await rest(60)
    await scene.declare(without("inf2-neuron"))
    await rest(60)


def test_a_unit_that_is_taken_out_goes_once_the_others_carry_its_traffic() -> None:
    async def story() -> tuple[dict[str, int], bool, dict[str, int], bool]:
        scene = Scene()
        await served(scene)
        task = await operate(scene.operator())
        await unit_taken_out(scene)
        during = await scene.weights()
        stays = await scene.there(kinds.DEPLOYMENT, "sd21-inf2-neuron") is not None
        scene.rate.rate_per_s = 1.0
        await rest(120)
        after = await scene.weights()
        gone = await scene.there(kinds.DEPLOYMENT, "sd21-inf2-neuron") is None
        await killed(task)
        return during, stays, after, gone

    during, stays, after, gone = run(story())
    assert during["inf2-neuron"] > 0
    assert stays
    assert after == {"g5-triton": 100}
    assert gone


def test_an_operator_that_is_there_before_its_resource_waits_and_says_for_what() -> None:
    async def story() -> tuple[str, str, dict[str, int]]:
        scene = Scene(lacks=(kinds.FLEET,))
        operator = scene.operator()
        task = await operate(operator)
        await rest(60)
        waits = operator.unready
        scene.api.create(definitions()[0], scene.clock())
        await scene.declare(PLAN)
        await rest(REFUSED_S + 5)
        ready, weights = operator.unready, await scene.weights()
        await killed(task)
        return waits, ready, weights

    assert run(story()) == ("not listed yet: inferencefleets", "", BOTH)


@pytest.mark.parametrize("restarts", [False, True])
def test_until_then_lost_capacity_is_left_also_by_who_started_meanwhile(restarts: bool) -> None:
    async def story() -> tuple[dict[str, int], dict[str, int]]:
        scene = Scene()
        await served(scene)
        task = await operate(scene.operator())
        await unit_taken_out(scene)
        before = await scene.weights()
        if restarts:
            await killed(task)
            task = await operate(scene.operator("b"))
            await rest(10)
        await scene.pods(PLAN, "g5-triton", 6, ready=False)
        await rest(5)
        await killed(task)
        return before, await scene.weights()

    before, after = run(story())
    assert before["g5-triton"] > 0
    assert after == {"inf2-neuron": 100, "g5-triton": 0}


def test_a_kind_that_the_cluster_lacks_is_told_and_the_rest_is_made() -> None:
    async def story() -> tuple[str, bool]:
        scene = Scene(lacks=(kinds.POD_MONITOR,))
        await served(scene)
        task = await operate(scene.operator())
        await rest(20)
        found = await scene.condition("Ready"), await scene.there(kinds.DEPLOYMENT, "sd21-g5-triton") is not None
        await killed(task)
        return found

    assert run(story()) == ("False CrdMissing", True)


def test_failover_by_hand_takes_effect_and_is_taken_back() -> None:
    async def story() -> tuple[dict[str, int], dict[str, int]]:
        scene = Scene()
        await served(scene)
        task = await operate(scene.operator())
        await rest(300)
        found = []
        for asked in ("capacity", None):
            noted = {"metadata": {"annotations": {"holdfast.dev/failover": asked}}}
            await scene.people.merge(kinds.FLEET, "sd21", SPACE, noted)
            await rest(300)
            found.append(await scene.weights())
        await killed(task)
        return found[0], found[1]

    by_hand, after = run(story())
    assert by_hand == {"inf2-neuron": 50, "g5-triton": 50}
    assert after["inf2-neuron"] != 50


def test_while_nobody_knows_the_rate_it_is_said_and_weights_stay() -> None:
    async def story() -> tuple[dict[str, int], dict[str, int], str]:
        scene = Scene()
        await served(scene)
        task = await operate(scene.operator())
        await rest(300)
        before = await scene.weights()
        scene.rate.problem = "nobody answers"
        await rest(120)
        found = before, await scene.weights(), await scene.condition("Stale")
        await killed(task)
        return found

    before, after, stale = run(story())
    assert after == before
    assert stale == "True RateUnknown"


def test_a_first_look_that_cannot_read_the_rate_comes_all_the_same() -> None:
    async def story() -> dict[str, int]:
        scene = Scene(rate=Rate(problem="nobody answers"))
        await served(scene)
        task = await operate(scene.operator())
        await rest(3)
        await killed(task)
        return await scene.weights()

    assert run(story()) == BOTH
