"""Ingress: an Application Load Balancer that forwards by weight."""

from __future__ import annotations

import json
from collections.abc import Sequence

from holdfast.manifests import metadata, names
from holdfast.manifests.manifest import BASE, Manifest, Object
from holdfast.manifests.routing import authentication
from holdfast.manifests.routing import edge as edges
from holdfast.manifests.routing.traffic import Target
from holdfast.model.cluster import Edge
from holdfast.model.plan import Plan

ACTION = "weighted-pools"
"""Backend that stands for the action; no Service has this name, and `use-annotation` says so."""

SSL_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"
"""TLS 1.2 and 1.3 only."""

_PREFIX = "alb.ingress.kubernetes.io"

FORWARDS = f"{_PREFIX}/actions.{ACTION}"
"""Annotation with the weights."""


def manifest(plan: Plan, targets: Sequence[Target]) -> Manifest:
    """The load balancer of the fleet.

    Whoever steers a fleet must set the weight of an empty pool to 0: an ALB sends a target group its share
    whether or not it has healthy targets. No stickiness, which would delay every change of a weight.
    """
    described = metadata.of_fleet(plan, names.label(plan.fleet.metadata.name))
    edge = edges.checked(plan.fleet.spec.cluster.edge)
    described["annotations"] |= (
        _listener(edge)
        | _guards(edge)
        | {
            f"{_PREFIX}/scheme": edge.scheme,
            f"{_PREFIX}/target-type": "ip",
            f"{_PREFIX}/load-balancer-attributes": (
                f"idle_timeout.timeout_seconds={edges.idle_timeout_s(plan)},"
                "routing.http.drop_invalid_header_fields.enabled=true"
            ),
            FORWARDS: _action(targets),
        }
    )
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": described,
        "spec": {"ingressClassName": "alb", "rules": [_rule(plan, edge)]},
    }
    return Manifest(f"{BASE}/ingress.yaml", ingress)


def _rule(plan: Plan, edge: Edge) -> Object:
    """The API's paths; of the host only where there is one, by which the certificate is found."""
    path = edges.path(plan.fleet.spec.workload)
    forwarded = {
        "path": path.text,
        "pathType": "Exact" if path.exact else "Prefix",
        "backend": {"service": {"name": ACTION, "port": {"name": "use-annotation"}}},
    }
    rule: Object = {"http": {"paths": [forwarded]}}
    return rule if edge.host is None else {"host": edge.host} | rule


def _action(targets: Sequence[Target]) -> str:
    groups = [
        {"serviceName": target.service, "servicePort": target.port, "weight": target.weight} for target in targets
    ]
    return json.dumps({"type": "forward", "forwardConfig": {"targetGroups": groups}})


def _listener(edge: Edge) -> dict[str, str]:
    if edge.plain_http:
        return {f"{_PREFIX}/listen-ports": '[{"HTTP": 80}]'}
    ports = [{"HTTP": 80}] if edge.redirect_http else []
    secure = {
        f"{_PREFIX}/listen-ports": json.dumps([*ports, {"HTTPS": 443}]),
        f"{_PREFIX}/ssl-policy": SSL_POLICY,
    }
    if edge.redirect_http:
        secure[f"{_PREFIX}/ssl-redirect"] = "443"
    if edge.certificate_arn is not None:
        secure[f"{_PREFIX}/certificate-arn"] = edge.certificate_arn
    return secure


def _guards(edge: Edge) -> dict[str, str]:
    """Who may connect, and who may ask."""
    guards = {} if edge.authentication is None else authentication.of_ingress(edge.authentication)
    if edge.allow_from:
        guards[f"{_PREFIX}/inbound-cidrs"] = ",".join(edge.allow_from)
    if edge.web_acl is not None:
        guards[f"{_PREFIX}/wafv2-acl-arn"] = edge.web_acl
    return guards
