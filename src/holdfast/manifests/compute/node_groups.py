"""Managed node groups, which Terraform makes and the Cluster Autoscaler adds nodes to and removes them from."""

from __future__ import annotations

import json
from collections.abc import Sequence

from holdfast.manifests import names
from holdfast.manifests.compute import disk, nodes, selection
from holdfast.manifests.manifest import Object, TextFile
from holdfast.manifests.placement import Placement
from holdfast.model.cluster import Nodes
from holdfast.model.fleet import CapacityType

PATH = "terraform/node_groups.auto.tfvars.json"

_EFFECTS = {"NoSchedule": "NO_SCHEDULE"}
"""A taint's effect as the EKS API spells it (docs.aws.amazon.com/eks/latest/APIReference/API_Taint.html)."""


def file(placed: Sequence[Placement]) -> TextFile | None:
    """Terraform's variable `node_groups` with a group for each way in which a pool's instances are bought."""
    groups = {
        name: group
        for placement in placed
        if nodes.kind(placement) is Nodes.NODE_GROUPS
        for name, group in _groups(placement).items()
    }
    if not groups:
        return None
    return TextFile(PATH, json.dumps({"node_groups": groups}, indent=2, sort_keys=True) + "\n")


def takes_first(placement: Placement) -> str:
    """A pattern for the Auto Scaling group of the pool's main way of buying, where there are several.

    EKS names it `eks-<node group>-<uuid>` (aws.amazon.com/blogs/containers/amazon-eks-1-21-released).
    """
    return f"^eks-{placement.node_pool}-[0-9a-f]{{8}}-"


def _groups(placement: Placement) -> dict[str, Object]:
    """A node group has one capacity type; pods do not ask which of their pool's groups a node is from."""
    main, *others = placement.unit.ways
    groups = {placement.node_pool: _group(placement, main, _fewest(placement))}
    for way in others:
        groups[_name(placement, way)] = _group(placement, way, int(placement.unit.dra))
    return groups


def _name(placement: Placement, way: CapacityType) -> str:
    """At most 63 characters, as EKS wants (docs.aws.amazon.com/eks/latest/APIReference/API_CreateNodegroup.html)."""
    fleet = placement.fleet.metadata
    return names.label(fleet.namespace, fleet.name, placement.unit.name, way.value)


def _fewest(placement: Placement) -> int:
    """Nodes that always stand: those of the fewest replicas.

    With DRA one at least: the autoscaler knows the devices of a group from a node of it, as its AWS provider describes
    none for a group without nodes (github.com/kubernetes/autoscaler/issues/7799, read 2026-11-21).
    """
    return max(placement.nodes_for(placement.pool.autoscaling.min_replicas), int(placement.unit.dra))


def _group(placement: Placement, way: CapacityType, fewest: int) -> Object:
    return {
        "instance_types": [placement.instance.name],
        # A reservation that is open to matching instances is taken up by those bought on demand.
        "capacity_type": "SPOT" if way is CapacityType.SPOT else "ON_DEMAND",
        "zones": list(nodes.zones(placement)),
        "min_size": fewest,
        "max_size": placement.node_limit,
        "labels": selection.node_labels(placement),
        "taints": [taint | {"effect": _EFFECTS[taint["effect"]]} for taint in selection.taints(placement)],
        "ami_type": "AL2023_x86_64_NVIDIA" if nodes.is_nvidia(placement) else "AL2023_x86_64_NEURON",
        "disk_gib": disk.gib(placement),
    }
