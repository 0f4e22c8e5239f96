"""What pods ask of their nodes."""

from __future__ import annotations

from holdfast.manifests.checks.objects import Mapping, mapping
from holdfast.manifests.checks.quantities import amount
from holdfast.manifests.checks.trees import Container, Workload

NEURON_CORE = "aws.amazon.com/neuroncore"
_VENDORS = ("nvidia.com/", "aws.amazon.com/neuron", "amd.com/")


def is_device(resource: str) -> bool:
    return resource.startswith(_VENDORS)


def limits(container: Container) -> Mapping:
    return mapping(container.spec, "resources", "limits")


def requests(container: Container) -> Mapping:
    """What is requested; a limit counts as a request where none is stated."""
    return limits(container) | mapping(container.spec, "resources", "requests")


def devices(container: Container) -> dict[str, float]:
    """The devices that a container asks for, by resource."""
    asked = {name: amount(value) or 0.0 for name, value in requests(container).items() if is_device(name)}
    return {name: count for name, count in asked.items() if count > 0}


def uses_devices(workload: Workload) -> bool:
    """Whether its pods use accelerators, by a device plugin or by a claim."""
    return any(
        devices(container) or mapping(container.spec, "resources").get("claims") for container in workload.containers
    )


def of_pod(workload: Workload) -> dict[str, float]:
    """What the scheduler counts for a pod, by resource: all that stay, or an init container where that asks for more.

    kubernetes.io/docs/concepts/workloads/pods/init-containers, "Resource sharing within containers".
    """
    total: dict[str, float] = {}
    for container in workload.containers:
        if container.stays:
            for name, value in requests(container).items():
                total[name] = total.get(name, 0.0) + (amount(value) or 0.0)
    for container in workload.containers:
        if not container.stays:
            for name, value in requests(container).items():
                total[name] = max(total.get(name, 0.0), amount(value) or 0.0)
    return total
