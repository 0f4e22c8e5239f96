"""Karpenter: makes nodes for pods that wait."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests.addons import watching
from holdfast.manifests.addons.chart import Chart
from holdfast.manifests.compute import nodes
from holdfast.manifests.placement import Placement
from holdfast.model.cluster import Nodes
from holdfast.model.plan import Plan


def charts(plan: Plan, placed: Sequence[Placement]) -> tuple[Chart, ...]:
    """Its chart, where pools have its nodes. Terraform makes its role, its queue and the nodes that it runs on."""
    pools = [placement.unit.name for placement in placed if nodes.kind(placement) is Nodes.KARPENTER]
    if not pools:
        return ()
    cluster = plan.fleet.spec.cluster
    return (
        Chart(
            name="karpenter",
            account="karpenter",
            namespace="kube-system",
            repository="oci://public.ecr.aws/karpenter",
            chart="karpenter",
            version="1.14.1",
            seen="tag v1.14.1 of github.com/aws/karpenter-provider-aws, 2026-08-20",
            reason=f"Makes and removes nodes of {', '.join(pools)}.",
            values={
                # The queue has this name in terraform/nodes.tf.
                "settings": {"clusterName": cluster.name, "interruptionQueue": f"Karpenter-{cluster.name}"},
                # Off in the chart. The alert of refused capacity (observing.shortage) reads what it counts.
                "serviceMonitor": {"enabled": True},
            },
            after=(watching.RELEASE,),
        ),
    )
