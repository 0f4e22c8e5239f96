"""The files of how requests reach the pools."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests.manifest import File
from holdfast.manifests.placement import Placement
from holdfast.manifests.routing import gateway, http_route, ingress, target_group, traffic
from holdfast.model.fleet import DataPlane
from holdfast.model.plan import Plan


def files(plan: Plan, placed: Sequence[Placement]) -> tuple[File, ...]:
    """The fleet's data plane."""
    targets = traffic.targets(placed)
    if plan.fleet.spec.data_plane is DataPlane.ALB:
        return (ingress.manifest(plan, targets),)
    return (
        *gateway.manifests(plan),
        http_route.manifest(plan, targets),
        *(target_group.manifest(placement) for placement in placed),
    )
