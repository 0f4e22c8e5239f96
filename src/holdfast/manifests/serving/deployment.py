"""Deployment: a pool's replicas."""

from __future__ import annotations

from holdfast.manifests import metadata
from holdfast.manifests.manifest import Manifest
from holdfast.manifests.placement import Placement
from holdfast.manifests.serving import pod


def manifest(placement: Placement) -> Manifest:
    """The pool's Deployment, without `replicas`.

    The ScaledObject owns that field: a value here would throw the pool back to it whenever the tree is
    applied, in the middle of a peak for instance.
    """
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata.of_pool(placement),
        "spec": {
            "selector": {"matchLabels": metadata.selector(placement)},
            # A new replica before an old one goes: the node pool leaves room for one more node.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "progressDeadlineSeconds": pod.LOADING_S + pod.PROVISIONING_S,
            "template": {
                "metadata": {"labels": metadata.pool_labels(placement)},
                "spec": pod.spec(placement),
            },
        },
    }
    note = f"replicas is left out: ScaledObject {placement.name} owns it, and a value here would reset it."
    return Manifest(f"{placement.folder}/deployment.yaml", deployment, note)
