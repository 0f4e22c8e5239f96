"""What may befall an operator in the field, in virtual time: traffic goes where replicas are, all the same."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from control.operator_scene import SPACE, Scene, killed, operate, rest, run
from control.test_operator_loop import PLAN, served, without
from holdfast.control.operator.loop import Operator
from holdfast.control.operator.plans.settled import Due, Tried
from holdfast.control.operator.seeing.seen import Reading
from holdfast.control.operator.telling import teller
from holdfast.kube import kinds
from holdfast.kube.kinds import Object
from holdfast.manifests.routing import ingress
from holdfast.model import document
from holdfast.model.document import Declared
from holdfast.model.operation import Planning
from holdfast.model.plan import Plan
from holdfast.telemetry.errors import UnreadError
from kube_api.faults import Fault, Faults

FAILED_OVER = {"inf2-neuron": 0, "g5-triton": 100}


def meets(fault: Fault, method: str, part: str) -> Faults:
    """The fault, for requests of the method whose path has that part."""
    return lambda asked: fault if asked.method == method and part in asked.path else None


async def lost(scene: Scene, unit: str = "inf2-neuron") -> None:
    await scene.pods(PLAN, unit, 6, ready=False)


@dataclass
class Plans:
    """Instead of a planner: always that plan. fails: it breaks."""

    plan: Plan
    clock: Callable[[], float]
    made: list[Due] = field(default_factory=list)
    fails: bool = False

    async def make(self, due: Due) -> Tried:
        await rest(1)
        self.made.append(due)
        if self.fails:
            raise OSError("no space left on device")
        return Tried(due.inputs, self.plan, "", True, self.clock())


async def planned(scene: Scene) -> Plans:
    """A fleet that its operator plans."""
    spec = PLAN.fleet.spec.model_copy(update={"planning": Planning.AUTO})
    plan = replace(PLAN, fleet=PLAN.fleet.model_copy(update={"spec": spec}))
    await scene.people.apply(document.resource(Declared(plan.fleet, {})), manager="people")
    await scene.pods(PLAN, "inf2-neuron", 6)
    await scene.pods(PLAN, "g5-triton", 6)
    return Plans(plan, scene.clock)


def planning_by(plans: Any, operator: Operator) -> Operator:
    operator._planner = plans
    return operator


async def told(scene: Scene, kind: str) -> str:
    found = await scene.people.get(kinds.FLEET, "sd21", SPACE)
    return next(str(one["message"]) for one in found["status"]["conditions"] if one["type"] == kind)


async def weights_after_a_loss(scene: Scene, task: asyncio.Task[None]) -> dict[str, int]:
    """Two seconds after a pool lost its capacity; then the operator is killed."""
    await lost(scene)
    await rest(2)
    weights = await scene.weights()
    await killed(task)
    return weights


def test_nothing_is_deleted_that_the_route_still_sends_traffic_to() -> None:
    async def story() -> tuple[dict[str, int], bool]:
        scene = Scene()
        await served(scene)
        task = await operate(scene.operator())
        await rest(10)
        scene.rate.rate_per_s = 1.0
        scene.faults["a"] = meets(Fault(status=500), "PATCH", "/ingresses/")
        await scene.declare(without("inf2-neuron"))
        await rest(300)
        found = await scene.weights(), await scene.there(kinds.DEPLOYMENT, "sd21-inf2-neuron") is not None
        await killed(task)
        return found

    weights, stays = run(story())
    assert weights["inf2-neuron"] > 0
    assert stays


def test_no_plan_is_made_by_who_has_not_seen_the_one_that_runs() -> None:
    async def story() -> tuple[int, str, int, str]:
        scene = Scene()
        plans = await planned(scene)
        task = await operate(planning_by(plans, scene.operator("a")))
        await rest(30)
        made = len(plans.made)
        await killed(task)
        scene.faults["b"] = meets(Fault(status=503), "GET", "/configmaps")
        task = await operate(planning_by(plans, scene.operator("b")))
        await rest(60)
        blind = await told(scene, "Ready")
        del scene.faults["b"]
        await rest(30)
        ready = await scene.condition("Ready")
        await killed(task)
        return made, blind, len(plans.made), ready

    made, blind, made_in_all, ready = run(story())
    assert (made, made_in_all) == (1, 1)
    assert "has not told yet which ConfigMaps" in blind
    assert "NoPlan" not in ready


def test_a_namespace_without_the_operator_s_rights_is_told_how_to_give_them() -> None:
    async def story() -> str:
        scene = Scene()
        plans = await planned(scene)
        scene.faults["a"] = meets(Fault(status=403), "GET", "/configmaps")
        task = await operate(planning_by(plans, scene.operator("a")))
        await rest(60)
        said = await told(scene, "Ready")
        await killed(task)
        return said

    assert "Apply `fleet/rights` of a rendered tree for this namespace." in run(story())


@pytest.mark.parametrize("kind", ["nodepools", "podmonitors"])
@pytest.mark.parametrize("from_the_start", [True, False])
def test_a_kind_that_the_server_cannot_tell_of_blinds_nobody(kind: str, from_the_start: bool) -> None:
    broken = Fault(status=500)

    async def story() -> tuple[dict[str, int], str, str]:
        scene = Scene()
        await served(scene)
        operator = scene.operator()
        if from_the_start:
            scene.faults["a"] = meets(broken, "GET", f"/{kind}")
        task = await operate(operator)
        await rest(30)
        scene.faults["a"] = meets(broken, "GET", f"/{kind}")
        await rest(60)
        await lost(scene)
        await rest(2)
        found = await scene.weights(), await scene.condition("Stale"), operator.unready
        await killed(task)
        return found

    assert run(story()) == (FAILED_OVER, "False UpToDate", "")


def test_who_starts_while_a_unit_is_replaced_sends_no_traffic_to_a_pool_that_died() -> None:
    async def story() -> tuple[dict[str, int], list[Object], dict[str, int]]:
        scene = Scene()
        await served(scene)
        task = await operate(scene.operator())
        await rest(10)
        scene.rate.rate_per_s = 1e6
        await rest(30)
        await scene.declare(without("inf2-neuron"))
        await rest(10)
        await killed(task)
        task = await operate(scene.operator("b"))
        await rest(10)
        await lost(scene, "g5-triton")
        await rest(2)
        weights = await scene.weights()
        route = await scene.people.get(kinds.INGRESS, "sd21", SPACE)
        action = json.loads(route["metadata"]["annotations"][ingress.FORWARDS])
        await scene.pods(PLAN, "g5-triton", 6)
        scene.rate.rate_per_s = 1.0
        await rest(60)
        after = await scene.weights()
        await killed(task)
        return weights, action["forwardConfig"]["targetGroups"], after

    weights, groups, after = run(story())
    assert weights == {"inf2-neuron": 100, "g5-triton": 0}
    assert {group["serviceName"]: group["weight"] for group in groups} == {
        "sd21-inf2-neuron": 100,
        "sd21-g5-triton": 0,
    }
    assert after == {"g5-triton": 100}


@pytest.mark.parametrize("step_s", [-3600.0, 3600.0])
def test_a_clock_that_is_set_leaves_nobody_waiting(step_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> dict[str, int]:
        scene = Scene()
        await served(scene)
        true, set_by = scene.clock, [0.0]
        monkeypatch.setattr(scene, "clock", lambda: true() + set_by[0])
        task = await operate(scene.operator())
        await rest(20)
        set_by[0] = step_s
        await lost(scene)
        await rest(3)
        weights = await scene.weights()
        await killed(task)
        return weights

    assert run(story()) == FAILED_OVER


@dataclass
class Source:
    """Knows the rate, or breaks; of the day it knows nothing."""

    breaks: bool = False
    every_s: float = 10.0

    async def reading(self, now_s: float) -> Reading:
        if self.breaks:
            raise UnicodeError("nobody thought of this")
        return Reading(12.0, 0.0)

    async def highest_per_s(self, now_s: float) -> float | None:
        raise UnreadError("Prometheus at http://prometheus.test gave no answer within 5 s.")


@pytest.mark.parametrize(("breaks", "stale"), [(False, "False UpToDate"), (True, "True RateUnknown")])
def test_a_rate_is_known_without_the_highest_of_the_day_and_its_source_ends_nobody(breaks: bool, stale: str) -> None:
    async def story() -> tuple[str, bool]:
        scene = Scene()
        await served(scene)
        source: Any = Source(breaks)
        scene.rate = source
        task = await operate(scene.operator())
        await rest(30)
        found = await scene.condition("Stale"), task.done()
        await killed(task)
        return found

    assert run(story()) == (stale, False)


def test_planning_that_breaks_stops_no_failover() -> None:
    async def story() -> dict[str, int]:
        scene = Scene()
        plans = await planned(scene)
        task = await operate(planning_by(plans, scene.operator()))
        await rest(30)
        plans.fails = True
        await scene.people.merge(kinds.FLEET, "sd21", SPACE, {"spec": {"demand": {"rate": "11/s"}}})
        await rest(120)
        return await weights_after_a_loss(scene, task)

    assert run(story()) == FAILED_OVER


def test_a_look_that_fails_again_and_again_is_still_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaks(*_: Any) -> None:
        raise ZeroDivisionError("a fault of ours")

    async def story() -> dict[str, int]:
        scene = Scene()
        await served(scene)
        task = await operate(scene.operator())
        await rest(20)
        monkeypatch.setattr(teller.Teller, "tell", breaks)
        await rest(600)
        return await weights_after_a_loss(scene, task)

    assert run(story()) == FAILED_OVER


def test_a_spec_that_cannot_be_rendered_stops_no_failover_also_after_a_restart() -> None:
    async def story() -> tuple[list[dict[str, int]], str, list[str]]:
        scene = Scene()
        await served(scene)
        task = await operate(scene.operator("a"))
        await rest(20)
        await scene.people.merge(kinds.FLEET, "sd21", SPACE, {"spec": {"cluster": {"kvAwareRouting": True}}})
        await rest(5)
        degraded, before = await told(scene, "Degraded"), len(scene.written("a"))
        await lost(scene)
        await rest(2)
        found = [await scene.weights()]
        await killed(task)
        await scene.pods(PLAN, "inf2-neuron", 6)
        await lost(scene, "g5-triton")
        task = await operate(scene.operator("b"))
        await rest(20)
        found.append(await scene.weights())
        written = scene.written("a")[before:] + scene.written("b")
        await killed(task)
        return found, degraded, [one for one in written if "/deployments/" in one or one.startswith("DELETE")]

    weights, degraded, others = run(story())
    assert weights == [FAILED_OVER, {"inf2-neuron": 100, "g5-triton": 0}]
    assert "kvAwareRouting" in degraded
    assert others == []


@pytest.mark.parametrize(
    "edit",
    [
        {"slo": {"latency": {"p95": "0.95s"}}},
        {"demand": {"rate": "20/s"}},
        {"demand": {"rate": "10/s", "peak": "1/s"}},
    ],
    ids=["planned anew", "more demand", "refused"],
)
def test_servers_keep_their_image_while_another_plan_is_awaited(edit: Object) -> None:
    async def story() -> str:
        scene = Scene()
        plans = await planned(scene)
        task = await operate(planning_by(plans, scene.operator()))
        await rest(30)
        units = (await scene.people.get(kinds.FLEET, "sd21", SPACE))["spec"]["units"]
        changed = [unit | {"image": "registry.example/newer:2"} for unit in units]
        await scene.people.merge(kinds.FLEET, "sd21", SPACE, {"spec": {"units": changed}})
        await rest(30)
        plans.fails = True
        await scene.people.merge(kinds.FLEET, "sd21", SPACE, {"spec": edit})
        await rest(30)
        found = await scene.people.get(kinds.DEPLOYMENT, "sd21-g5-triton", SPACE)
        await killed(task)
        return str(found["spec"]["template"]["spec"]["containers"][0]["image"])

    assert run(story()) == "registry.example/newer:2"
