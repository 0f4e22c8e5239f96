"""What adds and removes replicas, and nodes of managed node groups."""

from __future__ import annotations

import urllib.parse
from collections.abc import Sequence

from holdfast.manifests.addons import minor, watching
from holdfast.manifests.addons.chart import Chart
from holdfast.manifests.compute import node_groups, nodes
from holdfast.manifests.manifest import Object
from holdfast.manifests.placement import Placement
from holdfast.manifests.scaling import pod_metrics
from holdfast.model.cluster import Nodes, Scaler
from holdfast.model.plan import Plan


def charts(plan: Plan, placed: Sequence[Placement]) -> tuple[Chart, ...]:
    """The fleet's scaler, and the Cluster Autoscaler where node groups need it."""
    scaler = plan.fleet.spec.cluster.scaler
    groups = [pool for pool in placed if nodes.kind(pool) is Nodes.NODE_GROUPS]
    return (
        *([_adapter(plan)] if scaler is Scaler.HPA else [_keda(scaler)]),
        *([_cluster_autoscaler(plan, groups)] if groups else []),
    )


def _keda(scaler: Scaler) -> Chart:
    where = "CloudWatch" if scaler is Scaler.KEDA_CLOUDWATCH else "Prometheus"
    return Chart(
        name="keda",
        account="keda-operator",
        namespace="keda",
        repository="https://kedacore.github.io/charts",
        chart="keda",
        version="2.20.2",
        seen="keda/Chart.yaml of github.com/kedacore/charts, 2026-08-13",
        reason=f"Scales every pool by its ScaledObject, on metrics of {where}.",
        values={
            # A second operator takes over when the first is gone; only one of them scales.
            "operator": {"replicaCount": 2},
            "serviceAccount": {"operator": {"name": "keda-operator"}},
            "prometheus": {"operator": {"enabled": True, "serviceMonitor": {"enabled": True}}},
        },
        after=(watching.RELEASE,),
    )


def _adapter(plan: Plan) -> Chart:
    asked = urllib.parse.urlsplit(plan.fleet.spec.cluster.prometheus)
    port = asked.port or (443 if asked.scheme == "https" else 80)
    return Chart(
        name="prometheus-adapter",
        namespace="monitoring",
        repository="https://prometheus-community.github.io/helm-charts",
        chart="prometheus-adapter",
        version="5.3.0",
        seen="charts/prometheus-adapter/Chart.yaml of github.com/prometheus-community/helm-charts, 2026-08-22",
        reason="Serves metrics of Prometheus to the pools' HorizontalPodAutoscalers.",
        values={
            "prometheus": {"url": f"{asked.scheme}://{asked.hostname}", "port": port, "path": asked.path},
            "replicas": 2,
            "rules": pod_metrics.rules(),
        },
        after=(watching.RELEASE,),
    )


def _cluster_autoscaler(plan: Plan, groups: Sequence[Placement]) -> Chart:
    cluster = plan.fleet.spec.cluster
    several = [node_groups.takes_first(pool) for pool in groups if len(pool.unit.ways) > 1]
    arguments: Object = {
        "balance-similar-node-groups": True,
        "expander": "priority,least-waste" if several else "least-waste",
        # Replicas keep their caches in emptyDir; with the default, a node that ever had one would never go.
        "skip-nodes-with-local-storage": False,
    }
    if any(pool.unit.dra for pool in groups):
        arguments["enable-dynamic-resource-allocation"] = True
    units = ", ".join(pool.unit.name for pool in groups)
    return Chart(
        name="cluster-autoscaler",
        account="cluster-autoscaler",
        namespace="kube-system",
        repository="https://kubernetes.github.io/autoscaler",
        chart="cluster-autoscaler",
        version="9.59.0",
        seen="github.com/entigolabs/entigo-infralib/pull/1583, 2026-08-03",
        reason=f"Adds and removes nodes of the managed node groups of {units}.",
        values={
            "cloudProvider": "aws",
            "autoDiscovery": {"clusterName": cluster.name},
            "awsRegion": plan.fleet.spec.region,
            # It simulates the scheduler of one minor version, which must be the cluster's.
            "image": {"tag": minor.cluster_autoscaler(cluster)},
            "rbac": {"serviceAccount": {"name": "cluster-autoscaler"}},
            "extraArgs": arguments,
            **({"expanderPriorities": {"20": several, "10": [".*"]}} if several else {}),
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65534,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containerSecurityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
        },
    )
