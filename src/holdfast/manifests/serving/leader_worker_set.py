"""LeaderWorkerSet: servers that take several nodes, each a group of pods of which one leads."""

from __future__ import annotations

from holdfast.manifests import metadata
from holdfast.manifests.manifest import Manifest, Object
from holdfast.manifests.placement import Placement, ScaleTarget
from holdfast.manifests.serving import deployment, labels, pod


def manifest(placement: Placement, target: ScaleTarget) -> Manifest:
    """The groups of the pool's servers, without `replicas`, which the scaler owns."""
    group = {
        "size": placement.nodes_per_server,
        # A rank that is gone takes the others' work with it: they begin together, or not at all.
        "restartPolicy": "RecreateGroupOnPodRestart",
        "leaderTemplate": _template(placement, target, leads=True),
        "workerTemplate": _template(placement, target, leads=False),
    }
    # An old group goes before the new one comes: nobody keeps the nodes of a whole server in reserve.
    rollout = {"maxSurge": 0, "maxUnavailable": 1}
    leader_worker_set = {
        "apiVersion": target.api_version,
        "kind": target.kind,
        "metadata": metadata.of_pool(placement) | {"name": target.name},
        "spec": {
            "startupPolicy": "LeaderCreated",
            "rolloutStrategy": {"type": "RollingUpdate", "rollingUpdateConfiguration": rollout},
            "leaderWorkerTemplate": group,
        },
    }
    path = f"{placement.folder}/{deployment.file_name('leader-worker-set', target)}"
    return Manifest(path, leader_worker_set, "\n".join([deployment.note(placement, target), *_notes(placement)]))


def _template(placement: Placement, target: ScaleTarget, *, leads: bool) -> Object:
    return {
        "metadata": {"labels": labels.of_pod(placement, target.role, leads=leads)},
        "spec": pod.spec(placement, target.role, leads=leads),
    }


def _notes(placement: Placement) -> list[str]:
    found = ["A rollout replaces one group after the other: a pool of one replica is away while it happens."]
    if placement.fabric_interfaces:
        found.append(
            "EFA registers memory that must not be swapped: the container runtime's limit on locked memory must be "
            "unlimited, as the container has no capability IPC_LOCK."
        )
    return found
