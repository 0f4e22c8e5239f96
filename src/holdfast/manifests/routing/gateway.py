"""Gateway, its class and its load balancer's configuration: Gateway API on an Application Load Balancer."""

from __future__ import annotations

from holdfast.manifests import metadata, names
from holdfast.manifests.manifest import BASE, Manifest, Object
from holdfast.manifests.routing import ingress
from holdfast.manifests.routing.edge import checked, idle_timeout_s
from holdfast.model.cluster import Edge
from holdfast.model.plan import Plan

CLASS = "holdfast-alb"
HTTP, HTTPS = "http", "https"
"""Names of the listeners."""

_CONTROLLER = "gateway.k8s.aws/alb"


def manifests(plan: Plan) -> tuple[Manifest, ...]:
    """GatewayClass, LoadBalancerConfiguration and Gateway: one load balancer."""
    edge = checked(plan.fleet.spec.cluster.edge)
    return (_gateway_class(), _configuration(plan, edge), _gateway(plan, edge))


def _gateway_class() -> Manifest:
    # All fleets of a cluster share the class, so that it says nothing of any one of them.
    described = {
        "name": CLASS,
        "labels": {"app.kubernetes.io/managed-by": "holdfast"},
        "annotations": {metadata.REASON: "gateways of all fleets on Application Load Balancers"},
    }
    gateway_class = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": described,
        "spec": {"controllerName": _CONTROLLER},
    }
    return Manifest(f"{BASE}/gateway-class.yaml", gateway_class)


def _configuration(plan: Plan, edge: Edge) -> Manifest:
    attributes = {
        "idle_timeout.timeout_seconds": str(idle_timeout_s(plan)),
        "routing.http.drop_invalid_header_fields.enabled": "true",
    }
    spec: Object = {
        "scheme": edge.scheme,
        "loadBalancerAttributes": [{"key": key, "value": value} for key, value in attributes.items()],
    }
    if edge.allow_from:
        spec["sourceRanges"] = list(edge.allow_from)
    if edge.web_acl is not None:
        spec["wafV2"] = {"webACL": edge.web_acl}
    if not edge.plain_http:
        # Without a policy the controller takes its own default, ELBSecurityPolicy-2016-08, which still speaks TLS 1.0.
        tls = {"protocolPort": "HTTPS:443", "sslPolicy": ingress.SSL_POLICY}
        certificate = {} if edge.certificate_arn is None else {"defaultCertificate": edge.certificate_arn}
        spec["listenerConfigurations"] = [tls | certificate]
    configuration = {
        "apiVersion": "gateway.k8s.aws/v1",
        "kind": "LoadBalancerConfiguration",
        "metadata": metadata.of_fleet(plan, names.label(plan.fleet.metadata.name)),
        "spec": spec,
    }
    return Manifest(f"{BASE}/load-balancer-configuration.yaml", configuration)


def _gateway(plan: Plan, edge: Edge) -> Manifest:
    name = names.label(plan.fleet.metadata.name)
    reference = {"group": "gateway.k8s.aws", "kind": "LoadBalancerConfiguration", "name": name}
    gateway = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": metadata.of_fleet(plan, name),
        "spec": {
            "gatewayClassName": CLASS,
            "infrastructure": {"parametersRef": reference},
            "listeners": _listeners(edge),
        },
    }
    return Manifest(f"{BASE}/gateway.yaml", gateway)


def _listeners(edge: Edge) -> list[Object]:
    if edge.plain_http:
        return [_listener(edge, HTTP, 80)]
    clear = [_listener(edge, HTTP, 80)] if edge.redirect_http else []
    return [*clear, _listener(edge, HTTPS, 443)]


def _listener(edge: Edge, name: str, port: int) -> Object:
    listener: Object = {
        "name": name,
        "protocol": name.upper(),
        "port": port,
        "allowedRoutes": {"namespaces": {"from": "Same"}},
    }
    return listener if edge.host is None else listener | {"hostname": edge.host}
