"""Kustomization: the list of the tree's files."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests.manifest import Manifest
from holdfast.model.plan import Plan


def manifest(plan: Plan, manifests: Sequence[Manifest]) -> Manifest:
    """The entry of the tree: `kubectl apply -k` on its folder."""
    listing = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted(manifest.path for manifest in manifests),
    }
    note = (
        f"Rendered by holdfast from the plan of fleet {plan.fleet.metadata.name}: "
        f"{plan.demand_per_s:.6g} requests/s for {plan.cost_usd_per_h:.6g} USD/h."
    )
    return Manifest("kustomization.yaml", listing, note)
