"""Who brings a pool's nodes."""

from __future__ import annotations

from holdfast.manifests.placement import Placement
from holdfast.model.cluster import Nodes
from holdfast.model.errors import InputError
from holdfast.model.fleet import CapacityType

PROVISIONED = (Nodes.KARPENTER, Nodes.AUTO_MODE)
"""Nodes that a NodePool describes, and that are made for a pod that waits."""


def kind(placement: Placement) -> Nodes:
    """As the unit says, else as the fleet's cluster does."""
    return placement.unit.nodes or placement.fleet.spec.cluster.nodes


def is_nvidia(placement: Placement) -> bool:
    return placement.accelerator.vendor == "nvidia"


def zones(placement: Placement) -> tuple[str, ...]:
    """Zones that the pool's nodes may be in; any when empty."""
    return placement.unit.zones or placement.fleet.spec.zones


def checked(placement: Placement) -> Placement:
    """The placement, where its kind of nodes can carry it. Raises InputError, with the unit, where it cannot.

    DRA needs managed node groups. Karpenter 1.14 schedules claims onto devices that are there, but its AWS provider
    does not know which a new instance would bring (github.com/aws/karpenter-provider-aws/issues/9519, 2026-08-19),
    and its chart ignores claims by default; Auto Mode is the same Karpenter without the setting. On hybrid nodes the
    driver is where the GPU Operator puts it, and the DRA driver looks in one place in the whole cluster.
    """
    unit, there = placement.unit, kind(placement)
    where = f"unit {unit.name}"
    if unit.dra and not is_nvidia(placement):
        raise InputError("dra is rendered for NVIDIA GPUs only", where=where, mend="remove dra from the unit")
    if unit.dra and there is not Nodes.NODE_GROUPS:
        raise InputError(
            f"nodes of {there.value} cannot have devices that are claimed by DRA",
            where=where,
            mend="give the unit `nodes: node-groups`, or remove dra",
        )
    if there is Nodes.HYBRID and not is_nvidia(placement):
        raise InputError(
            f"{placement.accelerator.name} devices exist in AWS only, not in hybrid nodes",
            where=where,
            mend="give the unit `nodes: karpenter`",
        )
    if there is Nodes.HYBRID and unit.ways != (CapacityType.ON_DEMAND,):
        raise InputError(
            "machines of your own are neither spot nor reserved capacity",
            where=where,
            mend="remove capacityType and capacityTypes from the unit",
        )
    return placement
