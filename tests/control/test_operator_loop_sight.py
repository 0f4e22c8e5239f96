"""What is seen, sorted by fleet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.control.operator.seeing import events
from holdfast.control.operator.seeing.seen import Seen
from holdfast.control.operator.seeing.sight import FleetKey, Sight, has_node_groups, node_pools
from holdfast.kube import kinds
from holdfast.kube.kinds import Kind, Object
from holdfast.model import instants

NOW_S = 1000.0
A, B = ("inference", "a"), ("inference", "b")


def one(kind: Kind, name: str, *, part_of: str = "", namespace: str = "inference", **content: object) -> Object:
    labels = {"app.kubernetes.io/part-of": part_of} if part_of else {}
    described: Object = {"name": name, "uid": f"{kind.kind} {name}", "labels": labels}
    if kind.namespaced:
        described["namespace"] = namespace
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": described, **content}


def fleet(name: str) -> Object:
    return one(kinds.FLEET, name, spec={"units": [{"name": "g5"}]})


def pod(name: str, of: str, node: str | None = None) -> Object:
    return one(kinds.POD, name, part_of=of, spec={} if node is None else {"nodeName": node})


def claim(name: str, pool: str) -> Object:
    found = one(kinds.NODE_CLAIM, name)
    found["metadata"]["labels"]["karpenter.sh/nodepool"] = pool
    return found


def event(name: str, kind: str, about: str, *, namespace: str = "default", **content: Any) -> Object:
    regarding = {"kind": kind, "name": about, "namespace": namespace}
    return one(kinds.EVENT, name, namespace=namespace, regarding=regarding, **content)


def of_group(name: str, node_group: str) -> Object:
    """As the Cluster Autoscaler says it."""
    note = f"Scale-up failed for group eks-{node_group}-0ac7f3d2-1c4e-11ee-be56-0242ac120002: UnfulfillableCapacity"
    return event(name, "ConfigMap", "cluster-autoscaler-status", namespace="kube-system", note=note)


def autoscaler(name: str, target: str, by: str) -> Object:
    found = one(kinds.AUTOSCALER, name, spec={"scaleTargetRef": {"kind": "Deployment", "name": target}})
    found["metadata"]["ownerReferences"] = [{"kind": by}]
    return found


WORLD = (
    (kinds.FLEET, fleet("a")),
    (kinds.FLEET, fleet("b")),
    (kinds.DEPLOYMENT, one(kinds.DEPLOYMENT, "a-g5", part_of="a")),
    (kinds.DEPLOYMENT, one(kinds.DEPLOYMENT, "b-g5", part_of="b")),
    (kinds.AUTOSCALER, autoscaler("keda-hpa-a-g5", "a-g5", "ScaledObject")),
    (kinds.POD, pod("a-1", "a", "n1")),
    (kinds.POD, pod("a-2", "a", "n2")),
    (kinds.POD, pod("b-1", "b", "n2")),
    (kinds.POD, pod("b-2", "b")),
    (kinds.NODE, one(kinds.NODE, "n1")),
    (kinds.NODE, one(kinds.NODE, "n2")),
    (kinds.NODE, one(kinds.NODE, "n3")),
    (kinds.NODE_POOL, one(kinds.NODE_POOL, "inference-a-g5")),
    (kinds.NODE_CLAIM, claim("inference-a-g5-x1y2z", "inference-a-g5")),
    (kinds.NODE_CLAIM, claim("other-1", "other")),
    (kinds.EVENT, event("e1", "NodeClaim", "inference-b-g5-gone1")),
    (kinds.EVENT, event("e2", "Node", "n2")),
    (kinds.EVENT, event("e3", "Pod", "a-1")),
    (kinds.EVENT, event("e4", "Pod", "a-g5-5d9f7c6b8-abcde", namespace="inference")),
    (kinds.EVENT, event("e5", "ReplicaSet", "b-g5-5d9f7c6b8", namespace="inference")),
    (kinds.EVENT, event("e6", "Pod", "a-g5-5d9f7c6b8-abcde", namespace="elsewhere")),
    (kinds.EVENT, of_group("e7", "inference-b-g5")),
    (kinds.EVENT, of_group("e8", "inference-b-g5-more")),
)


def sight_of(told: Sequence[tuple[Kind, Object]]) -> Sight:
    sight = Sight()
    for kind, found in told:
        sight.told(kind, found, False, NOW_S)
    return sight


def seen_of(sight: Sight) -> list[Seen]:
    found = [sight.seen(key, 0.0) for key in (A, B)]
    return [
        Seen(
            **{
                **vars(seen),
                "pods": tuple(sorted(seen.pods, key=lambda pod: str(pod["metadata"]["name"]))),
            }
        )
        for seen in found
    ]


def test_a_fleet_sees_what_is_its_own_and_nothing_else() -> None:
    a, b = seen_of(sight_of(WORLD))
    assert set(a.managed) == {("Deployment", "a-g5")}
    assert set(a.autoscalers) == {"keda-hpa-a-g5"}
    assert set(a.nodes) == {"n1", "n2"}
    assert set(a.node_claims) == {"inference-a-g5-x1y2z"}
    assert [found["metadata"]["name"] for found in a.events] == ["e2", "e4"]
    assert [found["metadata"]["name"] for found in b.events] == ["e1", "e2", "e5", "e7"]
    assert set(b.nodes) == {"n2"}
    assert b.autoscalers == {}
    assert a.node_pools == b.node_pools == {"inference-a-g5"}


@pytest.mark.parametrize(
    ("kind", "found", "concerned"),
    [
        (kinds.POD, pod("a-9", "a"), (A,)),
        (kinds.NODE, one(kinds.NODE, "n1"), (A,)),
        (kinds.NODE, one(kinds.NODE, "n2"), (A, B)),
        (kinds.NODE, one(kinds.NODE, "n3"), ()),
        (kinds.NODE_CLAIM, claim("inference-b-g5-1", "inference-b-g5"), (B,)),
        (kinds.EVENT, event("e", "NodeClaim", "inference-a-g5-zzzzz"), (A,)),
        (kinds.EVENT, event("e", "NodePool", "inference-a-g5"), (A,)),
        (kinds.EVENT, event("e", "NodeClaim", "other-1"), ()),
        (kinds.EVENT, event("e", "Pod", "b-g5-5d9f7c6b8-zzzzz", namespace="inference"), (B,)),
        (kinds.EVENT, event("e", "StatefulSet", "a-g5", namespace="inference"), (A,)),
        (kinds.EVENT, event("e", "Pod", "b-g5-5d9f7c6b8-zzzzz", namespace="elsewhere"), ()),
        (kinds.EVENT, event("e", "InferenceFleet", "a", namespace="inference"), ()),
        (kinds.EVENT, of_group("e", "inference-a-g5"), (A,)),
        (kinds.EVENT, of_group("e", "somebody-elses"), ()),
        (kinds.AUTOSCALER, autoscaler("x", "b-g5", "ScaledObject"), (B,)),
        (kinds.AUTOSCALER, autoscaler("x", "somebody-elses", "ScaledObject"), ()),
    ],
)
def test_a_change_wakes_the_fleets_that_it_concerns(kind: Kind, found: Object, concerned: tuple[FleetKey, ...]) -> None:
    assert sight_of(WORLD).told(kind, found, False, NOW_S) == concerned


@given(st.permutations(WORLD))
def test_the_order_in_which_things_are_told_makes_no_difference(told: list[tuple[Kind, Object]]) -> None:
    assert seen_of(sight_of(told)) == seen_of(sight_of(WORLD))


@given(st.permutations(WORLD), st.sets(st.integers(0, len(WORLD) - 1)))
def test_what_was_deleted_is_as_if_it_had_never_been(told: list[tuple[Kind, Object]], gone: set[int]) -> None:
    gone = {index for index in gone if told[index][0] != kinds.FLEET}
    sight = sight_of(told)
    for index in gone:
        sight.told(*told[index], True, NOW_S)
    assert seen_of(sight) == seen_of(sight_of([one for index, one in enumerate(told) if index not in gone]))


def test_a_pod_that_moves_takes_its_node_with_it() -> None:
    sight = sight_of(WORLD)
    sight.told(kinds.POD, pod("b-2", "b", "n3"), False, NOW_S)
    assert sight.told(kinds.NODE, one(kinds.NODE, "n3"), False, NOW_S) == (B,)
    sight.told(kinds.POD, pod("b-2", "b", "n3"), True, NOW_S)
    assert sight.told(kinds.NODE, one(kinds.NODE, "n3"), False, NOW_S) == ()


def test_a_namespace_that_is_forgotten_leaves_nothing() -> None:
    sight = sight_of(WORLD)
    sight.forget("inference")
    for seen in seen_of(sight):
        assert not seen.managed and not seen.pods and not seen.nodes and not seen.autoscalers


def test_when_an_event_was_told_is_known_by_its_last_delivery() -> None:
    sight = sight_of(WORLD)
    sight.told(kinds.EVENT, event("e1", "NodeClaim", "inference-b-g5-gone1"), False, NOW_S + 5)
    assert sight.seen(B, 0.0).told["Event e1"] == NOW_S + 5


def of_hour(seconds: float) -> Object:
    return event(
        f"e{seconds:g}", "Pod", "a-g5-5d9f7c6b8-abcde", namespace="inference", eventTime=instants.rfc3339(seconds)
    )


def test_events_are_kept_for_an_hour_after_they_were_told_last() -> None:
    sight = sight_of(WORLD)
    sight.told(kinds.EVENT, of_hour(NOW_S), False, NOW_S)
    later_s = NOW_S + events.KEPT_S
    sight.told(kinds.EVENT, of_hour(later_s - 1), False, later_s - 1)
    assert len(sight.seen(A, 0.0).events) == 4
    sight.told(kinds.EVENT, of_hour(later_s), False, later_s)
    assert [found["metadata"]["name"] for found in sight.seen(A, 0.0).events] == ["e4599", "e4600"]
    sight.told(kinds.EVENT, of_hour(NOW_S), False, later_s)
    assert len(sight.seen(A, 0.0).told) == 2, "one that is older than that when it is told is not kept at all"


def test_of_an_event_that_nobody_reads_only_its_being_there_is_kept() -> None:
    said: dict[str, Any] = {
        "reason": "Pulled",
        "note": "long" * 100,
        "regarding": {"kind": "Pod", "name": "a-g5-5d9f7c6b8-abcde"},
    }
    assert events.kept(one(kinds.EVENT, "e", **said)).keys() == {"metadata"}
    assert events.kept(one(kinds.EVENT, "e", **said | {"reason": "FailedScheduling"})).keys() == {"metadata", *said}


def test_nothing_that_is_read_is_left_out_by_the_api_server() -> None:
    left_out = {term.partition("!=")[2] for term in events.NOT_LOUD.split(",")}
    assert left_out
    assert not left_out & events.READ


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans(), st.floats(0, 4000)), max_size=60))
def test_what_is_remembered_of_events_is_bounded_by_those_of_the_last_hour(
    stream: list[tuple[int, bool, float]],
) -> None:
    heard, now_s, told = events.Events(), 0.0, dict[str, float]()
    for number, deleted, later_s in stream:
        now_s += later_s
        found = event(f"e{number}", "Pod", f"a-g5-{number % 3}-abcde", namespace="inference")
        heard.take(found, deleted, now_s)
        told.pop(found["metadata"]["uid"], None)
        if not deleted:
            told[found["metadata"]["uid"]] = now_s
    assert heard.told == {uid: at_s for uid, at_s in told.items() if now_s < at_s + events.KEPT_S}
    assert [found["metadata"]["uid"] for found in heard.about([("inference", "a-g5")])] == sorted(
        heard.told, key=lambda uid: (heard.told[uid], uid)
    )
    heard.forget("inference")
    assert not heard.told


@pytest.mark.parametrize(
    ("spec", "has_some"),
    [
        ({"units": [{"name": "g5"}]}, False),
        ({"units": [{"name": "g5"}], "cluster": {"nodes": "node-groups"}}, True),
        ({"units": [{"name": "g5", "nodes": "karpenter"}], "cluster": {"nodes": "node-groups"}}, False),
        ({"units": [{"name": "g5"}, {"name": "g6", "nodes": "node-groups"}]}, True),
        ({}, False),
    ],
)
def test_a_fleet_has_node_groups_where_a_unit_or_the_cluster_says_so(spec: Object, has_some: bool) -> None:
    assert has_node_groups(one(kinds.FLEET, "a", spec=spec)) is has_some


def test_node_pools_are_those_of_the_units() -> None:
    assert node_pools(fleet("a")) == ("inference-a-g5",)
