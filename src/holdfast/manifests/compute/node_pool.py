"""Karpenter NodePool: the nodes that a pool may have."""

from __future__ import annotations

from holdfast.manifests import metadata
from holdfast.manifests.manifest import Manifest, Object
from holdfast.manifests.placement import Placement

LABEL = "karpenter.sh/nodepool"
"""Label that Karpenter gives to the nodes of a NodePool."""


def taints(placement: Placement) -> list[Object]:
    """Taints of the nodes, so that nothing settles there that uses no device.

    The key is the resource's name, which the vendors' device plugins tolerate by default.
    """
    return [{"key": placement.accelerator.resource_name, "value": "present", "effect": "NoSchedule"}]


def manifest(placement: Placement) -> Manifest:
    """The pool's nodes: one instance type, its capacity types and zones, with limits."""
    node_pool = {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": metadata.of_pool_cluster_wide(placement, price_source=placement.pool.price_source),
        "spec": {
            "template": {
                "metadata": {"labels": metadata.node_labels(placement)},
                "spec": _node(placement),
            },
            "limits": limits(placement),
            "disruption": _disruption(placement),
        },
    }
    return Manifest(f"{placement.folder}/node-pool.yaml", node_pool)


def limits(placement: Placement) -> dict[str, str]:
    """CPUs and devices of the most nodes that the pool may need and one more.

    A node that drifts, expires or rolls out is replaced before it goes, which at the limit could never begin.
    """
    nodes = placement.most_nodes + 1
    return {
        "cpu": str(nodes * placement.instance.vcpus),
        placement.accelerator.resource_name: str(nodes * placement.instance.resource_count),
    }


def _node(placement: Placement) -> Object:
    """A node, without a termination grace period: one would end drains that wait for replacements to load."""
    zones = placement.unit.zones or placement.fleet.spec.zones
    return {
        "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": placement.node_pool},
        "requirements": [
            _one_of("node.kubernetes.io/instance-type", placement.instance.name),
            _one_of("karpenter.sh/capacity-type", *(way.value for way in placement.unit.ways)),
            *([_one_of("topology.kubernetes.io/zone", *zones)] if zones else []),
            _one_of("kubernetes.io/arch", "amd64"),
            _one_of("kubernetes.io/os", "linux"),
        ],
        "taints": taints(placement),
        "expireAfter": "720h",
    }


def _disruption(placement: Placement) -> Object:
    """One node at a time. Replicas that fill a node cannot be packed tighter, so that only empty nodes go."""
    shared = placement.replicas_per_node > 1
    return {
        "consolidationPolicy": "WhenEmptyOrUnderutilized" if shared else "WhenEmpty",
        "consolidateAfter": "5m",
        "budgets": [{"nodes": "1"}],
    }


def _one_of(key: str, *values: str) -> Object:
    return {"key": key, "operator": "In", "values": list(values)}
