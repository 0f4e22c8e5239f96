"""Karpenter EC2NodeClass: what a pool's nodes are made of."""

from __future__ import annotations

from holdfast.manifests import metadata, yaml
from holdfast.manifests.compute import disk
from holdfast.manifests.manifest import Manifest, Object
from holdfast.manifests.placement import Placement
from holdfast.model.fleet import CapacityType

AMI = "al2023@v20260903"
"""EKS-optimised Amazon Linux 2023 (github.com/awslabs/amazon-eks-ami/releases/tag/v20260903), with images for
Kubernetes 1.33 to 1.35. Karpenter takes the NVIDIA or the Neuron variant by the instance type."""


def manifest(placement: Placement) -> Manifest:
    """The pool's machine image, disks, network and rights."""
    cluster = placement.fleet.spec.cluster
    spec: Object = {
        "amiSelectorTerms": [{"alias": AMI}],
        "role": cluster.node_role,
        "subnetSelectorTerms": [{"tags": cluster.discovery}],
        "securityGroupSelectorTerms": [{"tags": cluster.discovery}],
        "blockDeviceMappings": [
            {"deviceName": "/dev/xvda", "ebs": disk.root_volume(placement) | {"deleteOnTermination": True}}
        ],
        # Where an instance has NVMe disks, images and weights go there.
        "instanceStorePolicy": "RAID0",
        # One hop keeps pods from the node's own credentials.
        "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1},
        # What a node costs is then found by fleet and unit.
        "tags": metadata.node_labels(placement),
    }
    if disk.pulls_in_parallel(placement):
        spec["userData"] = _fast_image_pull()
    if CapacityType.RESERVED in placement.unit.ways:
        spec["capacityReservationSelectorTerms"] = [{"tags": cluster.discovery}]
    node_class = {
        "apiVersion": "karpenter.k8s.aws/v1",
        "kind": "EC2NodeClass",
        "metadata": metadata.of_pool_cluster_wide(placement),
        "spec": spec,
    }
    return Manifest(f"{placement.folder}/node-class.yaml", node_class)


def _fast_image_pull() -> str:
    """A NodeConfig, which Karpenter merges with its own (karpenter.sh/docs/concepts/nodeclasses, spec.userData)."""
    return yaml.dump(
        {
            "apiVersion": "node.eks.aws/v1alpha1",
            "kind": "NodeConfig",
            "spec": {"featureGates": {"FastImagePull": True}},
        }
    )
