"""A plan to manifests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.manifests import (
    deployment,
    disruption_budget,
    gateway,
    http_route,
    ingress,
    kustomization,
    namespace,
    node_class,
    node_pool,
    pod_monitor,
    scaled_object,
    service,
    service_account,
    target_group,
)
from holdfast.manifests import traffic as weighted
from holdfast.manifests.cluster import Cluster
from holdfast.manifests.manifest import Manifest
from holdfast.manifests.placement import Placement, placements
from holdfast.model.errors import InputError
from holdfast.model.fleet import DataPlane
from holdfast.model.hardware import Accelerator, InstanceType
from holdfast.model.plan import Plan, PlanStatus


def render(
    plan: Plan, hardware: Mapping[str, tuple[InstanceType, Accelerator]], cluster: Cluster | None = None
) -> tuple[Manifest, ...]:
    """The files of a Kustomize tree that carries out `plan`, by path; the same arguments give the same bytes.

    hardware: instance type and accelerator of each of the plan's pools, by unit name.
    cluster:  facts of the cluster; `Cluster()` by default.

    Raises InputError when the plan is infeasible or empty, its data plane is local, or one of its pools
    cannot be rendered; the message names the unit and the mend.
    """
    _check(plan)
    cluster = cluster or Cluster()
    placed = placements(plan, hardware)
    files = [
        namespace.manifest(plan),
        service_account.manifest(plan),
        *_data_plane(plan, placed, cluster),
        *(file for placement in placed for file in _pool(placement, cluster)),
    ]
    files.append(kustomization.manifest(plan, files))
    return tuple(sorted(files, key=lambda file: file.path))


def _check(plan: Plan) -> None:
    if plan.status is not PlanStatus.FEASIBLE:
        raise InputError(f"the plan is infeasible ({'; '.join(plan.reasons)})", mend="mend the fleet and plan anew")
    if not plan.pools:
        raise InputError("the plan has no pools", mend="plan anew")
    if plan.fleet.spec.data_plane is DataPlane.LOCAL:
        raise InputError(
            "the fleet's dataPlane is local, and there is nothing to render for it",
            mend="run it with `holdfast up`, or set dataPlane: alb",
        )


def _data_plane(plan: Plan, placed: Sequence[Placement], cluster: Cluster) -> tuple[Manifest, ...]:
    targets = weighted.targets(placed)
    if plan.fleet.spec.data_plane is DataPlane.ALB:
        return (ingress.manifest(plan, targets, cluster),)
    return (
        *gateway.manifests(plan, cluster),
        http_route.manifest(plan, targets),
        *(target_group.manifest(placement) for placement in placed),
    )


def _pool(placement: Placement, cluster: Cluster) -> tuple[Manifest, ...]:
    return (
        node_class.manifest(placement, cluster),
        node_pool.manifest(placement),
        deployment.manifest(placement),
        service.manifest(placement),
        disruption_budget.manifest(placement),
        scaled_object.manifest(placement, cluster),
        pod_monitor.manifest(placement),
    )
