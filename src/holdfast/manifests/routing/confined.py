"""What the small servers beside the pools have in common: pods without rights that they do not need."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from holdfast.manifests.manifest import Object


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
