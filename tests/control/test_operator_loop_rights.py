"""What the operator watches is what its rights let it see, and they let it see nothing besides."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from control.desired_plans import all_of, desired_of, every_plan
from control.operator_scene import Scene, given, killed, operate, rest, run
from holdfast.control.operator.seeing import watches
from holdfast.kube import kinds
from holdfast.manifests.operator import rights, surroundings
from holdfast.model.cluster import Nodes
from holdfast.model.plan import Plan
from kube_api.faults import Fault
from kube_api.requests import Request

Seen = tuple[str, str, str]
"""Namespace or none, group, plural."""

_LISTED = re.compile(r"^/api(?:s/(?P<group>[^/]+))?/[^/]+(?:/namespaces/(?P<namespace>[^/]+))?/(?P<plural>[^/]+)$")


def on_nodes(nodes: Nodes) -> Plan:
    plan = given()
    spec = plan.fleet.spec
    cluster = spec.cluster.model_copy(update={"nodes": nodes})
    return replace(plan, fleet=plan.fleet.model_copy(update={"spec": spec.model_copy(update={"cluster": cluster})}))


def watched(plan: Plan) -> set[Seen]:
    """What the operator lists or watches while there is the fleet of a plan."""
    asked: set[Seen] = set()

    def note(request: Request) -> Fault | None:
        if request.method == "GET" and (found := _LISTED.match(request.path)):
            asked.add((found["namespace"] or "", found["group"] or "", found["plural"]))
        return None

    async def story() -> None:
        scene = Scene()
        scene.faults["a"] = note
        await scene.declare(plan)
        task = await operate(scene.operator())
        await rest(3)
        await killed(task)

    run(story())
    return asked


def granted(plan: Plan) -> set[Seen]:
    """What the roles of the operator's tree and the fleet's let it watch."""
    roles = [file.object for file in (*rights.manifests(), *rights.of_fleet(plan, "fleet")) if "rules" in file.object]
    return {
        (role["metadata"].get("namespace", ""), group, resource)
        for role in roles
        for rule in role["rules"]
        if "watch" in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


@pytest.mark.parametrize("nodes", [Nodes.KARPENTER, Nodes.NODE_GROUPS])
def test_it_may_see_all_that_it_watches_and_watches_all_that_it_may_see(nodes: Nodes) -> None:
    plan = on_nodes(nodes)
    assert watched(plan) == granted(plan)


def test_events_of_node_groups_are_seen_only_where_there_are_some() -> None:
    there = ("kube-system", "events.k8s.io", "events")
    assert [there in granted(on_nodes(nodes)) for nodes in (Nodes.KARPENTER, Nodes.NODE_GROUPS)] == [False, True]


def test_every_kind_that_is_applied_is_watched_or_it_would_be_applied_at_every_look() -> None:
    applied = {kinds.of(found) for plan in every_plan() for found in all_of(desired_of(plan))}
    assert applied <= {*watches.MANAGED, kinds.AUTOSCALER}


def test_rights_in_its_own_namespace_are_of_its_lease_alone() -> None:
    assert not {seen for seen in granted(given()) if seen[0] == surroundings.NAMESPACE}
