"""What replicas over several servers need: groups of pods, and a fabric between them."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests.addons.chart import Chart
from holdfast.manifests.compute import nodes
from holdfast.manifests.placement import Placement
from holdfast.model.cluster import Nodes


def charts(placed: Sequence[Placement]) -> tuple[Chart, ...]:
    """LeaderWorkerSet where one server is over several nodes, the EFA plugin where servers of a replica talk by it."""
    groups = [pool.unit.name for pool in placed if pool.spans_nodes]
    fabric = [pool for pool in placed if (pool.spans_nodes or pool.unit.disaggregated) and _has_efa(pool)]
    return (
        *([_leader_worker_set(groups)] if groups else []),
        *([_efa(fabric)] if fabric else []),
    )


def _has_efa(placement: Placement) -> bool:
    """Auto Mode brings EFA's plugin itself; hybrid nodes have no EFA."""
    return placement.instance.efa_interfaces > 0 and nodes.kind(placement) in (Nodes.KARPENTER, Nodes.NODE_GROUPS)


def _leader_worker_set(units: Sequence[str]) -> Chart:
    return Chart(
        name="lws",
        namespace="lws-system",
        repository="oci://registry.k8s.io/lws/charts",
        chart="lws",
        version="0.10.0",
        seen="site/content/en/docs/installation of github.com/kubernetes-sigs/lws at v0.10.0, 2026-08-11",
        reason=f"A replica of {', '.join(units)} is a group of pods on several nodes that start and fail together.",
        values={
            "replicaCount": 2,
            "image": {"manager": {"tag": "v0.10.0", "pullPolicy": "IfNotPresent"}},
        },
    )


def _efa(pools: Sequence[Placement]) -> Chart:
    keys = sorted({pool.accelerator.resource_name for pool in pools})
    return Chart(
        name="aws-efa-k8s-device-plugin",
        namespace="kube-system",
        repository="https://aws.github.io/eks-charts",
        chart="aws-efa-k8s-device-plugin",
        version="v0.5.30",
        seen="stable/aws-efa-k8s-device-plugin/Chart.yaml of github.com/aws/eks-charts, 2026-08-03",
        reason=f"Advertises vpc.amazonaws.com/efa, by which the servers of {_names(pools)} exchange tensors.",
        values={"tolerations": [{"key": key, "operator": "Exists", "effect": "NoSchedule"} for key in keys]},
    )


def _names(pools: Sequence[Placement]) -> str:
    return ", ".join(pool.unit.name for pool in pools)
