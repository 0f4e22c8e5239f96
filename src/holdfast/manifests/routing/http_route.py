"""HTTPRoute: traffic by weight, behind a Gateway."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests import metadata, names
from holdfast.manifests.manifest import BASE, Manifest
from holdfast.manifests.routing.traffic import Target
from holdfast.manifests.serving import service
from holdfast.model.plan import Plan


def manifest(plan: Plan, targets: Sequence[Target]) -> Manifest:
    """All paths, to the targets by their weights."""
    name = names.label(plan.fleet.metadata.name)
    backends = [{"name": target.service, "port": service.PORT, "weight": target.weight} for target in targets]
    route = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": metadata.of_fleet(plan, name),
        "spec": {
            "parentRefs": [{"name": name}],
            "rules": [{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "backendRefs": backends}],
        },
    }
    return Manifest(f"{BASE}/http-route.yaml", route)
