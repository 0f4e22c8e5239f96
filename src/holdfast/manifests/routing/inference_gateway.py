"""The gateway that asks the endpoint picker: agentgateway, inside the cluster, behind the fleet's load balancer.

An ALB knows no InferencePool, so requests pass two proxies: the ALB ends TLS and authenticates, and agentgateway asks
the picker and sends each request to the replica that it names. The chart of agentgateway must be installed with
`inferenceExtension.enabled: true`, and brings the GatewayClass `agentgateway`.

Source: github.com/agentgateway/agentgateway, tag v1.4.1 (2026-07-29): controller/install/helm and
controller/test/deployer.
"""

from __future__ import annotations

from holdfast.manifests import metadata, names
from holdfast.manifests.manifest import BASE, Manifest
from holdfast.manifests.routing import traffic
from holdfast.manifests.routing.target_group import TargetGroup
from holdfast.manifests.serving import drain
from holdfast.model.fleet import InferenceFleet
from holdfast.model.plan import Plan

CLASS = "agentgateway"
PORT = 8080
"""Of the listener, and so of the Service that agentgateway makes under the Gateway's name."""

_HEALTH_PATH, _HEALTH_PORT = "/healthz/ready", 15021
_REPLICAS = 2
"""One may go at a time."""

_FOLDER = f"{BASE}/inference"


def name(fleet: InferenceFleet) -> str:
    return names.label(fleet.metadata.name, "inference")


def pod_labels(fleet: InferenceFleet) -> dict[str, str]:
    """Labels that agentgateway gives to the proxies of a Gateway."""
    return {"gateway.networking.k8s.io/gateway-name": name(fleet)}


def target(fleet: InferenceFleet) -> traffic.Target:
    """Its Service, as the only target of the fleet's load balancer."""
    return traffic.Target(name(fleet), PORT, traffic.TOTAL)


def target_group(fleet: InferenceFleet) -> TargetGroup:
    """Its Service as a target group."""
    return TargetGroup.of(fleet.spec.slo, _HEALTH_PATH, _HEALTH_PORT)


def manifests(plan: Plan) -> tuple[Manifest, ...]:
    """How its proxies run, its Gateway, and the route to the InferencePool."""
    return _parameters(plan), _gateway(plan), _route(plan)


def _parameters(plan: Plan) -> Manifest:
    slo = plan.fleet.spec.slo
    parameters = {
        "apiVersion": "agentgateway.dev/v1alpha1",
        "kind": "AgentgatewayParameters",
        "metadata": metadata.of_fleet(plan, name(plan.fleet)),
        "spec": {
            # The load balancer of the fleet stands before it; one of its own would be a second way in, without TLS.
            "service": {"spec": {"type": "ClusterIP"}},
            "deployment": {"spec": {"replicas": _REPLICAS}},
            "podDisruptionBudget": {"spec": {"maxUnavailable": 1}},
            # Seconds: it takes requests until it is no target any more, and ends those in flight.
            "shutdown": {"min": drain.NOTICE_S, "max": drain.pre_stop_s(slo)},
        },
    }
    return Manifest(f"{_FOLDER}/gateway-parameters.yaml", parameters)


def _gateway(plan: Plan) -> Manifest:
    reference = {"group": "agentgateway.dev", "kind": "AgentgatewayParameters", "name": name(plan.fleet)}
    listener = {
        "name": "http",
        "protocol": "HTTP",
        "port": PORT,
        "allowedRoutes": {"namespaces": {"from": "Same"}},
    }
    gateway = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": metadata.of_fleet(plan, name(plan.fleet)),
        "spec": {
            "gatewayClassName": CLASS,
            "infrastructure": {"parametersRef": reference},
            "listeners": [listener],
        },
    }
    note = "Inside the cluster and in the clear: TLS and authentication are at the fleet's load balancer before it."
    return Manifest(f"{_FOLDER}/gateway.yaml", gateway, note)


def _route(plan: Plan) -> Manifest:
    pool = {
        "group": "inference.networking.k8s.io",
        "kind": "InferencePool",
        "name": names.label(plan.fleet.metadata.name),
    }
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
        "backendRefs": [pool],
        "timeouts": {"request": f"{drain.idle_timeout_s(plan.fleet.spec.slo)}s"},
    }
    route = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": metadata.of_fleet(plan, name(plan.fleet)),
        "spec": {"parentRefs": [{"name": name(plan.fleet)}], "rules": [rule]},
    }
    return Manifest(f"{_FOLDER}/http-route.yaml", route)
