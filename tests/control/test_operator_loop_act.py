"""Writing what a fleet is made of, on an API server."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from control.operator_scene import SPACE, Scene, rest, run
from holdfast.control.observation import Applied
from holdfast.control.operator.keeping import drift, routing_record
from holdfast.control.operator.keeping.act import Outcome, Writer, key
from holdfast.control.operator.keeping.routing_record import Record
from holdfast.control.operator.office import Office
from holdfast.kube import kinds
from holdfast.kube.connection import Connection
from holdfast.kube.kinds import Object
from holdfast.model.pools import RoutingMode
from kube_api.faults import Fault
from kube_api.requests import Request
from kube_api.serving import Serving
from kube_api.transport import InProcess

ROUTE = ("Ingress", "sd21")


def one(kind: kinds.Kind, name: str, content: Object, **annotations: str) -> Object:
    described = {"name": name, "namespace": SPACE, "annotations": annotations}
    return drift.stamped({"apiVersion": kind.api_version, "kind": kind.kind, "metadata": described} | content)


def route(weight: int, term: int = 1) -> Object:
    text = routing_record.text(Record(Applied({"a": weight}, RoutingMode.COST_OPTIMIZED, 0.0, 0.0), term))
    backend = {"service": {"name": "x", "port": {"number": 80}}}
    return one(kinds.INGRESS, "sd21", {"spec": {"defaultBackend": backend}}, **{routing_record.ROUTING: text})


def scaler(least: int) -> Object:
    return one(kinds.SCALED_OBJECT, "sd21-a", {"spec": {"minReplicaCount": least}})


def account(name: str, note: str = "") -> Object:
    return one(kinds.SERVICE_ACCOUNT, name, {}, note=note)


class Desk:
    """A Writer on a scene's server, and what it sent."""

    def __init__(self, scene: Scene, *, term: int = 1, acts: bool = True) -> None:
        self.scene = scene
        self.leads = True
        self.outlived: list[int] = []
        self.sent: list[str] = []
        self.fault: Callable[[Request], Fault | None] = lambda request: None
        office = Office(lambda: self.leads, lambda found: term, self.outlived.append, acts)
        serving = Serving(scene.api, scene.clock, faults=self._meets)
        connection = Connection("http://api.test", transport=InProcess(serving))
        self.writer = Writer(connection, office, clock=scene.clock, chance=random.Random(0))

    def _meets(self, request: Request) -> Fault | None:
        self.sent.append(request.path.rpartition("/")[2])
        return self.fault(request)

    async def live(self) -> dict[tuple[str, str], Object]:
        held = (kinds.INGRESS, kinds.SCALED_OBJECT, kinds.SERVICE_ACCOUNT)
        lists = [await self.scene.people.list(kind, SPACE) for kind in held]
        return {key(found): found for listed in lists for found in listed.items}

    async def write(self, *wanted: Object, surplus: tuple[Object, ...] = ()) -> Outcome:
        return await self.writer.carry_out(wanted, await self.live(), ROUTE, surplus)


def on_desk(story: Callable[[Desk], Any], **office: Any) -> Any:
    async def scene() -> Any:
        return await story(Desk(Scene(), **office))

    return run(scene())


def test_weights_come_first_then_bounds_then_the_rest() -> None:
    async def story(desk: Desk) -> list[str]:
        await desk.write(account("x"), scaler(1), route(1))
        desk.sent.clear()
        await desk.write(account("x", "new"), scaler(2), route(2))
        return desk.sent

    assert on_desk(story) == ["sd21", "sd21-a", "x"]


def test_a_new_fleet_gets_its_route_last() -> None:
    async def story(desk: Desk) -> list[str]:
        await desk.write(route(1), scaler(1), account("x"))
        return desk.sent

    assert on_desk(story) == ["x", "sd21-a", "sd21"]


