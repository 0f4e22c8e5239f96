"""Alerts about capacity that cannot be had: of nodes, and of pods that wait for them.

On insufficient capacity Karpenter deletes the NodeClaim and counts it as disrupted (Karpenter 1.14,
karpenter_nodeclaims_disrupted_total). A counter that begins at 1 has no increase: new series count as one. Auto Mode's
Karpenter shows no metrics to its users, and node groups have none; pods that no node takes are told by
kube-state-metrics, whoever brings the nodes.
"""

from __future__ import annotations

from holdfast.manifests.manifest import Object
from holdfast.manifests.observing.alert import Severity, alert
from holdfast.manifests.placement import Placement
from holdfast.model.cluster import Nodes

_WINDOW = "10m"
"""Karpenter leaves an offering alone for 3 minutes: within it a pool that is short is refused several times."""

_UNSCHEDULABLE_FOR = "5m"


def alerts(placement: Placement) -> list[Object]:
    """What tells that the pool gets no nodes."""
    nodes = placement.unit.nodes or placement.fleet.spec.cluster.nodes
    return [*([_refused(placement)] if nodes is Nodes.KARPENTER else []), _unschedulable(placement)]


def _refused(placement: Placement) -> Object:
    wanted = f'reason="insufficient_capacity",nodepool="{placement.node_pool}"'
    counter = f"karpenter_nodeclaims_disrupted_total{{{wanted}}}"
    risen, new = f"increase({counter}[{_WINDOW}]) > 0", f"({counter} unless {counter} offset {_WINDOW}) > 0"
    return alert(
        placement.fleet,
        "HoldfastCapacityShortage",
        f"sum({risen} or {new})",
        held="0s",
        severity=Severity.TICKET,
        summary=f"EC2 has no capacity for pool {placement.unit.name} of fleet {placement.fleet.metadata.name}",
        description=f"Karpenter was refused {placement.unit.instance_type} {{{{ $value | humanize }}}} times in the "
        f"last {_WINDOW}.",
        pool=placement.unit.name,
    )


def _unschedulable(placement: Placement) -> Object:
    names = "|".join(_pods(target.name, placement.spans_nodes) for target in placement.scale_targets)
    namespace = placement.fleet.metadata.namespace
    return alert(
        placement.fleet,
        "HoldfastPodsUnschedulable",
        f'sum(kube_pod_status_unschedulable{{namespace="{namespace}",pod=~"{names}"}}) > 0',
        held=_UNSCHEDULABLE_FOR,
        severity=Severity.TICKET,
        summary=f"Pods of pool {placement.unit.name} of fleet {placement.fleet.metadata.name} find no node",
        description="{{ $value | humanize }} of its pods wait for a node.",
        pool=placement.unit.name,
    )


def _pods(name: str, spans_nodes: bool) -> str:
    """Names of its pods: two suffixes of a Deployment's, the group's index and the worker's of a LeaderWorkerSet's.

    Exactly these, as the name of one pool may begin with that of another.
    """
    return f"{name}-[0-9]+(-[0-9]+)?" if spans_nodes else f"{name}-[a-z0-9]+-[a-z0-9]{{5}}"
