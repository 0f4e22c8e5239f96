"""Service of several pools: one target group where an action has no room for one each."""

from __future__ import annotations

from holdfast.manifests import metadata
from holdfast.manifests.manifest import BASE, Manifest
from holdfast.manifests.routing import grouping
from holdfast.manifests.routing.target_group import TargetGroup
from holdfast.manifests.serving import engine, service
from holdfast.model.fleet import DataPlane
from holdfast.model.plan import Plan

FOLDER = f"{BASE}/shared"


def settings(group: grouping.Group) -> TargetGroup:
    """The target group's. Its replicas differ in speed, so that the one with the fewest requests in flight is next."""
    first = group[0]
    return TargetGroup.of(first.fleet.spec.slo, engine.readiness_path(first.unit), least_outstanding=True)


def manifest(plan: Plan, group: grouping.Group) -> Manifest:
    """The Service, whose note says which pools share it and why."""
    name = grouping.service(group)
    described = metadata.of_fleet(plan, name)
    if plan.fleet.spec.data_plane is DataPlane.ALB:
        described["annotations"] |= settings(group).annotations
    selector = {"app.kubernetes.io/name": plan.fleet.metadata.name, metadata.TARGET_GROUP: name}
    shared = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": described,
        "spec": {
            "type": "ClusterIP",
            "selector": selector,
            "ports": [{"name": "http", "port": service.PORT, "targetPort": engine.PORT, "protocol": "TCP"}],
        },
    }
    return Manifest(f"{FOLDER}/{name}/service.yaml", shared, _note(plan, group))


def _note(plan: Plan, group: grouping.Group) -> str:
    pools = ", ".join(
        f"{member.unit.name} ({member.pool.usd_per_million_requests:.4g} USD per million requests)" for member in group
    )
    weights = " + ".join(str(member.pool.weight) for member in group)
    replicas = sum(member.pool.replicas for member in group)
    expected_per_s = sum(member.pool.expected_per_s for member in group)
    slowest = min(group, key=lambda member: member.pool.limit_per_s)
    note = (
        f"The plan has {len(plan.pools)} pools, and an ALB action forwards to {grouping.MOST_TARGETS} target groups.\n"
        f"These serve in the same way and are nearest in cost, so they share one: {pools}.\n"
        f"Its weight is theirs together: {weights}. A replica more in one of them draws from the others' share.\n"
    )
    if replicas:
        note += (
            f"At the planned demand a replica gets {expected_per_s / replicas:.4g} requests/s on average; "
            f"the least limit is {slowest.unit.name}'s, {slowest.pool.limit_per_s:.4g}/s.\n"
        )
    return note
