"""ResourceClaimTemplate: devices by Dynamic Resource Allocation, instead of a device plugin's counted resource."""

from __future__ import annotations

from holdfast.manifests import metadata
from holdfast.manifests.manifest import Manifest, Object
from holdfast.manifests.placement import Placement

NAME = "devices"
_CLASS = "gpu.nvidia.com"
"""DeviceClass that NVIDIA's DRA driver makes for whole GPUs."""


def api_version(kubernetes: str) -> str:
    """resource.k8s.io is v1 from Kubernetes 1.34; in 1.33 the same shape is called v1beta2."""
    minor = int(kubernetes.partition(".")[2])
    return "resource.k8s.io/v1" if minor >= 34 else "resource.k8s.io/v1beta2"


def manifest(placement: Placement) -> Manifest:
    """The claim that each of the pool's pods gets: so many GPUs, of one node."""
    devices = {"allocationMode": "ExactCount", "count": placement.devices_per_pod, "deviceClassName": _CLASS}
    template = {
        "apiVersion": api_version(placement.fleet.spec.cluster.kubernetes_version),
        "kind": "ResourceClaimTemplate",
        "metadata": metadata.of_pool(placement),
        "spec": {"spec": {"devices": {"requests": [{"name": NAME, "exactly": devices}]}}},
    }
    return Manifest(f"{placement.folder}/resource-claim-template.yaml", template)


def of_pod(placement: Placement) -> Object:
    """The pod's part of the claim; nothing where devices are counted."""
    if not placement.unit.dra:
        return {}
    return {"resourceClaims": [{"name": NAME, "resourceClaimTemplateName": placement.name}]}
