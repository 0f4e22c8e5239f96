"""Images that go with the minor version of the cluster's Kubernetes: a second scheduler, and what simulates one."""

from __future__ import annotations

from holdfast.model.cluster import Cluster
from holdfast.model.errors import InputError

_KUBE_SCHEDULER = {
    "1.33": "v1.33.13-eks-1-33-33",
    "1.34": "v1.34.8-eks-1-34-19",
    "1.35": "v1.35.8-eks-1-35-15",
    "1.36": "v1.36.1-eks-1-36-3",
}
"""Tags of public.ecr.aws/eks-distro/kubernetes/kube-scheduler (releases of github.com/aws/eks-distro, 2026-11-21)."""

_CLUSTER_AUTOSCALER = {"1.33": "v1.33.0", "1.34": "v1.34.2", "1.35": "v1.35.0", "1.36": "v1.36.1"}
"""Tags of its image (github.com/kubernetes/autoscaler/issues/8891, /pull/9193, /issues/10199; read 2026-11-21)."""


def kube_scheduler(cluster: Cluster) -> str:
    """Tag of the scheduler of the cluster's minor version. Raises InputError for one that is not known here."""
    return _of(_KUBE_SCHEDULER, cluster, "kube-scheduler")


def cluster_autoscaler(cluster: Cluster) -> str:
    """Tag of the Cluster Autoscaler of the cluster's minor version. Raises InputError as above."""
    return _of(_CLUSTER_AUTOSCALER, cluster, "Cluster Autoscaler")


def _of(tags: dict[str, str], cluster: Cluster, what: str) -> str:
    if cluster.kubernetes_version not in tags:
        raise InputError(
            f"no version of the {what} is known for Kubernetes {cluster.kubernetes_version}",
            where="spec.cluster.kubernetesVersion",
            mend=f"give one of {', '.join(tags)}",
        )
    return tags[cluster.kubernetes_version]
