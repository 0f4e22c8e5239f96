"""What the small servers beside the pools have in common: pods without rights that they do not need."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from holdfast.manifests.manifest import Object
from holdfast.model.cluster import Cluster, Nodes

_POD_IDENTITY = "169.254.170.23/32"
"""Of the EKS Pod Identity agent on every node (docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works)."""


def pod(account: str, user: int, container: Object, volumes: Sequence[Object], *, speaks_to_api: bool) -> Object:
    """The pod of one container that runs as `user`; with a token of its account only where it speaks to the API."""
    confined = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    return {
        "serviceAccountName": account,
        "automountServiceAccountToken": speaks_to_api,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": user,
            "runAsGroup": user,
            "fsGroup": user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container | {"securityContext": confined}],
        "volumes": list(volumes),
    }


def config_hash(text: str) -> dict[str, str]:
    """Annotation of a pod that rolls it out anew when its configuration changes."""
    return {"holdfast.dev/config-sha256": hashlib.sha256(text.encode()).hexdigest()}


def spread(labels: dict[str, str]) -> Object:
    """Replicas on different nodes where there are some."""
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels},
    }


def to_dns(cluster: Cluster) -> Object:
    """Egress to the cluster's DNS, which on EKS Auto Mode is no pod but on each node."""
    ports = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
    if cluster.nodes is Nodes.AUTO_MODE:
        return {"ports": ports}
    dns = {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}
    return {"to": [{"namespaceSelector": dns}], "ports": ports}


def to_https() -> Object:
    """Egress to AWS and to the Kubernetes API, whose addresses nobody knows beforehand."""
    return {"ports": [{"protocol": "TCP", "port": 443}]}


def to_pod_identity() -> Object:
    """Egress to the agent that hands out a pod's AWS credentials."""
    return {"to": [{"ipBlock": {"cidr": _POD_IDENTITY}}], "ports": [{"protocol": "TCP", "port": 80}]}
