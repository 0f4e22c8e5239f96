"""KEDA TriggerAuthentication: KEDA asks AWS as itself, by its operator's own EKS Pod Identity."""

from __future__ import annotations

from holdfast.manifests import metadata, names
from holdfast.manifests.manifest import BASE, Manifest
from holdfast.model.fleet import InferenceFleet
from holdfast.model.plan import Plan


def name(fleet: InferenceFleet) -> str:
    return names.label(fleet.metadata.name)


def manifest(plan: Plan, needs: str) -> Manifest:
    """The authentication of all the fleet's triggers; `needs` are the actions that KEDA's role must allow."""
    authentication = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "TriggerAuthentication",
        "metadata": metadata.of_fleet(plan, name(plan.fleet)),
        "spec": {"podIdentity": {"provider": "aws"}},
    }
    return Manifest(
        f"{BASE}/trigger-authentication.yaml", authentication, f"The role of KEDA's operator needs {needs}."
    )
