"""PodDisruptionBudget: voluntary disruptions take a pool's pods one by one."""

from __future__ import annotations

from holdfast.manifests import metadata
from holdfast.manifests.manifest import Manifest
from holdfast.manifests.placement import Placement


def manifest(placement: Placement) -> Manifest:
    """One pod at a time. A least number available instead would block every drain of a pool with one replica."""
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata.of_pool(placement),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": metadata.selector(placement)},
        },
    }
    return Manifest(f"{placement.folder}/disruption-budget.yaml", budget)
