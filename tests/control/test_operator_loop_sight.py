"""What is seen, sorted by fleet."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.control.operator.seen import Seen
from holdfast.control.operator.sight import FleetKey, Sight, node_pools
from holdfast.kube import kinds
from holdfast.kube.kinds import Kind, Object

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


def event(name: str, kind: str, about: str) -> Object:
    return one(kinds.EVENT, name, namespace="default", regarding={"kind": kind, "name": about})


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
    assert [found["metadata"]["name"] for found in a.events] == ["e2"]
    assert [found["metadata"]["name"] for found in b.events] == ["e1", "e2"]
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


def test_node_pools_are_those_of_the_units() -> None:
    assert node_pools(fleet("a")) == ("inference-a-g5",)
