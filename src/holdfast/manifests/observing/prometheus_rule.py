"""PrometheusRule: what is recorded of a fleet, and when somebody is told."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests import metadata, names
from holdfast.manifests.manifest import BASE, Manifest
from holdfast.manifests.observing import capacity, objectives, shortage, steering
from holdfast.manifests.placement import Placement
from holdfast.model.plan import Plan

_INTERVAL = "30s"


def manifest(plan: Plan, placed: Sequence[Placement]) -> Manifest:
    """The fleet's rules, in groups that are evaluated one after the other each."""
    fleet = plan.fleet
    groups = {
        "slo": [*objectives.recorded(placed), *objectives.alerts(placed)],
        "capacity": [*capacity.recorded(placed), *capacity.alerts(placed)],
        "shortage": [rule for placement in placed for rule in shortage.alerts(placement)],
        "steering": steering.alerts(fleet),
    }
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": metadata.of_fleet(plan, names.label(fleet.metadata.name)),
        "spec": {
            "groups": [
                {
                    "name": f"{fleet.metadata.namespace}/{fleet.metadata.name}/{group}",
                    "interval": _INTERVAL,
                    "rules": rules,
                }
                for group, rules in groups.items()
            ]
        },
    }
    return Manifest(f"{BASE}/prometheus-rule.yaml", rule, _note(placed))


def _note(placed: Sequence[Placement]) -> str:
    unseen = objectives.unmeasured(placed)
    found = ["Latencies are the servers' own: without load balancer, network and client."]
    if unseen:
        found.append(f"No server measures these bounds of the SLO as a client does: {', '.join(unseen)}.")
    return "\n".join(found)
