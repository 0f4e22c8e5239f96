"""NodePool, of Karpenter or of EKS Auto Mode: the nodes that a pool may have."""

from __future__ import annotations

from holdfast.manifests import metadata
from holdfast.manifests.compute import nodes, selection
from holdfast.manifests.manifest import Manifest, Object
from holdfast.manifests.placement import Placement
from holdfast.model.cluster import Nodes

_NODE_CLASS = {
    Nodes.KARPENTER: ("karpenter.k8s.aws", "EC2NodeClass"),
    Nodes.AUTO_MODE: ("eks.amazonaws.com", "NodeClass"),
}

_EXPIRY = {
    # Karpenter's default (karpenter.sh/docs/concepts/nodepools, spec.template.spec.expireAfter).
    Nodes.KARPENTER: "720h",
    # Auto Mode's default; it ends a node after 21 days whatever is said here
    # (docs.aws.amazon.com/eks/latest/userguide/automode-learn-instances.html).
    Nodes.AUTO_MODE: "336h",
}


def manifest(placement: Placement) -> Manifest:
    """The pool's nodes: one instance type, its capacity types and zones, with limits."""
    node_pool = {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": metadata.of_pool_cluster_wide(placement, price_source=placement.pool.price_source),
        "spec": {
            "template": {
                "metadata": {"labels": selection.node_labels(placement)},
                "spec": _node(placement),
            },
            "limits": limits(placement),
            "disruption": _disruption(placement),
        },
    }
    return Manifest(f"{placement.folder}/node-pool.yaml", node_pool)


def limits(placement: Placement) -> dict[str, str]:
    """CPUs and devices of the most nodes that the pool may have."""
    count = placement.node_limit
    return {
        "cpu": str(count * placement.instance.vcpus),
        placement.accelerator.resource_name: str(count * placement.instance.resource_count),
    }


def _node(placement: Placement) -> Object:
    """A node, without a termination grace period: one would end drains that wait for replacements to load.

    The instance type says which device it has; labels such as instance-gpu-name, whose prefix is karpenter.k8s.aws or
    eks.amazonaws.com, would only repeat it. Auto Mode has no label for the operating system: it is always Linux.
    """
    kind = nodes.kind(placement)
    group, node_class = _NODE_CLASS[kind]
    zones = nodes.zones(placement)
    return {
        "nodeClassRef": {"group": group, "kind": node_class, "name": placement.node_pool},
        "requirements": [
            _one_of("node.kubernetes.io/instance-type", placement.instance.name),
            _one_of("karpenter.sh/capacity-type", *(way.value for way in placement.unit.ways)),
            *([_one_of("topology.kubernetes.io/zone", *zones)] if zones else []),
            _one_of("kubernetes.io/arch", "amd64"),
            *([_one_of("kubernetes.io/os", "linux")] if kind is Nodes.KARPENTER else []),
        ],
        "taints": selection.taints(placement),
        "expireAfter": _EXPIRY[kind],
    }


def _disruption(placement: Placement) -> Object:
    """One node at a time. Replicas that fill a node cannot be packed tighter, so that only empty nodes go."""
    shared = placement.servers_share_nodes
    return {
        "consolidationPolicy": "WhenEmptyOrUnderutilized" if shared else "WhenEmpty",
        "consolidateAfter": "5m",
        "budgets": [{"nodes": "1"}],
    }


def _one_of(key: str, *values: str) -> Object:
    return {"key": key, "operator": "In", "values": list(values)}