def test_what_is_as_it_should_be_is_not_sent() -> None:
    async def story(desk: Desk) -> tuple[list[str], bool]:
        await desk.write(route(1), scaler(1))
        desk.sent.clear()
        return desk.sent, (await desk.write(route(1), scaler(1))).routed

    assert on_desk(story) == ([], True)


def test_what_has_moved_on_since_it_was_seen_is_left_alone() -> None:
    """As a deposed leader would write it, late."""

    async def story(desk: Desk) -> tuple[str, Outcome]:
        await desk.write(route(1))
        seen = await desk.live()
        successor = Desk(desk.scene, term=2)
        await successor.write(route(50, term=2))
        outcome = await desk.writer.carry_out([route(99)], seen, ROUTE)
        return (await desk.live())[ROUTE]["metadata"]["annotations"][routing_record.ROUTING], outcome

    text, outcome = on_desk(story)
    assert '"a": 50' in text
    assert not outcome.routed
    assert outcome.failures == ()
    assert outcome.retry_s is not None


def test_what_has_moved_on_is_seen_anew_though_its_watch_has_fallen_silent() -> None:
    async def story(desk: Desk) -> Outcome:
        await desk.write(route(1))
        seen = await desk.live()
        await desk.scene.people.merge(kinds.INGRESS, "sd21", SPACE, {"metadata": {"labels": {"team": "x"}}})
        await rest(10)  # what was answered to our own write counts no more
        await desk.writer.carry_out([route(50)], desk.writer.latest(seen), ROUTE)
        await rest(1)
        return await desk.writer.carry_out([route(50)], desk.writer.latest(seen), ROUTE)

    assert on_desk(story).routed


def test_what_is_gone_since_it_was_seen_is_not_made_anew_by_who_saw_it() -> None:
    async def story(desk: Desk) -> tuple[bool, Outcome, bool]:
        await desk.write(route(1))
        seen = await desk.live()
        await desk.scene.people.delete(kinds.INGRESS, "sd21", SPACE)
        outcome = await desk.writer.carry_out([route(99)], seen, ROUTE)
        there = ROUTE in await desk.live()
        await rest(1)
        await desk.write(route(99))
        return there, outcome, ROUTE in await desk.live()

    there, outcome, there_later = on_desk(story)
    assert not there
    assert (outcome.routed, outcome.failures) == (False, ())
    assert there_later, "who sees that it is gone makes it"


def test_nothing_is_sent_where_a_later_leader_has_been() -> None:
    async def story(desk: Desk) -> tuple[list[str], list[int]]:
        await Desk(desk.scene, term=2).write(route(50, term=2))
        await desk.write(route(99), account("x"))
        return desk.sent, desk.outlived

    assert on_desk(story) == ([], [2])


def test_who_leads_no_more_stops_between_two_objects() -> None:
    async def story(desk: Desk) -> list[str]:
        def deposes(request: Request) -> None:
            desk.leads = False

        desk.fault = deposes
        await desk.write(account("x"), account("y"), account("z"))
        return desk.sent

    assert on_desk(story) == ["x"]


def test_a_refused_object_does_not_stop_the_others_and_is_tried_again_later() -> None:
    async def story(desk: Desk) -> tuple[Outcome, list[str], list[str]]:
        bad = one(kinds.SERVICE_ACCOUNT, "Not_A_Name", {})
        outcome = await desk.write(account("a"), bad, account("z"))
        first = list(desk.sent)
        assert outcome.retry_s is not None
        desk.sent.clear()
        again = await desk.write(account("a"), bad, account("z"))
        assert again.failures == outcome.failures
        return outcome, sorted(first), desk.sent

    outcome, first, again = on_desk(story)
    assert [(failure.name, failure.refused) for failure in outcome.failures] == [("Not_A_Name", True)]
    assert first == ["Not_A_Name", "a", "z"]
    assert again == []


