"""The pod of one server, or of a server's part on one node."""

from __future__ import annotations

from holdfast.manifests.compute import selection
from holdfast.manifests.manifest import Object
from holdfast.manifests.placement import Placement, Role
from holdfast.manifests.serving import (
    claims,
    disaggregation,
    drain,
    engine,
    model_files,
    neighbours,
    resources,
    service_account,
)

_USER = 1000
_PROBE_S = 10

_LOCKED_DOWN = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def spec(placement: Placement, role: Role | None = None, *, leads: bool = True) -> Object:
    """The pod: one server, on a node of its pool, without rights it does not need.

    leads: whether it listens to requests; of a server on several nodes only one pod does.
    """
    started_first = [*_download(placement), *_proxy(role, leads)]
    pod = {
        "serviceAccountName": service_account.name(placement.fleet),
        "automountServiceAccountToken": False,
        # A Service named `vllm` would set VLLM_PORT, which vLLM reads as its own setting.
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": drain.grace_period_s(placement.fleet.spec.slo),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "nodeSelector": selection.node_selector(placement),
        "tolerations": selection.tolerations(placement),
        "containers": [_server(placement, role, leads)],
        "volumes": [volume for volume, _ in _volumes(placement)],
    }
    scheduler = selection.scheduler(placement)
    if scheduler is not None:
        pod["schedulerName"] = scheduler
    found = pod | neighbours.of_pod(placement, leads=leads) | claims.of_pod(placement)
    return found | {"initContainers": started_first} if started_first else found


def _server(placement: Placement, role: Role | None, leads: bool) -> Object:
    port = engine.port(role)
    name = "http" if port == engine.PORT else "server"
    container = {
        "name": "server",
        "image": engine.image(placement),
        "command": engine.command(placement),
        "args": engine.arguments(placement, role, leads=leads),
        "env": engine.environment(placement, role),
        "ports": [{"name": name, "containerPort": port, "protocol": "TCP"}] if leads else [],
        "resources": resources.requirements(placement),
        # The pods of a group are deleted together: those that do not listen stay as long as the one that does.
        "lifecycle": {"preStop": {"sleep": {"seconds": drain.pre_stop_s(placement.fleet.spec.slo)}}},
        "securityContext": _LOCKED_DOWN,
        "volumeMounts": [mount for _, mount in _volumes(placement)],
    }
    return {key: value for key, value in container.items() if value} | (_probes(placement, name) if leads else {})


def _probes(placement: Placement, port: str) -> Object:
    """Alive and ready are asked only once the server has started, which takes minutes."""
    ready = engine.readiness_path(placement.unit)
    return {
        "startupProbe": _probe(port, ready, failures=engine.starting_s(placement) // _PROBE_S),
        "readinessProbe": _probe(port, ready, failures=3),
        "livenessProbe": _probe(port, engine.LIVENESS_PATH, failures=6),
    }


def _probe(port: str, path: str, failures: int) -> Object:
    return {
        "httpGet": {"path": path, "port": port},
        "periodSeconds": _PROBE_S,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def _download(placement: Placement) -> list[Object]:
    """The init container that brings the model's files."""
    if not model_files.fetched(placement):
        return []
    fetch = model_files.download(placement, engine.image(placement), engine.artifacts(placement))
    places = [{"name": name, "value": value} for name, value in engine.places().items()]
    mounts = [mount for _, mount in _volumes(placement) if mount["name"] != "shm"]
    return [
        fetch
        | {
            "name": "model",
            "env": sorted([*fetch["env"], *places], key=lambda variable: str(variable["name"])),
            "resources": resources.of_download(placement),
            "securityContext": _LOCKED_DOWN,
            "volumeMounts": mounts,
        }
    ]


def _proxy(role: Role | None, leads: bool) -> list[Object]:
    if role is not Role.DECODE or not leads:
        return []
    return [
        disaggregation.proxy(engine.PORT)
        | {
            "readinessProbe": _probe("http", engine.LIVENESS_PATH, failures=3),
            "securityContext": _LOCKED_DOWN,
        }
    ]


def _volumes(placement: Placement) -> list[tuple[Object, Object]]:
    """Volumes with their mounts: all that a container may write to, on the node's disk."""
    volumes = [
        ({"name": "tmp", "emptyDir": {}}, {"name": "tmp", "mountPath": "/tmp"}),
        ({"name": "cache", "emptyDir": {}}, {"name": "cache", "mountPath": engine.HOME}),
    ]
    if model_files.from_bucket(placement):
        volumes.append(({"name": "model", "emptyDir": {}}, {"name": "model", "mountPath": model_files.FOLDER}))
    unit = placement.unit
    if unit.tensor_parallel * unit.pipeline_parallel > 1:
        # Ranks exchange tensors through /dev/shm, of which a container has 64 MiB. Counts as the pod's memory.
        limit = f"{resources.memory_mib(placement) // 4}Mi"
        shared = {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": limit}}
        volumes.append((shared, {"name": "shm", "mountPath": "/dev/shm"}))
    return volumes
