"""What stands around the operator's pods: namespace, identity, network, and who hears of it when it is gone."""

from __future__ import annotations

from holdfast.manifests import metadata, network
from holdfast.manifests.manifest import Manifest, Object
from holdfast.manifests.observing.alert import Severity, alert
from holdfast.model import metrics
from holdfast.model.plan import Plan

FOLDER = "operator"
NAME = "holdfast-operator"
NAMESPACE = "holdfast-system"
PORT = 8080
"""Metrics, and whether the operator is alive and ready."""

REASON = "the operator keeps fleets as they are declared, and moves their traffic when capacity goes"

LABELS = {"app.kubernetes.io/name": NAME}

_REACTION_S = 2.0
"""From a shortage to patched weights, p99: what the operator promises."""


def described(name: str, namespace: str | None) -> Object:
    """Metadata of one of its objects. They serve all fleets: neither labels nor reason are one fleet's."""
    return {
        "name": name,
        "labels": LABELS | {"app.kubernetes.io/part-of": "holdfast", "app.kubernetes.io/managed-by": "holdfast"},
        "annotations": {metadata.REASON: REASON},
    } | ({} if namespace is None else {"namespace": namespace})


def manifests(plan: Plan) -> tuple[Manifest, ...]:
    return (
        _namespace(),
        _object("service-account", "v1", "ServiceAccount", {"automountServiceAccountToken": False}),
        _of_spec("pod-disruption-budget", "policy/v1", "PodDisruptionBudget", _disruption()),
        _of_spec("network-policy", "networking.k8s.io/v1", "NetworkPolicy", _network(plan)),
        _of_spec("pod-monitor", "monitoring.coreos.com/v1", "PodMonitor", _monitor()),
        _of_spec("prometheus-rule", "monitoring.coreos.com/v1", "PrometheusRule", _rule(plan)),
    )


def _namespace() -> Manifest:
    found = described(NAMESPACE, None)
    # Refuses pods with more rights than the operator's (kubernetes.io, "Pod Security Standards").
    found["labels"] = found["labels"] | {"pod-security.kubernetes.io/enforce": "restricted"}
    return Manifest(f"{FOLDER}/namespace.yaml", {"apiVersion": "v1", "kind": "Namespace", "metadata": found})


def _of_spec(file: str, api: str, kind: str, spec: Object) -> Manifest:
    return _object(file, api, kind, {"spec": spec})


def _object(file: str, api: str, kind: str, content: Object) -> Manifest:
    found = {"apiVersion": api, "kind": kind, "metadata": described(NAME, NAMESPACE)} | content
    return Manifest(f"{FOLDER}/{file}.yaml", found)


def _disruption() -> Object:
    return {"minAvailable": 1, "selector": {"matchLabels": LABELS}}


def _network(plan: Plan) -> Object:
    """In: who reads metrics. Out: names, Prometheus, AWS credentials, and HTTPS: the API server's and CloudWatch's
    addresses vary."""
    cluster = plan.fleet.spec.cluster
    namespace = network.reader(cluster)
    there = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    reading = [] if namespace is None else [{"from": [there], "ports": [_port(PORT)]}]
    asking = [] if namespace is None else [{"to": [there]}]
    return {
        "podSelector": {"matchLabels": LABELS},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": reading,
        "egress": [{"ports": [_port(53, "UDP"), _port(53)]}, network.to_api(), network.to_pod_identity(), *asking],
    }


def _port(number: int, protocol: str = "TCP") -> Object:
    return {"port": number, "protocol": protocol}


def _monitor() -> Object:
    return {
        "selector": {"matchLabels": LABELS},
        "podMetricsEndpoints": [{"port": "metrics", "path": "/metrics", "interval": "15s"}],
    }


def _rule(plan: Plan) -> Object:
    leading = f"sum({metrics.LEADING.name}) == 1"
    buckets = f"sum by (le) (rate({metrics.REACTION.name}_bucket[1h]))"
    rules = [
        alert(
            plan.fleet,
            "HoldfastOperatorWithoutLeader",
            f"absent({leading})",
            held="1m",
            severity=Severity.PAGE,
            summary="No replica of holdfast's operator leads, or more than one does",
            description="Fleets keep their weights, and lost capacity its traffic, until one does.",
        ),
        alert(
            plan.fleet,
            "HoldfastReactionSlow",
            f"histogram_quantile(0.99, {buckets}) > {_REACTION_S:g}",
            held="5m",
            severity=Severity.TICKET,
            summary="holdfast's operator is slow to move traffic",
            description="From a shortage to patched weights one in a hundred took {{ $value | humanizeDuration }}.",
        ),
    ]
    for rule in rules:
        # The operator serves all fleets: its alerts are of none.
        rule["labels"] = {"severity": rule["labels"]["severity"]}
    return {"groups": [{"name": "holdfast/operator", "interval": "30s", "rules": rules}]}
