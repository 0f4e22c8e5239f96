"""ServiceAccount: an identity without a token; inference needs nothing of the Kubernetes API."""

from __future__ import annotations

from holdfast.manifests import metadata, names
from holdfast.manifests.manifest import BASE, Manifest
from holdfast.model.fleet import InferenceFleet
from holdfast.model.plan import Plan


def name(fleet: InferenceFleet) -> str:
    return names.label(fleet.metadata.name)


def manifest(plan: Plan) -> Manifest:
    """The account of all the fleet's pods."""
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata.of_fleet(plan, name(plan.fleet)),
        "automountServiceAccountToken": False,
    }
    return Manifest(f"{BASE}/service-account.yaml", account)
