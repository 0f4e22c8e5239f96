"""LiteLLM's proxy as the cascade's gateway: its objects.

The image is read-only but for the folders that its own hardened composition makes writable
(github.com/BerriAI/litellm, docker-compose.hardened.yml, read 2026-11-21).
"""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests import metadata, names, network, yaml
from holdfast.manifests.manifest import BASE, Manifest, Object
from holdfast.manifests.placement import Placement
from holdfast.manifests.routing import cascade, confined, inference_gateway, traffic
from holdfast.manifests.routing.target_group import TargetGroup
from holdfast.manifests.serving import drain, engine
from holdfast.model.cluster import Cascade
from holdfast.model.fleet import DataPlane, InferenceFleet
from holdfast.model.plan import Plan

FOLDER = f"{BASE}/cascade"

IMAGE = "ghcr.io/berriai/litellm-non_root:v1.108.11"
"""Long-term support release of 2026-11 (newreleases.io/project/github/BerriAI/litellm/release/v1.108.11, read
2026-11-21)."""

KEY = "masterKey"
"""Key of the Secret that the fleet names."""

KEY_HEADER = "x-litellm-api-key"
"""Header for the key where `Authorization` carries a token for the load balancer already."""

_PORT = 4000
_CONFIG = "config.yaml"
_USER = 101
_REPLICAS = 2
_CPU, _MEMORY = "2", "4Gi"
"""Of one replica: half of the 4 cores and 8 GiB that docs.litellm.ai/docs/proxy/deploy asks for in production."""

_WRITABLE = {
    "tmp": "/tmp",
    "home": "/nonexistent",
    "npm": "/.npm",
    "cache": "/app/cache",
    "migrations": "/app/migrations",
}


def name(fleet: InferenceFleet) -> str:
    return names.label(fleet.metadata.name, "cascade")


def target(fleet: InferenceFleet) -> traffic.Target:
    """Its Service, as the only target of the fleet's load balancer."""
    return traffic.Target(name(fleet), _PORT, traffic.TOTAL)


def target_group(fleet: InferenceFleet) -> TargetGroup:
    """Its Service as a target group."""
    return TargetGroup.of(fleet.spec.slo, "/health/readiness")


def manifests(plan: Plan, asked: Cascade, placed: Sequence[Placement]) -> tuple[Manifest, ...]:
    """Configuration, replicas, Service, budget, network policy and the account that may invoke the model."""
    fleet = plan.fleet
    text = yaml.dump(cascade.configuration(asked, placed))
    own = {"matchLabels": _labels(fleet)}
    budget = {"maxUnavailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow", "selector": own}
    account = {"automountServiceAccountToken": False}
    return (
        _of_kind(plan, "config", "v1", "ConfigMap", {"data": {_CONFIG: text}}, _CONFIG_NOTE),
        _of_kind(
            plan, "deployment", "apps/v1", "Deployment", {"spec": _deployment(fleet, asked, text)}, _key_note(plan)
        ),
        _service(plan),
        _of_kind(plan, "disruption-budget", "policy/v1", "PodDisruptionBudget", {"spec": budget}),
        _of_kind(
            plan,
            "network-policy",
            "networking.k8s.io/v1",
            "NetworkPolicy",
            {"spec": _network(fleet)},
            network.LOAD_BALANCER_NOTE,
        ),
        _of_kind(plan, "service-account", "v1", "ServiceAccount", account, _account_note(fleet, asked)),
    )


_CONFIG_NOTE = (
    "Weights are the plan's. Behind a cascade the load balancer has one target, so that who moves its weights moves "
    "nothing:\nfailing pools are left out here, request by request."
)


def _key_note(plan: Plan) -> str:
    asked = plan.fleet.spec.cluster.cascade
    edge = plan.fleet.spec.cluster.edge.authentication
    header = KEY_HEADER if edge is not None and edge.jwt is not None else "Authorization: Bearer"
    secret = "" if asked is None else asked.key_secret
    return f"Clients show the key `{KEY}` of Secret {secret}, which is yours to make, in the header `{header}`."


def _account_note(fleet: InferenceFleet, asked: Cascade) -> str:
    return (
        f"By EKS Pod Identity it needs a role with bedrock:InvokeModel and bedrock:InvokeModelWithResponseStream on\n"
        f"{asked.bedrock_model} in {fleet.spec.region}, and nothing else."
    )


def _labels(fleet: InferenceFleet) -> dict[str, str]:
    return {"app.kubernetes.io/name": fleet.metadata.name, "app.kubernetes.io/component": "cascade"}


