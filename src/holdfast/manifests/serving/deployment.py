"""Deployment: servers that fit a node."""

from __future__ import annotations

from holdfast.manifests import metadata
from holdfast.manifests.manifest import Manifest
from holdfast.manifests.placement import Placement, ScaleTarget
from holdfast.manifests.serving import engine, labels, model_files, own_server, pod
from holdfast.model.cluster import Scaler

_PROVISIONING_S = 900
"""How long a node and its image may take, an assumption; on top come the files and the server's start."""


def manifest(placement: Placement, target: ScaleTarget) -> Manifest:
    """The Deployment of the pool's servers, without `replicas`.

    The scaler owns that field: a value here would throw the pool back to it whenever the tree is applied, in the middle
    of a peak for instance.
    """
    role = target.role
    started_s = _PROVISIONING_S + model_files.download_s(placement) + engine.loading_s(placement.unit)
    deployment = {
        "apiVersion": target.api_version,
        "kind": target.kind,
        "metadata": metadata.of_pool(placement) | {"name": target.name},
        "spec": {
            "selector": {"matchLabels": labels.of_servers(placement, role)},
            # A new replica before an old one goes: the node pool leaves room for one more node.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "progressDeadlineSeconds": started_s,
            "template": {
                "metadata": {"labels": labels.of_pod(placement, role)},
                "spec": pod.spec(placement, role),
            },
        },
    }
    return Manifest(f"{placement.folder}/{file_name('deployment', target)}", deployment, note(placement, target))


def file_name(stem: str, target: ScaleTarget) -> str:
    return f"{stem}.yaml" if target.role is None else f"{stem}-{target.role.value}.yaml"


def note(placement: Placement, target: ScaleTarget) -> str:
    """What a reader of the file should know."""
    hpa = placement.fleet.spec.cluster.scaler is Scaler.HPA
    scaler = "HorizontalPodAutoscaler" if hpa else "ScaledObject"
    owner = f"replicas is left out: {scaler} {target.name} owns it, and a value here would reset it."
    known = placement.unit.runs_vllm or placement.unit.own_framework is not None
    own = own_server.notes(placement, engine.artifacts(placement))
    return "\n".join([owner, *([] if known else [_ANOTHER_SERVER]), *own, *model_files.notes(placement)])


_ANOTHER_SERVER = "The image's own command must serve on port 8000 and answer /health, /readiness and /metrics."
