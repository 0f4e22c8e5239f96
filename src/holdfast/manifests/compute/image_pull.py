"""DaemonSet: the unit's image on the nodes of its pool that wait for a replica.

Only where nodes stand without one: managed node groups and hybrid nodes. A node that Karpenter makes is made for a pod
that pulls the image at once; what helps there is pulling in parallel (node_class).
"""

from __future__ import annotations

from holdfast.manifests import metadata, names
from holdfast.manifests.compute import selection
from holdfast.manifests.manifest import Manifest, Object
from holdfast.manifests.placement import Placement
from holdfast.manifests.serving import engine

_PAUSE = "public.ecr.aws/eks-distro/kubernetes/pause:3.10"
"""Sleeps, in half a megabyte (in the image list of EKS Distro v1-33-eks-10, read 2026-11-21)."""

_USER = 1000

_EXPLAINED = {
    **dict.fromkeys(("CKV_K8S_8", "CKV_K8S_9"), "it sleeps, and nobody asks it anything"),
    "CKV2_K8S_6": "it opens no port and no connection",
}


def manifest(placement: Placement) -> Manifest:
    """A pod on each of the pool's nodes that has run the image's `true`, and so has pulled it."""
    name = names.label(placement.name, "image-pull")
    labels = {"app.kubernetes.io/name": "image-pull", "app.kubernetes.io/instance": name}
    described = metadata.of_pool(placement)
    described["annotations"] |= metadata.explained(_EXPLAINED)
    daemon_set = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": described | {"name": name, "labels": described["labels"] | labels},
        "spec": {
            "selector": {"matchLabels": labels},
            # A new image goes to all nodes at once, ahead of the replicas that will run it.
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "100%"}},
            "template": {"metadata": {"labels": labels}, "spec": _pod(placement)},
        },
    }
    return Manifest(f"{placement.folder}/image-pull.yaml", daemon_set)


def _pod(placement: Placement) -> Object:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "nodeSelector": selection.node_selector(placement),
        "tolerations": selection.tolerations(placement),
        "initContainers": [_container("pull", engine.image(placement)) | {"command": ["/bin/true"]}],
        "containers": [_container("wait", _PAUSE)],
    }


def _container(name: str, image: str) -> Object:
    return {
        "name": name,
        "image": image,
        "resources": {"requests": {"cpu": "1m", "memory": "16Mi"}, "limits": {"memory": "16Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
