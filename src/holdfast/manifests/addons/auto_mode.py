"""What EKS Auto Mode has to be told once for the cluster."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests import metadata
from holdfast.manifests.addons.chart import FOLDER
from holdfast.manifests.compute import nodes
from holdfast.manifests.manifest import Manifest
from holdfast.manifests.placement import Placement
from holdfast.model.cluster import Nodes
from holdfast.model.plan import Plan


def manifests(plan: Plan, placed: Sequence[Placement]) -> tuple[Manifest, ...]:
    """The switch without which Auto Mode ignores every NetworkPolicy.

    docs.aws.amazon.com/eks/latest/userguide/auto-net-pol.html
    """
    if not any(nodes.kind(placement) is Nodes.AUTO_MODE for placement in placed):
        return ()
    switch = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata.of_fleet(plan, "amazon-vpc-cni") | {"namespace": "kube-system"},
        "data": {"enable-network-policy-controller": "true"},
    }
    note = "Apply with --server-side: the cluster may have further settings in this ConfigMap, which then stay."
    return (Manifest(f"{FOLDER}/objects/network-policy-controller.yaml", switch, note),)
