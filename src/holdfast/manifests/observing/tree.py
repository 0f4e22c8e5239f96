"""The files of what is watched."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests.manifest import File
from holdfast.manifests.observing import cloudwatch, dashboards, pod_monitor, prometheus_rule
from holdfast.manifests.placement import Placement
from holdfast.model.plan import Plan


def files(plan: Plan, placed: Sequence[Placement]) -> tuple[File, ...]:
    """What Prometheus reads, records and says; what Grafana and CloudWatch show."""
    return (
        *(pod_monitor.manifest(placement) for placement in placed),
        prometheus_rule.manifest(plan, placed),
        *dashboards.manifests(plan, placed),
        cloudwatch.dashboard(plan.fleet),
        cloudwatch.container_insights(),
    )
