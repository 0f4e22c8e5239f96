"""Kustomization: the list of a folder's files."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests.manifest import File, Manifest
from holdfast.model.plan import Plan

OVERLAY = "production"
"""The one overlay that is rendered: the place for what a team changes."""


def of_folder(folder: str, files: Sequence[File], note: str = "") -> Manifest:
    """The entry of a folder: `kubectl apply -k` on it applies those of the files that are objects in it."""
    within = f"{folder}/"
    inside = sorted(
        file.path.removeprefix(within) for file in files if isinstance(file, Manifest) and file.path.startswith(within)
    )
    return _manifest(folder, inside, note)


def overlay(plan: Plan, base: str) -> Manifest:
    """An overlay that takes the base as it is: the place for what a team changes."""
    note = (
        f"Rendered by holdfast from the plan of fleet {plan.fleet.metadata.name}: "
        f"{plan.demand_per_s:.6g} requests/s for {plan.cost_usd_per_h:.6g} USD/h."
    )
    return _manifest(f"overlays/{OVERLAY}", [f"../../{base}"], note)


def _manifest(folder: str, resources: Sequence[str], note: str) -> Manifest:
    listing = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": list(resources),
    }
    return Manifest(f"{folder}/kustomization.yaml", listing, note)
