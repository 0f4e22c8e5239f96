"""EKS Auto Mode NodeClass: what a pool's nodes are made of, where AWS chooses image, driver and device plugin."""

from __future__ import annotations

from holdfast.manifests import metadata
from holdfast.manifests.compute import disk
from holdfast.manifests.manifest import Manifest, Object
from holdfast.manifests.placement import Placement
from holdfast.model.fleet import CapacityType


def manifest(placement: Placement) -> Manifest:
    """The pool's disks, network and rights (docs.aws.amazon.com/eks/latest/userguide/create-node-class.html)."""
    cluster = placement.fleet.spec.cluster
    spec: Object = {
        "role": cluster.auto_node_role,
        "subnetSelectorTerms": [{"tags": cluster.discovery}],
        "securityGroupSelectorTerms": [{"tags": cluster.discovery}],
        "ephemeralStorage": disk.ephemeral_storage(placement),
        # Pods with a NetworkPolicy are held to it, others are not.
        "networkPolicy": "DefaultAllow",
        "tags": metadata.node_labels(placement),
    }
    if CapacityType.RESERVED in placement.unit.ways:
        spec["capacityReservationSelectorTerms"] = [{"tags": cluster.discovery}]
    node_class = {
        "apiVersion": "eks.amazonaws.com/v1",
        "kind": "NodeClass",
        "metadata": metadata.of_pool_cluster_wide(placement),
        "spec": spec,
    }
    note = f"The role {cluster.auto_node_role} needs an EKS access entry with the policy AmazonEKSAutoNodePolicy."
    return Manifest(f"{placement.folder}/node-class.yaml", node_class, note)
