"""HTTPRoute: traffic by weight, behind a Gateway."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests import metadata, names
from holdfast.manifests.manifest import BASE, Manifest, Object
from holdfast.manifests.routing import edge, gateway, listener_rule
from holdfast.manifests.routing.traffic import Target
from holdfast.model.plan import Plan


def manifest(plan: Plan, targets: Sequence[Target]) -> Manifest:
    """The API's paths to the targets by their weights."""
    secure = not plan.fleet.spec.cluster.edge.plain_http
    name = names.label(plan.fleet.metadata.name)
    rule: Object = {
        "matches": [{"path": _path(plan)}],
        "backendRefs": [{"name": target.service, "port": target.port, "weight": target.weight} for target in targets],
    }
    filters = listener_rule.filters(plan)
    if filters:
        rule["filters"] = filters
    listener = gateway.HTTPS if secure else gateway.HTTP
    return Manifest(f"{BASE}/http-route.yaml", _route(plan, name, listener, rule))


def to_tls(plan: Plan) -> tuple[Manifest, ...]:
    """The way from HTTP to TLS, where it is asked for."""
    if not plan.fleet.spec.cluster.edge.redirect_http:
        return ()
    redirect = {"type": "RequestRedirect", "requestRedirect": {"scheme": "https", "port": 443, "statusCode": 301}}
    route = _route(plan, names.label(plan.fleet.metadata.name, "to-tls"), gateway.HTTP, {"filters": [redirect]})
    return (Manifest(f"{BASE}/http-route-to-tls.yaml", route),)


def _route(plan: Plan, name: str, listener: str, rule: Object) -> Object:
    host = plan.fleet.spec.cluster.edge.host
    parent = {"name": names.label(plan.fleet.metadata.name), "sectionName": listener}
    spec: Object = {"parentRefs": [parent], "rules": [rule]}
    if host is not None:
        spec["hostnames"] = [host]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": metadata.of_fleet(plan, name),
        "spec": spec,
    }


def _path(plan: Plan) -> Object:
    path = edge.path(plan.fleet.spec.workload)
    return {"type": "Exact" if path.exact else "PathPrefix", "value": path.text}
