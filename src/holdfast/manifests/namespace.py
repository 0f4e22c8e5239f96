"""Namespace: where the fleet lives."""

from __future__ import annotations

from holdfast.manifests import metadata
from holdfast.manifests.manifest import BASE, Manifest
from holdfast.model.errors import InputError
from holdfast.model.plan import Plan


def manifest(plan: Plan) -> Manifest:
    """The namespace, in which new pods wait until the load balancer finds them healthy.

    Raises InputError for a name with a dot, which a namespace cannot have.
    """
    name = plan.fleet.metadata.namespace
    if "." in name:
        raise InputError(f"the namespace {name!r} has a dot", mend="use letters, digits and - in metadata.namespace")
    described = metadata.of_fleet_cluster_wide(plan, name)
    described["labels"]["elbv2.k8s.aws/pod-readiness-gate-inject"] = "enabled"
    return Manifest(f"{BASE}/namespace.yaml", {"apiVersion": "v1", "kind": "Namespace", "metadata": described})
