"""Service: a pool's pods as one target group."""

from __future__ import annotations

from holdfast.manifests import metadata
from holdfast.manifests.manifest import Manifest
from holdfast.manifests.placement import Placement
from holdfast.manifests.routing.target_group import TargetGroup
from holdfast.manifests.serving import engine, labels
from holdfast.model.fleet import DataPlane

PORT = engine.PORT
"""The pod's own: the VPC CNI's policies want a Service's port to be that of its containers (EKS user guide, "Amazon VPC
CNI", considerations of network policies)."""


def manifest(placement: Placement) -> Manifest:
    """The pool's Service. For an ALB it carries its target group's settings, which differ by framework."""
    described = metadata.of_pool(placement)
    if placement.fleet.spec.data_plane is DataPlane.ALB:
        described["annotations"] |= target_group(placement).annotations
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": described,
        "spec": {
            "type": "ClusterIP",
            "selector": labels.of_targets(placement),
            # By number: a name would be looked for among containers, and a decode pod's proxy is an init container.
            "ports": [{"name": "http", "port": PORT, "targetPort": engine.PORT, "protocol": "TCP"}],
        },
    }
    return Manifest(f"{placement.folder}/service.yaml", service)


def target_group(placement: Placement) -> TargetGroup:
    """The pool's target group, whose health check differs by framework."""
    return TargetGroup.of(placement.fleet.spec.slo, engine.readiness_path(placement.unit))
