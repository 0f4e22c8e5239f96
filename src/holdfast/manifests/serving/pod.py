"""The pod of one replica."""

from __future__ import annotations

from holdfast.manifests import metadata
from holdfast.manifests.compute import selection
from holdfast.manifests.manifest import Object
from holdfast.manifests.placement import Placement
from holdfast.manifests.serving import drain, engine, resources, service_account
from holdfast.model.fleet import DeploymentUnit

LOADING_S = 1800
"""How long a server may take to load (pull weights, compile) before it is restarted."""

PROVISIONING_S = 900
"""How long a node and its image may take on top, before a rollout counts as stuck."""

_USER = 1000
_PROBE_S = 10


def spec(placement: Placement) -> Object:
    """The pod: one server, on a node of its pool, without rights it does not need."""
    scheduler = selection.scheduler(placement)
    return ({"schedulerName": scheduler} if scheduler is not None else {}) | {
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
        "topologySpreadConstraints": [_spread(placement)],
        "containers": [_server(placement)],
        "volumes": [volume for volume, _ in _volumes(placement)],
    }


def _server(placement: Placement) -> Object:
    container = {
        "name": "server",
        "image": engine.image(placement),
        "command": engine.command(placement),
        "args": engine.arguments(placement),
        "env": [{"name": name, "value": value} for name, value in sorted(engine.environment().items())],
        "ports": [{"name": "http", "containerPort": engine.PORT, "protocol": "TCP"}],
        "resources": resources.requirements(placement),
        "lifecycle": {"preStop": {"sleep": {"seconds": drain.pre_stop_s(placement.fleet.spec.slo)}}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [mount for _, mount in _volumes(placement)],
    }
    return {key: value for key, value in container.items() if value} | _probes(placement.unit)


def _probes(unit: DeploymentUnit) -> Object:
    """Alive and ready are asked only once the server has started, which takes minutes."""
    ready = engine.readiness_path(unit)
    return {
        "startupProbe": _probe(ready, failures=LOADING_S // _PROBE_S),
        "readinessProbe": _probe(ready, failures=3),
        "livenessProbe": _probe(engine.LIVENESS_PATH, failures=6),
    }


def _probe(path: str, failures: int) -> Object:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": _PROBE_S,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def _volumes(placement: Placement) -> list[tuple[Object, Object]]:
    """Volumes with their mounts: all that the server may write to."""
    volumes = [
        ({"name": "tmp", "emptyDir": {}}, {"name": "tmp", "mountPath": "/tmp"}),
        ({"name": "cache", "emptyDir": {}}, {"name": "cache", "mountPath": engine.HOME}),
    ]
    unit = placement.unit
    if unit.tensor_parallel * unit.pipeline_parallel > 1:
        # Ranks exchange tensors through /dev/shm, of which a container has 64 MiB. Counts as the pod's memory.
        limit = f"{resources.memory_mib(placement) // 4}Mi"
        shared = {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": limit}}
        volumes.append((shared, {"name": "shm", "mountPath": "/dev/shm"}))
    return volumes


def _spread(placement: Placement) -> Object:
    """Zones evenly where they can be had: a rule that must hold would refuse the zone that has capacity left."""
    return {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": metadata.selector(placement)},
    }
