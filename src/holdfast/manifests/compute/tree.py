"""The files of the fleet's nodes."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests.compute import auto_class, hybrid, image_pull, node_class, node_groups, node_pool, nodes
from holdfast.manifests.manifest import File
from holdfast.manifests.placement import Placement
from holdfast.model.cluster import Nodes
from holdfast.model.plan import Plan


def files(plan: Plan, placed: Sequence[Placement]) -> tuple[File, ...]:
    """A pool's nodes beside its replicas, by who brings them. Raises InputError where they cannot carry a pool."""
    groups = node_groups.file(placed)
    return (
        *(file for placement in placed for file in _nodes(nodes.checked(placement))),
        *([groups] if groups is not None else []),
    )


def _nodes(placement: Placement) -> tuple[File, ...]:
    match nodes.kind(placement):
        case Nodes.KARPENTER:
            return node_class.manifest(placement), node_pool.manifest(placement)
        case Nodes.AUTO_MODE:
            return auto_class.manifest(placement), node_pool.manifest(placement)
        case Nodes.NODE_GROUPS:
            return (image_pull.manifest(placement),)
        case Nodes.HYBRID:
            return image_pull.manifest(placement), *hybrid.files(placement)
