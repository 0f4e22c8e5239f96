"""Labels and annotations."""

from __future__ import annotations

from holdfast.manifests.manifest import Object
from holdfast.manifests.placement import Placement
from holdfast.model.fleet import InferenceFleet
from holdfast.model.plan import Plan

REASON = "holdfast.dev/reason"
UNIT = "holdfast.dev/unit"
"""Label of a pool's objects, pods and nodes: the name of its unit."""

PART_OF = "app.kubernetes.io/part-of"
"""Label of a fleet's objects and pods: its name."""

TARGET_GROUP = "holdfast.dev/target-group"
"""Label of pods that share a Service with those of other pools: its name."""

ACCEPT = "holdfast.dev/accept."
"""Followed by the name of a check (`checks`), and with a reason: its suspicious findings on the object are notes."""


def selector(placement: Placement) -> dict[str, str]:
    """The labels that single out a pool's pods; a Deployment may never change them."""
    return {"app.kubernetes.io/name": placement.fleet.metadata.name, "app.kubernetes.io/instance": placement.name}


def pool_labels(placement: Placement) -> dict[str, str]:
    """The labels of a pool's objects and pods."""
    shared = {} if placement.shared_service is None else {TARGET_GROUP: placement.shared_service}
    return _fleet_labels(placement.fleet) | selector(placement) | {UNIT: placement.unit.name} | shared


def node_labels(placement: Placement) -> dict[str, str]:
    """The labels of a pool's nodes. A kubelet refuses to start with labels of kubernetes.io that it does not know."""
    return {"holdfast.dev/fleet": placement.fleet.metadata.name, UNIT: placement.unit.name}


def explained(reasons: dict[str, str]) -> dict[str, str]:
    """Annotations by which an object tells checkov that findings are meant, and why, by check."""
    return {f"checkov.io/skip{n}": f"{check}={why}" for n, (check, why) in enumerate(reasons.items(), start=1)}


def of_pool(placement: Placement, **annotations: str) -> Object:
    """Metadata of a pool's object in the fleet's namespace; `annotations` are further ones under holdfast.dev."""
    return _pool(placement, placement.name, annotations) | {"namespace": placement.fleet.metadata.namespace}


def of_pool_cluster_wide(placement: Placement, **annotations: str) -> Object:
    """Metadata of a pool's object that belongs to no namespace."""
    return _pool(placement, placement.node_pool, annotations)


def of_fleet(plan: Plan, name: str) -> Object:
    """Metadata of an object that all pools share, in the fleet's namespace."""
    return of_fleet_cluster_wide(plan, name) | {"namespace": plan.fleet.metadata.namespace}


def of_fleet_cluster_wide(plan: Plan, name: str) -> Object:
    """Metadata of an object that all pools share and that belongs to no namespace."""
    return {
        "name": name,
        "labels": _fleet_labels(plan.fleet),
        "annotations": {REASON: "; ".join(plan.reasons)},
    }


def _pool(placement: Placement, name: str, annotations: dict[str, str]) -> Object:
    further = {f"holdfast.dev/{key.replace('_', '-')}": text for key, text in annotations.items()}
    return {
        "name": name,
        "labels": pool_labels(placement),
        "annotations": {REASON: placement.pool.reason} | further,
    }


def _fleet_labels(fleet: InferenceFleet) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": fleet.metadata.name,
        PART_OF: fleet.metadata.name,
        "app.kubernetes.io/managed-by": "holdfast",
    }
