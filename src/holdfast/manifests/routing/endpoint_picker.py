"""llm-d's endpoint picker: for each request it tells the gateway which replica to send it to.

One replica: what prefixes it believes to be cached is its own, and a second active one would see half of the requests
(llm-d-router v0.10.0, docs/operations.md, "Scaling Modes"). The gateway's failure mode covers its restarts.
"""

from __future__ import annotations

import math

from holdfast.manifests import metadata, names, network, yaml
from holdfast.manifests.manifest import BASE, Manifest, Object
from holdfast.manifests.routing import confined, inference_gateway
from holdfast.manifests.serving import engine
from holdfast.model.fleet import InferenceFleet
from holdfast.model.plan import Plan

FOLDER = f"{BASE}/inference"
PORT = 9002

IMAGE = "ghcr.io/llm-d/llm-d-router-endpoint-picker:v0.10.0"
"""Of tag v0.10.0 of github.com/llm-d/llm-d-router (2026-08), named so by its release checklist
(.github/ISSUE_TEMPLATE/new-release.md), read 2026-11-21."""

_HEALTH_PORT, _METRICS_PORT = 9003, 9090
_USER = 65532
"""User of the image (Dockerfile.epp)."""

_CONFIG = "picker.yaml"
_CORES_TOKENS = 100_000
"""A core per request/s at prompts of this many tokens, in proportion to their length (docs/operations.md, "CPU
Allocation": 0.5 to 1.0 cores)."""

_GIB, _GIB_RATE_PER_S = 6, 100
"""Memory at this rate with 1,000 tokens out (docs/operations.md, "Memory Allocation": 4 to 6 GiB at 50 to 100/s)."""

_LEAST_GIB = 4


def name(fleet: InferenceFleet) -> str:
    return names.label(fleet.metadata.name, "picker")


def has_roles(plan: Plan) -> bool:
    """Whether some of the servers only prefill."""
    return any(plan.fleet.unit(pool.unit).disaggregated is not None for pool in plan.pools)


def labels(fleet: InferenceFleet) -> dict[str, str]:
    return {"app.kubernetes.io/name": fleet.metadata.name, "app.kubernetes.io/component": "endpoint-picker"}


def manifests(plan: Plan) -> tuple[Manifest, ...]:
    """Deployment, configuration, Service, network policy and rights of the picker."""
    return (
        _deployment(plan),
        _of_kind(plan, "config", "v1", "ConfigMap", {"data": {_CONFIG: _config_text(plan)}}),
        _of_kind(plan, "service", "v1", "Service", {"spec": _service(plan)}),
        _of_kind(plan, "network-policy", "networking.k8s.io/v1", "NetworkPolicy", {"spec": _network(plan)}),
        _of_kind(plan, "service-account", "v1", "ServiceAccount", {"automountServiceAccountToken": False}),
        *_rights(plan),
    )


def configuration(plan: Plan) -> Object:
    """The picker's own file: the scorers and weights of its chart; with roles, a decode server first and, unless it
    has nearly all of the prompt cached, a prefill server for it (deploy/config/pd-epp-config.yaml of v0.10.0)."""
    return _by_role() if has_roles(plan) else _by_load()


def _by_load() -> Object:
    weights = {"queue-scorer": 2, "kv-cache-utilization-scorer": 2, "prefix-cache-scorer": 3}
    return _config([{"type": kind} for kind in weights], {"default": _profile(weights)})


def _by_role() -> Object:
    weights = {"prefix-cache-scorer": 2, "queue-scorer": 1}
    decider = "prefix-based-pd-decider"
    plugins: list[Object] = [
        *({"type": kind} for kind in weights),
        {"type": "prefill-filter"},
        {"type": "decode-filter"},
        {"type": "max-score-picker"},
        {"type": "disagg-profile-handler", "parameters": {"deciders": {"prefill": decider}}},
        {"type": decider, "parameters": {"nonCachedTokens": 16}},
    ]
    profiles = {
        role: [{"pluginRef": f"{role}-filter"}, {"pluginRef": "max-score-picker"}, *_profile(weights)]
        for role in ("prefill", "decode")
    }
    return _config(plugins, profiles)


def _config(plugins: list[Object], profiles: dict[str, list[Object]]) -> Object:
    return {
        "apiVersion": "llm-d.ai/v1alpha1",
        "kind": "EndpointPickerConfig",
        "plugins": plugins,
        "schedulingProfiles": [{"name": role, "plugins": chosen} for role, chosen in profiles.items()],
    }


def _profile(weights: dict[str, int]) -> list[Object]:
    return [{"pluginRef": kind, "weight": weight} for kind, weight in weights.items()]


def _config_text(plan: Plan) -> str:
    return yaml.dump(configuration(plan))


def _of_kind(plan: Plan, file: str, version: str, kind: str, rest: Object, note: str = "") -> Manifest:
    whole = {"apiVersion": version, "kind": kind, "metadata": metadata.of_fleet(plan, name(plan.fleet))} | rest
    return Manifest(f"{FOLDER}/picker-{file}.yaml", whole, note)