def _of_kind(plan: Plan, file: str, version: str, kind: str, rest: Object, note: str = "") -> Manifest:
    whole = {"apiVersion": version, "kind": kind, "metadata": metadata.of_fleet(plan, name(plan.fleet))} | rest
    return Manifest(f"{FOLDER}/{file}.yaml", whole, note)


def _deployment(fleet: InferenceFleet, asked: Cascade, text: str) -> Object:
    config: Object = {"name": "config", "configMap": {"name": name(fleet)}}
    writable: list[Object] = [{"name": volume, "emptyDir": {}} for volume in _WRITABLE]
    pod = confined.pod(name(fleet), _USER, _container(fleet, asked), [config, *writable], speaks_to_api=False)
    pod["terminationGracePeriodSeconds"] = drain.grace_period_s(fleet.spec.slo)
    pod["topologySpreadConstraints"] = [confined.spread(_labels(fleet))]
    return {
        "replicas": _REPLICAS,
        "selector": {"matchLabels": _labels(fleet)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": {
            "metadata": {"labels": _labels(fleet), "annotations": confined.config_hash(text)},
            "spec": pod,
        },
    }


def _container(fleet: InferenceFleet, asked: Cascade) -> Object:
    key = {"secretKeyRef": {"name": asked.key_secret, "key": KEY}}
    settings = {
        "HOME": _WRITABLE["home"],
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_MIGRATION_DIR": _WRITABLE["migrations"],
        "LITELLM_NON_ROOT": "true",
        "NPM_CONFIG_CACHE": _WRITABLE["npm"],
        "PRISMA_BINARY_CACHE_DIR": f"{_WRITABLE['cache']}/prisma-python/binaries",
        "XDG_CACHE_HOME": _WRITABLE["cache"],
    }
    environment: list[Object] = [{"name": variable, "value": value} for variable, value in settings.items()]
    mounts: list[Object] = [{"name": volume, "mountPath": path} for volume, path in _WRITABLE.items()]
    return {
        "name": "proxy",
        "image": IMAGE,
        "args": [f"--port={_PORT}", f"--config=/config/{_CONFIG}"],
        "env": [{"name": cascade.KEY_VARIABLE, "valueFrom": key}, *environment],
        "ports": [{"name": "http", "containerPort": _PORT, "protocol": "TCP"}],
        "startupProbe": _probe("/health/readiness", failures=30),
        "readinessProbe": _probe("/health/readiness", failures=3),
        "livenessProbe": _probe("/health/liveliness", failures=6),
        "lifecycle": {"preStop": {"sleep": {"seconds": drain.pre_stop_s(fleet.spec.slo)}}},
        "resources": {"requests": {"cpu": _CPU, "memory": _MEMORY}, "limits": {"memory": _MEMORY}},
        "volumeMounts": [{"name": "config", "mountPath": "/config", "readOnly": True}, *mounts],
    }


def _probe(path: str, failures: int) -> Object:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": 10,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def _service(plan: Plan) -> Manifest:
    service: Object = {
        "type": "ClusterIP",
        "selector": _labels(plan.fleet),
        "ports": [{"name": "http", "port": _PORT, "targetPort": "http", "protocol": "TCP"}],
    }
    manifest = _of_kind(plan, "service", "v1", "Service", {"spec": service})
    if plan.fleet.spec.data_plane is DataPlane.ALB:
        manifest.object["metadata"]["annotations"] |= target_group(plan.fleet).annotations
    return manifest


def _network(fleet: InferenceFleet) -> Object:
    """In: the load balancer, and the fleet's own pods. Out: pools or their gateway, and Bedrock."""
    cluster = fleet.spec.cluster
    pods = {"matchLabels": {"app.kubernetes.io/name": fleet.metadata.name}}
    gateway = {"matchLabels": inference_gateway.pod_labels(fleet)}
    to_gateway = {"to": [{"podSelector": gateway}], "ports": [network.port(inference_gateway.PORT)]}
    to_pools = {"to": [{"podSelector": pods}], "ports": [network.port(engine.PORT)]}
    return {
        "podSelector": {"matchLabels": _labels(fleet)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {"from": [*network.from_load_balancer(cluster), {"podSelector": pods}], "ports": [network.port(_PORT)]}
        ],
        "egress": [
            network.to_dns_from_any_node(fleet),
            to_gateway if cluster.kv_aware_routing else to_pools,
            network.to_pod_identity(),
            network.to_https(),
        ],
    }
