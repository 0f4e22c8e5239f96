"""HTTPRoute: traffic by weight, behind a Gateway."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests import metadata, names
from holdfast.manifests.manifest import BASE, Manifest, Object
from holdfast.manifests.routing import edge, gateway, listener_rule
from holdfast.manifests.routing.traffic import Target
from holdfast.model.plan import Plan


def manifests(plan: Plan, targets: Sequence[Target]) -> tuple[Manifest, ...]:
    """The API's paths to the targets by their weights, and the way from HTTP to TLS where it is asked for."""
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
    route = Manifest(f"{BASE}/http-route.yaml", _route(plan, name, listener, rule))
    if not plan.fleet.spec.cluster.edge.redirect_http:
        return (route,)
    redirect = {"type": "RequestRedirect", "requestRedirect": {"scheme": "https", "port": 443, "statusCode": 301}}
    to_tls = _route(plan, names.label(plan.fleet.metadata.name, "to-tls"), gateway.HTTP, {"filters": [redirect]})
    return route, Manifest(f"{BASE}/http-route-to-tls.yaml", to_tls)


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