def test_where_nobody_answers_the_rest_waits() -> None:
    async def story(desk: Desk) -> tuple[list[str], Outcome]:
        desk.fault = lambda request: Fault(status=429, retry_after_s=20)
        outcome = await desk.write(account("x"), account("y"))
        assert outcome.retry_s is not None
        assert outcome.retry_s >= desk.scene.clock() + 19
        return desk.sent, outcome

    sent, outcome = on_desk(story)
    assert sent == ["x"]
    assert [failure.refused for failure in outcome.failures] == [False]


def test_what_was_answered_counts_until_it_is_watched() -> None:
    async def story(desk: Desk) -> tuple[list[str], list[str]]:
        before = await desk.live()
        await desk.writer.carry_out([route(1)], before, ROUTE)
        desk.sent.clear()
        await desk.writer.carry_out([route(1)], desk.writer.latest(before), ROUTE)
        soon = list(desk.sent)
        await desk.scene.people.delete(kinds.INGRESS, "sd21", SPACE)
        await rest(10)
        await desk.writer.carry_out([route(1)], desk.writer.latest(await desk.live()), ROUTE)
        return soon, desk.sent

    assert on_desk(story) == ([], ["sd21"])


def test_surplus_is_deleted_by_identity() -> None:
    async def story(desk: Desk) -> tuple[bool, tuple[Any, ...]]:
        await desk.write(account("x"))
        old = (await desk.live())["ServiceAccount", "x"]
        await desk.scene.people.delete(kinds.SERVICE_ACCOUNT, "x", SPACE)
        await desk.write(account("x"))
        outcome = await desk.write(surplus=(old,))
        return ("ServiceAccount", "x") in await desk.live(), outcome.failures

    assert on_desk(story) == (True, ())


@pytest.mark.parametrize("changed", [None, {"note": "theirs"}])
def test_only_what_others_did_is_put_back(changed: dict[str, str] | None) -> None:
    async def story(desk: Desk) -> tuple[str, ...]:
        await desk.write(account("x", "ours"))
        await desk.write(account("x", "ours"))
        if changed is not None:
            patch = {"metadata": {"annotations": changed}}
            await desk.scene.people.merge(kinds.SERVICE_ACCOUNT, "x", SPACE, patch)
            return (await desk.write(account("x", "ours"))).put_back
        return (await desk.write(account("x", "ours by another plan"))).put_back

    put_back = on_desk(story)
    assert len(put_back) == (0 if changed is None else 1)


def test_on_trial_nothing_is_sent() -> None:
    async def story(desk: Desk) -> list[str]:
        unused = account("y") | {"metadata": {"name": "y", "namespace": SPACE, "uid": "1"}}
        await desk.write(route(1), account("x"), surplus=(unused,))
        return desk.sent

    assert on_desk(story, acts=False) == []


def test_whoever_changes_an_object_again_and_again_is_not_fought_for_ever() -> None:
    async def story(desk: Desk) -> tuple[int, str]:
        wanted = one(kinds.SCALED_OBJECT, "sd21-a", {"spec": {"minReplicaCount": 1, "maxReplicaCount": 5}})
        last = await desk.write(wanted)
        for _ in range(600):
            await desk.scene.people.merge(kinds.SCALED_OBJECT, "sd21-a", SPACE, {"spec": {"minReplicaCount": 9}})
            last = await desk.write(wanted)
            await rest(0.2)
        return len(desk.sent), last.failures[0].why

    sent, why = on_desk(story)
    assert sent < 15
    assert why == "it was put back again and again, and somebody else changed it: spec.minReplicaCount"


def test_where_each_write_takes_seconds_a_look_ends_before_all_is_written() -> None:
    async def story(desk: Desk) -> list[tuple[int, bool]]:
        desk.fault = lambda request: Fault(delay_s=1.5)
        wanted = [account(f"a{number}") for number in range(5)]
        passes = []
        while True:
            outcome = await desk.write(*wanted)
            passes.append((len(outcome.written), outcome.retry_s is not None))
            if outcome.retry_s is None:
                return passes

    assert on_desk(story) == [(2, True), (2, True), (1, False)]
