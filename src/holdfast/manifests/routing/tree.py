"""The files of how requests reach the pools.

edge (load balancer: TLS, who may ask)  ->  cascade, where there is one  ->  pools by weight
                                                                         or  gateway, picker, any replica
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from holdfast.manifests import metadata
from holdfast.manifests.manifest import File, Manifest, Object
from holdfast.manifests.placement import Placement
from holdfast.manifests.routing import (
    cascade,
    cascade_proxy,
    endpoint_picker,
    gateway,
    grouping,
    http_route,
    inference_gateway,
    inference_pool,
    ingress,
    listener_rule,
    shared_service,
    target_group,
    traffic,
)
from holdfast.manifests.routing.target_group import TargetGroup
from holdfast.manifests.routing.traffic import Target
from holdfast.manifests.serving import service
from holdfast.model.cluster import Scaler
from holdfast.model.errors import InputError
from holdfast.model.fleet import DataPlane, InferenceFleet
from holdfast.model.plan import Plan


@dataclass(frozen=True)
class _Backend:
    """A Service that the load balancer forwards to, its metadata and target group, and the folder of its files."""

    folder: str
    metadata: Object
    group: TargetGroup

    @property
    def service(self) -> str:
        return str(self.metadata["name"])


def files(plan: Plan, placed: Sequence[Placement]) -> tuple[File, ...]:
    """The fleet's data plane. Raises InputError where its parts do not go together."""
    asked = cascade.checked(plan.fleet)
    _check_kv_aware(plan)
    own: list[File] = []
    if asked is not None:
        own += cascade_proxy.manifests(plan, asked, placed)
    if plan.fleet.spec.cluster.kv_aware_routing:
        own += [inference_pool.manifest(plan), *endpoint_picker.manifests(plan), *inference_gateway.manifests(plan)]
    if weighs_pools(plan.fleet):
        own += [shared_service.manifest(plan, group) for group in grouping.groups(placed) if len(group) > 1]
    if plan.fleet.spec.data_plane is DataPlane.ALB:
        return route(plan, placed), *own
    return (
        *gateway.manifests(plan),
        *listener_rule.manifests(plan),
        route(plan, placed),
        *http_route.to_tls(plan),
        *(_configuration(plan, backend) for backend in _backends(plan, placed)),
        *own,
    )


def route(plan: Plan, placed: Sequence[Placement], weights: Mapping[str, int] | None = None) -> Manifest:
    """The Ingress or HTTPRoute by which requests reach the pools.

    weights: by unit name, the plan's where none are given; they are in it only where `weighs_pools`.
    """
    targets = _targets(plan.fleet, placed, weights)
    if plan.fleet.spec.data_plane is DataPlane.ALB:
        return ingress.manifest(plan, targets)
    return http_route.manifest(plan, targets)


def weighs_pools(fleet: InferenceFleet) -> bool:
    """Whether the load balancer itself shares traffic out among the pools."""
    return fleet.spec.cluster.cascade is None and not fleet.spec.cluster.kv_aware_routing


def shared_out(plan: Plan, placed: Sequence[Placement]) -> tuple[Placement, ...]:
    """The placements, with the Service that each shares where there are more pools than target groups."""
    shared = grouping.shared(placed) if weighs_pools(plan.fleet) else {}
    return tuple(replace(placement, shared_service=shared.get(placement.unit.name)) for placement in placed)


def _targets(
    fleet: InferenceFleet, placed: Sequence[Placement], weights: Mapping[str, int] | None
) -> tuple[Target, ...]:
    if fleet.spec.cluster.cascade is not None:
        return (cascade_proxy.target(fleet),)
    if fleet.spec.cluster.kv_aware_routing:
        return (inference_gateway.target(fleet),)
    return traffic.targets(placed, weights)


def _backends(plan: Plan, placed: Sequence[Placement]) -> tuple[_Backend, ...]:
    """What the targets are, for the TargetGroupConfigurations of Gateway API."""
    fleet = plan.fleet
    if fleet.spec.cluster.cascade is not None:
        described = metadata.of_fleet(plan, cascade_proxy.name(fleet))
        return (_Backend(cascade_proxy.FOLDER, described, cascade_proxy.target_group(fleet)),)
    if fleet.spec.cluster.kv_aware_routing:
        described = metadata.of_fleet(plan, inference_gateway.name(fleet))
        return (_Backend(endpoint_picker.FOLDER, described, inference_gateway.target_group(fleet)),)
    return tuple(_backend(plan, group) for group in grouping.groups(placed))


def _backend(plan: Plan, group: grouping.Group) -> _Backend:
    first = group[0]
    if len(group) == 1:
        return _Backend(first.folder, metadata.of_pool(first), service.target_group(first))
    name = grouping.service(group)
    described = metadata.of_fleet(plan, name)
    return _Backend(f"{shared_service.FOLDER}/{name}", described, shared_service.settings(group))


def _configuration(plan: Plan, backend: _Backend) -> File:
    # CloudWatch knows a target group by its name, which the controller would make up.
    counted = plan.fleet.spec.cluster.scaler is Scaler.KEDA_CLOUDWATCH
    name = target_group.name(plan.fleet, backend.service) if counted else None
    path = f"{backend.folder}/target-group.yaml"
    return backend.group.configuration(path, backend.metadata, backend.service, name)


def _check_kv_aware(plan: Plan) -> None:
    if not plan.fleet.spec.cluster.kv_aware_routing:
        return
    if plan.fleet.spec.data_plane is not DataPlane.GATEWAY_API:
        raise InputError(
            "kvAwareRouting needs Gateway API, and the fleet's dataPlane is alb",
            where="spec.cluster.kvAwareRouting",
            mend="set dataPlane: gateway-api, or remove kvAwareRouting",
        )
    others = [pool.unit for pool in plan.pools if not plan.fleet.unit(pool.unit).runs_vllm]
    if others:
        raise InputError(
            f"kvAwareRouting reads vLLM's caches, and unit {others[0]} runs {plan.fleet.unit(others[0]).framework}",
            where="spec.cluster.kvAwareRouting",
            mend="remove kvAwareRouting, or the unit",
        )
