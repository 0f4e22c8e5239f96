"""The files of the fleet's nodes."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests.compute import node_class, node_pool
from holdfast.manifests.manifest import File
from holdfast.manifests.placement import Placement
from holdfast.model.plan import Plan


def files(plan: Plan, placed: Sequence[Placement]) -> tuple[File, ...]:
    """A pool's nodes beside its replicas, by who brings them."""
    return tuple(file for placement in placed for file in _nodes(placement))


def _nodes(placement: Placement) -> tuple[File, ...]:
    return node_class.manifest(placement), node_pool.manifest(placement)
