"""Deployment of the operator: two replicas, of which one leads."""

from __future__ import annotations

from holdfast.manifests.manifest import Manifest, Object
from holdfast.manifests.operator import rights, surroundings
from holdfast.model.cluster import OwnPods

_USER = 1000
_API_TOKEN_S = 3600


def manifest(own: OwnPods) -> Manifest:
    """`holdfast operator`; whoever does not lead watches, so that it takes over with what it has seen."""
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": surroundings.described(surroundings.NAME, surroundings.NAMESPACE),
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": surroundings.LABELS},
            # One more before one goes: there are always two that may lead.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"metadata": {"labels": surroundings.LABELS}, "spec": _pod(own)},
        },
    }
    return Manifest(f"{surroundings.FOLDER}/deployment.yaml", deployment)


def _pod(own: OwnPods) -> Object:
    return {
        "serviceAccountName": surroundings.NAME,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
        # When nodes are short of memory it is what has to stay.
        "priorityClassName": "system-cluster-critical",
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [_apart("kubernetes.io/hostname"), _apart("topology.kubernetes.io/zone")],
        "containers": [_container(own)],
        "volumes": [{"name": "tmp", "emptyDir": {}}, _token()],
    }


def _container(own: OwnPods) -> Object:
    return {
        "name": "operator",
        "image": own.image,
        "command": ["holdfast"],
        "args": ["operator", f"--lease={rights.LEASE}", f"--listen=0.0.0.0:{surroundings.PORT}"],
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        ],
        "ports": [{"name": "metrics", "containerPort": surroundings.PORT, "protocol": "TCP"}],
        "livenessProbe": _probe("/healthz", 3),
        "readinessProbe": _probe("/readyz", 3),
        "startupProbe": _probe("/healthz", 12),
        # Below 0.1 cores and 200 MiB is what the operator promises in steady state; a re-list takes more, and a plan is
        # made by a process beside it, of 70 MiB and up.
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "api", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": True},
        ],
    }


def _probe(path: str, failures: int) -> Object:
    return {
        "httpGet": {"path": path, "port": "metrics"},
        "periodSeconds": 5,
        "timeoutSeconds": 3,
        "failureThreshold": failures,
    }


def _apart(key: str) -> Object:
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": surroundings.LABELS},
    }


def _token() -> Object:
    """What would be mounted of itself, said here: a token for the API server, of an hour, in this container alone."""
    return {
        "name": "api",
        "projected": {
            "sources": [
                {"serviceAccountToken": {"path": "token", "expirationSeconds": _API_TOKEN_S}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
            ]
        },
    }