def _deployment(plan: Plan) -> Manifest:
    account = name(plan.fleet)
    config: Object = {"name": "config", "configMap": {"name": account}}
    template = {
        "metadata": {
            "labels": labels(plan.fleet),
            "annotations": confined.config_hash(_config_text(plan)),
        },
        "spec": confined.pod(account, _USER, _container(plan), [config], speaks_to_api=True),
    }
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": labels(plan.fleet)},
        # Two pickers that both serve would each know half of the caches.
        "strategy": {"type": "Recreate"},
        "template": template,
    }
    note = "The pod has a token of its account: it watches pods and its InferencePool."
    described = metadata.of_fleet(plan, account)
    described["annotations"] |= metadata.explained({"CKV_K8S_38": "it watches pods and its InferencePool"})
    return _of_kind(plan, "deployment", "apps/v1", "Deployment", {"metadata": described, "spec": spec}, note)


def _container(plan: Plan) -> Object:
    probe = {"grpc": {"port": _HEALTH_PORT, "service": "inference-extension"}}
    memory = f"{memory_gib(plan)}Gi"
    return {
        "name": "picker",
        "image": IMAGE,
        "args": [
            f"--pool-name={names.label(plan.fleet.metadata.name)}",
            f"--pool-namespace={plan.fleet.metadata.namespace}",
            f"--config-file=/config/{_CONFIG}",
            f"--grpc-health-port={_HEALTH_PORT}",
            # agentgateway speaks to pickers in the clear; its chart of llm-d says so too.
            "--secure-serving=false",
            # Metrics for whom the network policy lets in; asking the API who asks would take cluster-wide rights.
            "--metrics-endpoint-auth=false",
            "--tracing=false",
            "--zap-encoder=json",
        ],
        "ports": [
            {"name": "grpc", "containerPort": PORT, "protocol": "TCP"},
            {"name": "grpc-health", "containerPort": _HEALTH_PORT, "protocol": "TCP"},
            {"name": "metrics", "containerPort": _METRICS_PORT, "protocol": "TCP"},
        ],
        "livenessProbe": probe | {"initialDelaySeconds": 5, "periodSeconds": 10},
        "readinessProbe": probe | {"periodSeconds": 2},
        "resources": {"requests": {"cpu": str(cores(plan)), "memory": memory}, "limits": {"memory": memory}},
        "volumeMounts": [{"name": "config", "mountPath": "/config", "readOnly": True}],
    }


def cores(plan: Plan) -> int:
    """Cores that the picker asks for at the planned demand."""
    tokens = plan.fleet.spec.workload.input_tokens
    prompt = _CORES_TOKENS if tokens is None else tokens.mean
    return max(1, math.ceil(plan.demand_per_s * prompt / _CORES_TOKENS))


def memory_gib(plan: Plan) -> int:
    """Memory that the picker asks for at the planned demand, GiB."""
    return max(_LEAST_GIB, math.ceil(_GIB * plan.demand_per_s / _GIB_RATE_PER_S))


def _service(plan: Plan) -> Object:
    grpc = {"name": "grpc", "port": PORT, "targetPort": "grpc", "protocol": "TCP", "appProtocol": "kubernetes.io/h2c"}
    metrics = {"name": "metrics", "port": _METRICS_PORT, "targetPort": "metrics", "protocol": "TCP"}
    return {"type": "ClusterIP", "selector": labels(plan.fleet), "ports": [grpc, metrics]}


def _network(plan: Plan) -> Object:
    cluster = plan.fleet.spec.cluster
    gateway = {"matchLabels": inference_gateway.pod_labels(plan.fleet)}
    fleet = {"matchLabels": {"app.kubernetes.io/name": plan.fleet.metadata.name}}
    return {
        "podSelector": {"matchLabels": labels(plan.fleet)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {"from": [{"podSelector": gateway}], "ports": [network.port(PORT)]},
            *network.from_reader(cluster, _METRICS_PORT),
        ],
        "egress": [
            network.to_dns_from_any_node(plan.fleet),
            {"to": [{"podSelector": fleet}], "ports": [network.port(engine.PORT)]},
            network.to_api(),
        ],
    }


def _rights(plan: Plan) -> tuple[Manifest, ...]:
    """To see pods, its pool, and the objectives and rewrites that llm-d keeps as resources; nothing to change."""
    seen = {
        "": ["pods"],
        "inference.networking.k8s.io": ["inferencepools"],
        "llm-d.ai": ["inferenceobjectives", "inferencemodelrewrites"],
    }
    rules = [
        {"apiGroups": [group], "resources": resources, "verbs": ["get", "list", "watch"]}
        for group, resources in seen.items()
    ]
    account = name(plan.fleet)
    subject = {"kind": "ServiceAccount", "name": account, "namespace": plan.fleet.metadata.namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account}
    version = "rbac.authorization.k8s.io/v1"
    return (
        _of_kind(plan, "role", version, "Role", {"rules": rules}),
        _of_kind(plan, "role-binding", version, "RoleBinding", {"roleRef": role, "subjects": [subject]}),
    )
