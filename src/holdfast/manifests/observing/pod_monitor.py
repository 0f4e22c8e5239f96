"""PodMonitor: has Prometheus read the counters that a pool is scaled by."""

from __future__ import annotations

from holdfast.manifests import metadata
from holdfast.manifests.manifest import Manifest
from holdfast.manifests.placement import Placement
from holdfast.manifests.serving import engine, labels

INTERVAL_S = 15


def job(placement: Placement) -> str:
    """The `job` label of the pool's series, which Prometheus makes of the PodMonitor's namespace and name."""
    return f"{placement.fleet.metadata.namespace}/{placement.name}"


def manifest(placement: Placement) -> Manifest:
    """The metrics of the pool's pods, under a job of their own."""
    by_role = {} if placement.unit.disaggregated is None else {"podTargetLabels": [labels.ROLE]}
    monitor = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": metadata.of_pool(placement),
        "spec": by_role
        | {
            "selector": {"matchLabels": metadata.selector(placement)},
            "podMetricsEndpoints": [{"port": "http", "path": engine.METRICS_PATH, "interval": f"{INTERVAL_S}s"}],
        },
    }
    return Manifest(f"{placement.folder}/pod-monitor.yaml", monitor)
