"""How pods find the nodes of their pool, and nothing else settles there."""

from __future__ import annotations

from holdfast.manifests import metadata
from holdfast.manifests.compute import nodes
from holdfast.manifests.manifest import Object
from holdfast.manifests.placement import Placement
from holdfast.model.cluster import Nodes
from holdfast.model.errors import InputError

NODE_POOL = "karpenter.sh/nodepool"
"""Label that Karpenter, Auto Mode's too, gives to the nodes of a NodePool."""

OWN_POOL = "holdfast.dev/node-pool"
"""Label of the nodes that no NodePool brings: managed node groups and hybrid nodes."""

COMPUTE_TYPE = "eks.amazonaws.com/compute-type"
"""Label that EKS gives to nodes of Auto Mode (`auto`) and to hybrid nodes (`hybrid`)."""

DRA = "holdfast.dev/dra"
"""Label of nodes whose devices are claimed by DRA: the DRA driver runs there, and no device plugin."""

NEURON_SCHEDULER = "neuron-scheduler"
"""Name of the second scheduler, which asks AWS's extension for neighbouring devices."""

_TORUS_SIZES = (1, 4, 8, 16)
"""Devices that the extension gives to one container on trn1.32xlarge and trn1n.32xlarge, a 2D torus of 16
(awsdocs-neuron.readthedocs-hosted.com, deploy/infrastructure/scheduler, read 2026-11-21)."""


def node_selector(placement: Placement) -> dict[str, str]:
    """The labels that the pool's nodes have, and no other node."""
    match nodes.kind(placement):
        case Nodes.KARPENTER | Nodes.AUTO_MODE:
            return {NODE_POOL: placement.node_pool}
        case Nodes.NODE_GROUPS:
            return {OWN_POOL: placement.node_pool}
        case Nodes.HYBRID:
            return {COMPUTE_TYPE: "hybrid", OWN_POOL: placement.node_pool}


def taints(placement: Placement) -> list[Object]:
    """Taints of the nodes, so that nothing settles there that uses no device.

    The key is the resource's name, which the vendors' device plugins tolerate by default.
    """
    return [{"key": placement.accelerator.resource_name, "value": "present", "effect": "NoSchedule"}]


def tolerations(placement: Placement) -> list[Object]:
    """What the pool's pods must tolerate to run on its nodes."""
    return [{"key": taint["key"], "operator": "Exists", "effect": taint["effect"]} for taint in taints(placement)]


def node_labels(placement: Placement) -> dict[str, str]:
    """Labels that whoever brings the nodes must give them.

    What of NVIDIA's software a node needs is told to the GPU Operator by labels that it keeps where they are `false`
    (docs.nvidia.com, GPU Operator, "Preventing Installation of Operands on Some Nodes"): EKS's images bring driver
    and toolkit, Auto Mode the device plugin too, and where devices are claimed by DRA there must be no plugin.
    """
    kind = nodes.kind(placement)
    labels = metadata.node_labels(placement)
    if kind not in nodes.PROVISIONED:
        labels |= {OWN_POOL: placement.node_pool}
    if nodes.is_nvidia(placement):
        labels |= _nvidia_labels(placement, kind)
    return labels


def scheduler(placement: Placement) -> str | None:
    """The scheduler of the pool's pods; None for the cluster's own.

    Several Neuron devices of one container must be neighbours, which only AWS's scheduler extension sees to, unless
    the container has all of its node (awsdocs-neuron.readthedocs-hosted.com, deploy/infrastructure/scheduler). Raises
    InputError where the extension would never find a node.
    """
    asked, there = placement.unit.devices_per_server, placement.instance.resource_count
    if nodes.is_nvidia(placement) or asked == 1 or asked >= there:
        return None
    where = f"unit {placement.unit.name}"
    if placement.instance.family in ("trn1", "trn1n") and asked not in _TORUS_SIZES:
        sizes = ", ".join(str(size) for size in _TORUS_SIZES)
        raise InputError(
            f"{placement.instance.name} gives a container {sizes} devices, and the unit asks for {asked}",
            where=where,
            mend="change `devices:`",
        )
    if nodes.kind(placement) is Nodes.AUTO_MODE:
        raise InputError(
            f"{asked} of {there} Neuron devices need AWS's scheduler extension, which Auto Mode does not have",
            where=where,
            mend=f"give a replica 1 device or all {there}, or the unit `nodes: karpenter`",
        )
    return NEURON_SCHEDULER


def _nvidia_labels(placement: Placement, kind: Nodes) -> dict[str, str]:
    labels = {}
    if kind is not Nodes.AUTO_MODE:
        # Where node feature discovery does not run, it stands for what that would find.
        labels["nvidia.com/gpu.present"] = "true"
    if kind is not Nodes.HYBRID:
        labels |= {"nvidia.com/gpu.deploy.driver": "false", "nvidia.com/gpu.deploy.container-toolkit": "false"}
    if kind is Nodes.AUTO_MODE or placement.unit.dra:
        labels["nvidia.com/gpu.deploy.device-plugin"] = "false"
    if placement.unit.dra:
        labels[DRA] = "true"
    return labels
