"""ConfigMaps of Grafana's dashboards, which the sidecar of kube-prometheus-stack's Grafana loads by their label."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from holdfast.manifests import metadata, names
from holdfast.manifests.manifest import BASE, Manifest
from holdfast.manifests.observing import fleet_dashboard, panels, servers_dashboard
from holdfast.manifests.observing.panels import Row
from holdfast.manifests.placement import Placement
from holdfast.model.plan import Plan

LABEL = {"grafana_dashboard": "1"}
"""Of chart kube-prometheus-stack, `grafana.sidecar.dashboards.label` and `labelValue`; it searches all namespaces."""


def manifests(plan: Plan, placed: Sequence[Placement]) -> tuple[Manifest, ...]:
    return (
        _config_map(plan, "fleet", fleet_dashboard.rows(placed)),
        _config_map(plan, "servers", servers_dashboard.rows(placed)),
    )


def _config_map(plan: Plan, about: str, rows: Sequence[Row]) -> Manifest:
    fleet = plan.fleet.metadata
    name = names.label(fleet.name, "dashboard", about)
    # One Grafana has the dashboards of all namespaces, and a uid has 40 characters.
    uid = hashlib.sha256(f"{fleet.namespace}/{name}".encode()).hexdigest()[:40]
    model = panels.dashboard(f"{fleet.namespace}/{fleet.name}: {about}", uid, ("holdfast",), rows)
    described = metadata.of_fleet(plan, name)
    described["labels"] = described["labels"] | LABEL
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": described,
        "data": {f"{name}.json": json.dumps(model, indent=2) + "\n"},
    }
    return Manifest(f"{BASE}/dashboards/{about}.yaml", config)
