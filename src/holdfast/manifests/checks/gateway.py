"""Gateway API: routes, their weights, and the Gateways that they hang on.

Kubernetes takes weights up to a million; an ALB rejects those above 999 (AWS Load Balancer Controller 3.5).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from holdfast.manifests.checks import attributes
from holdfast.manifests.checks.alb import MOST_GROUPS, MOST_WEIGHT
from holdfast.manifests.checks.objects import Found, Mapping, items, mapping, number, text
from holdfast.manifests.checks.trees import Tree
from holdfast.manifests.yaml import Path
from holdfast.model.findings import ObjectFinding

ALB_CONTROLLER = "gateway.k8s.aws/alb"


def routes(tree: Tree) -> Sequence[Found]:
    return tree.of("HTTPRoute", "GRPCRoute")


def on_alb(tree: Tree, route: Found) -> bool:
    """Whether a parent of the route is a Gateway of the AWS Load Balancer Controller."""
    return any(gateway is not None and _is_alb(tree, gateway) for _, _, gateway in _parents(tree, route))


def _is_alb(tree: Tree, gateway: Found) -> bool:
    by_name = tree.get("GatewayClass", "", text(gateway.body, "spec", "gatewayClassName"))
    return by_name is not None and text(by_name.body, "spec", "controllerName") == ALB_CONTROLLER


def _parents(tree: Tree, route: Found) -> Iterator[tuple[Path, str, Found | None]]:
    for index, parent in enumerate(items(route.body, "spec", "parentRefs")):
        if (text(parent, "kind") or "Gateway") == "Gateway":
            namespace = text(parent, "namespace") or route.namespace
            name = text(parent, "name")
            yield ("spec", "parentRefs", index), name, tree.get("Gateway", namespace, name)


def _rules(route: Found) -> Iterator[tuple[Path, list[Mapping]]]:
    for index, rule in enumerate(items(route.body, "spec", "rules")):
        yield ("spec", "rules", index, "backendRefs"), [mapping(ref) for ref in items(rule, "backendRefs")]


def weights(tree: Tree, route: Found) -> Iterator[ObjectFinding]:
    """Weights of a rule: 0 to 999 on an ALB, with at most five backends; not all 0."""
    alb = on_alb(tree, route)
    for path, backends in _rules(route):
        if alb and len(backends) > MOST_GROUPS:
            what = f"a rule has {len(backends)} backends, and an ALB takes {MOST_GROUPS} target groups"
            mend = "let pools share a Service, so that there are five"
            yield route.wrong(path, len(backends), MOST_GROUPS, what, mend)
        stated = [number(backend, "weight") for backend in backends]
        for index, (backend, weight) in enumerate(zip(backends, stated, strict=True)):
            if weight is not None and alb and not 0 <= weight <= MOST_WEIGHT:
                what = f"the weight of {text(backend, 'name')} is {weight:g}, and an ALB takes up to {MOST_WEIGHT}"
                yield route.wrong((*path, index, "weight"), weight, f"0..{MOST_WEIGHT}", what, "scale the weights down")
            if weight is None and "weight" not in backend and len(backends) > 1 and any(stated):
                what = f"the weight of {text(backend, 'name')} is not stated, and is 1 beside the others"
                yield route.doubtful((*path, index), "", "a weight", what, "state it")
        if stated and all(weight == 0 for weight in stated):
            what = "all weights of a rule are 0: the gateway answers 500"
            yield route.wrong(path, 0, "above 0", what, "give one a weight")


def references(tree: Tree, route: Found) -> Iterator[ObjectFinding]:
    """A route hangs on a Gateway that is there, and sends to Services and pools that are there."""
    for path, name, gateway in _parents(tree, route):
        if gateway is None and tree.has_any("Gateway", route.namespace):
            what, mend = f"it hangs on Gateway {name}, which is not there", "name one of the Gateways"
            yield route.wrong(path, name, "a Gateway", what, mend)
    alb = on_alb(tree, route)
    for path, backends in _rules(route):
        for index, backend in enumerate(backends):
            kind, name = text(backend, "kind") or "Service", text(backend, "name")
            namespace = text(backend, "namespace") or route.namespace
            if kind == "InferencePool" and alb:
                what = f"it sends to InferencePool {name}, which ALBs do not support"
                mend = "hang the route on a gateway with the inference extension"
                yield route.wrong((*path, index), kind, "Service", what, mend)
            elif name and tree.has_any(kind, namespace) and not _has(tree, kind, namespace, name):
                what = f"it sends to {kind} {name}, which is not there"
                yield route.wrong((*path, index, "name"), name, f"a {kind}", what, "name one that is there")


def _has(tree: Tree, kind: str, namespace: str, name: str) -> bool:
    """Whether it is there, or will be: controllers make a Service for a Gateway, by its name or one that begins so."""
    made = (gateway.name for gateway in tree.of("Gateway") if kind == "Service" and gateway.namespace == namespace)
    return tree.has(kind, namespace, name) or any(name == one or name.startswith(f"{one}-") for one in made if one)


def targets(tree: Tree, route: Found) -> Iterator[ObjectFinding]:
    """On an ALB, each ClusterIP Service of a route has a TargetGroupConfiguration with target type ip.

    The target type is instance by default, which needs node ports.
    """
    if not on_alb(tree, route):
        return
    for path, backends in _rules(route):
        for index, backend in enumerate(backends):
            name = text(backend, "name")
            service = tree.get("Service", text(backend, "namespace") or route.namespace, name)
            if service is None or (text(service.body, "spec", "type") or "ClusterIP") != "ClusterIP":
                continue
            told = [
                text(found.body, "spec", "defaultConfiguration", "targetType")
                for found in attributes.configurations(tree, service.namespace, name)
            ]
            if "ip" not in told:
                what = f"Service {name} has no node port, and no TargetGroupConfiguration with targetType ip"
                yield route.wrong((*path, index), "instance", "ip", what, "add targetType: ip")


def gateways(tree: Tree) -> Sequence[Found]:
    return tree.of("Gateway")


def listeners(tree: Tree, gateway: Found) -> Iterator[ObjectFinding]:
    """A Gateway has a class that is there, and does not serve plain HTTP to the internet."""
    name, classes = text(gateway.body, "spec", "gatewayClassName"), [one.name for one in tree.of("GatewayClass")]
    # A class that is not there at all is its controller's; one that is nearly there is misspelt.
    near = difflib.get_close_matches(name, classes, n=1, cutoff=0.8)
    if near and name not in classes:
        what = f"its class {name} is not there, and {near[0]} is"
        yield gateway.doubtful(("spec", "gatewayClassName"), name, near[0], what, f"write {near[0]}")
    if _scheme(tree, gateway) != "internet-facing":
        return
    for index, listener in enumerate(items(gateway.body, "spec", "listeners")):
        if text(listener, "protocol") == "HTTP" and not _only_redirects(tree, gateway, text(listener, "name")):
            what = "it listens to plain HTTP from the internet"
            path: Path = ("spec", "listeners", index, "protocol")
            yield gateway.doubtful(path, "HTTP", "HTTPS", what, "listen to HTTPS, or make the scheme internal")


def _scheme(tree: Tree, gateway: Found) -> str:
    name = text(gateway.body, "spec", "infrastructure", "parametersRef", "name")
    configuration = tree.get("LoadBalancerConfiguration", gateway.namespace, name)
    return text(configuration.body, "spec", "scheme") if configuration else ""


def _only_redirects(tree: Tree, gateway: Found, listener: str) -> bool:
    """Whether all routes of a listener do nothing but redirect."""
    hung = [
        route
        for route in routes(tree)
        for parent in items(route.body, "spec", "parentRefs")
        if text(parent, "name") == gateway.name and text(parent, "sectionName") in ("", listener)
    ]
    filters = [
        {text(one, "type") for one in items(rule, "filters")}
        for route in hung
        for rule in items(route.body, "spec", "rules")
    ]
    return bool(filters) and all("RequestRedirect" in kinds for kinds in filters)
