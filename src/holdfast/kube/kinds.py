"""The kinds of objects that holdfast reads or writes, and where each is in the API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
"""An object of the API, or a part of one, as JSON knows it."""


@dataclass(frozen=True)
class Kind:
    """One kind of one version. plural: its name in paths."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str = "") -> str:
        """Of the collection, one object, or a subresource of it; all namespaces where none is given."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/" + "/".join(parts)


FLEET = Kind("holdfast.dev", "v1alpha1", "InferenceFleet", "inferencefleets")

POD = Kind("", "v1", "Pod", "pods")
NODE = Kind("", "v1", "Node", "nodes", namespaced=False)
NAMESPACE = Kind("", "v1", "Namespace", "namespaces", namespaced=False)
SERVICE = Kind("", "v1", "Service", "services")
SERVICE_ACCOUNT = Kind("", "v1", "ServiceAccount", "serviceaccounts")
CONFIG_MAP = Kind("", "v1", "ConfigMap", "configmaps")
DEPLOYMENT = Kind("apps", "v1", "Deployment", "deployments")
DAEMON_SET = Kind("apps", "v1", "DaemonSet", "daemonsets")
LEADER_WORKER_SET = Kind("leaderworkerset.x-k8s.io", "v1", "LeaderWorkerSet", "leaderworkersets")
DISRUPTION_BUDGET = Kind("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets")
NETWORK_POLICY = Kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies")
INGRESS = Kind("networking.k8s.io", "v1", "Ingress", "ingresses")
GATEWAY = Kind("gateway.networking.k8s.io", "v1", "Gateway", "gateways")
HTTP_ROUTE = Kind("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes")
LISTENER_RULE = Kind("gateway.k8s.aws", "v1", "ListenerRuleConfiguration", "listenerruleconfigurations")
LOAD_BALANCER = Kind("gateway.k8s.aws", "v1", "LoadBalancerConfiguration", "loadbalancerconfigurations")
TARGET_GROUP = Kind("gateway.k8s.aws", "v1", "TargetGroupConfiguration", "targetgroupconfigurations")
INFERENCE_POOL = Kind("inference.networking.k8s.io", "v1", "InferencePool", "inferencepools")
GATEWAY_PARAMETERS = Kind("agentgateway.dev", "v1alpha1", "AgentgatewayParameters", "agentgatewayparameters")
CLAIM_TEMPLATE = Kind("resource.k8s.io", "v1", "ResourceClaimTemplate", "resourceclaimtemplates")
CLAIM_TEMPLATE_1_33 = Kind("resource.k8s.io", "v1beta2", "ResourceClaimTemplate", "resourceclaimtemplates")
AUTOSCALER = Kind("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
SCALED_OBJECT = Kind("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects")
TRIGGER_AUTHENTICATION = Kind("keda.sh", "v1alpha1", "TriggerAuthentication", "triggerauthentications")
NODE_POOL = Kind("karpenter.sh", "v1", "NodePool", "nodepools", namespaced=False)
NODE_CLAIM = Kind("karpenter.sh", "v1", "NodeClaim", "nodeclaims", namespaced=False)
POD_MONITOR = Kind("monitoring.coreos.com", "v1", "PodMonitor", "podmonitors")
PROMETHEUS_RULE = Kind("monitoring.coreos.com", "v1", "PrometheusRule", "prometheusrules")
EVENT = Kind("events.k8s.io", "v1", "Event", "events")
LEASE = Kind("coordination.k8s.io", "v1", "Lease", "leases")

KINDS: dict[tuple[str, str], Kind] = {
    (kind.api_version, kind.kind): kind for kind in list(globals().values()) if isinstance(kind, Kind)
}
"""By apiVersion and kind, as objects say them."""


def of(found: Object) -> Kind:
    """The kind of an object. Raises KeyError for one that is not listed here."""
    return KINDS[found["apiVersion"], found["kind"]]
