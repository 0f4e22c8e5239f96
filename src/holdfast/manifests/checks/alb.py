"""Ingresses of the AWS Load Balancer Controller: what it reads from annotations, text that nothing else checks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdfast.manifests.checks import attributes
from holdfast.manifests.checks.attributes import PREFIX, annotation
from holdfast.manifests.checks.keda import figure
from holdfast.manifests.checks.objects import Found, Mapping, items, mapping, text
from holdfast.manifests.checks.trees import Tree
from holdfast.model.findings import ObjectFinding

MOST_GROUPS = 5
"""Target groups of one action (docs.aws.amazon.com, "Quotas for your Application Load Balancers": not adjustable)."""

MOST_WEIGHT = 999

_REDIRECT = "ssl-redirect"


def ingresses(tree: Tree) -> Sequence[Found]:
    return [found for found in tree.of("Ingress") if attributes.is_alb(found)]


def classes(tree: Tree, ingress: Found) -> Iterator[ObjectFinding]:
    """The class stands in spec.ingressClassName, not in the annotation of old."""
    if "kubernetes.io/ingress.class" in ingress.annotations:
        what = "it names its class by the annotation kubernetes.io/ingress.class"
        path = ("metadata", "annotations", "kubernetes.io/ingress.class")
        yield ingress.doubtful(path, "annotation", "spec.ingressClassName", what, "write spec.ingressClassName: alb")
    elif not text(ingress.body, "spec", "ingressClassName") and not tree.of("IngressClass"):
        what = "it has no ingressClassName, so that no controller may take it"
        yield ingress.doubtful(("spec",), "", "alb", what, "write spec.ingressClassName: alb")


def action(tree: Tree, ingress: Found) -> Iterator[ObjectFinding]:
    """Each action is JSON, forwards to Services that are there, and is named by a backend with port use-annotation."""
    used: set[str] = set()
    for path, backend in attributes.rule_backends(ingress):
        name = text(backend, "service", "name")
        by_annotation = text(backend, "service", "port", "name") == "use-annotation"
        if by_annotation:
            used.add(name)
            if name not in attributes.actions(ingress):
                known = ", ".join(sorted(attributes.actions(ingress))) or "none"
                what = f"the backend {name} has no annotation {PREFIX}actions.{name} (there is: {known})"
                yield ingress.wrong(path, name, known, what, "give the annotation the backend's name")
        elif name in attributes.actions(ingress):
            what = f"the backend {name} is an action, and its port is not use-annotation"
            mend = "write port: {name: use-annotation}"
            yield ingress.wrong(path, "a port", "use-annotation", what, mend)
        elif name and tree.has_any("Service", ingress.namespace) and not tree.has("Service", ingress.namespace, name):
            what = f"the backend {name} is a Service that is not there"
            yield ingress.wrong(path, name, "a Service", what, "name one of the Services")
    for name, value in attributes.actions(ingress).items():
        yield from _one_action(tree, ingress, name, value, used)


def _one_action(tree: Tree, ingress: Found, name: str, value: object, used: set[str]) -> Iterator[ObjectFinding]:
    where = annotation(f"actions.{name}")
    read = attributes.lower_first(attributes.read_json(value))
    if not isinstance(read, dict):
        what = f"the action {name} is not JSON"
        yield ingress.wrong(where, "text", "JSON", what, "write one JSON object")
        return
    if name not in used and name != _REDIRECT:
        what = f"no backend uses the action {name}"
        yield ingress.wrong(where, name, "a backend", what, "give a backend its name, with port name use-annotation")
    kind = text(read, "type")
    parts = {"forward": "forwardConfig", "redirect": "redirectConfig", "fixed-response": "fixedResponseConfig"}
    if kind not in parts:
        what = f"the action {name} has the type {kind or 'none'}"
        yield ingress.wrong(where, kind, "forward", what, f"write one of {', '.join(parts)}")
    elif not mapping(read, parts[kind]) and not (kind == "forward" and attributes.groups(read)):
        yield ingress.wrong(where, "", parts[kind], f"the action {name} is a {kind} without {parts[kind]}", "add it")
    for group in attributes.groups(read):
        service = text(group, "serviceName")
        known = tree.has_any("Service", ingress.namespace)
        if service and known and not tree.has("Service", ingress.namespace, service):
            what = f"the action {name} forwards to Service {service}, which is not there"
            yield ingress.wrong(where, service, "a Service", what, "name one of the Services")
        elif service and not _has_port(tree, ingress, service, group.get("servicePort")):
            port = group["servicePort"]
            what = f"the action {name} forwards to port {port} of Service {service}, which it does not have"
            yield ingress.wrong(where, port, "a port of it", what, "name a port of the Service")


def _has_port(tree: Tree, ingress: Found, service: str, port: object) -> bool:
    found = tree.get("Service", ingress.namespace, service)
    if found is None or port is None:
        return True
    ports = items(found.body, "spec", "ports")
    return any(str(port) in (str(mapping(one).get("port")), text(one, "name")) for one in ports)


def weights(tree: Tree, ingress: Found) -> Iterator[ObjectFinding]:
    """At most five target groups, each with a weight of 0 to 999, one of them above 0."""
    for name, value in attributes.actions(ingress).items():
        where = annotation(f"actions.{name}")
        groups = attributes.groups(attributes.read_json(value))
        if len(groups) > MOST_GROUPS:
            what = f"the action {name} has {len(groups)} target groups, and an ALB takes {MOST_GROUPS}"
            mend = "let pools share a Service, so that there are five"
            yield ingress.wrong(where, len(groups), MOST_GROUPS, what, mend)
        if len(groups) > 1:
            yield from _weights(ingress, name, groups)


def _weights(ingress: Found, name: str, groups: list[Mapping]) -> Iterator[ObjectFinding]:
    where = annotation(f"actions.{name}")
    stated = [group.get("weight") for group in groups]
    for group, weight in zip(groups, stated, strict=True):
        service = text(group, "serviceName") or text(group, "targetGroupARN") or "?"
        if weight is None:
            what = f"the target group of {service} in action {name} has no weight, which several need"
            yield ingress.wrong(where, "", f"0..{MOST_WEIGHT}", what, "give it a weight")
        elif not isinstance(weight, int) or isinstance(weight, bool) or not 0 <= weight <= MOST_WEIGHT:
            what = f"the weight of {service} in action {name} is {weight!r}"
            yield ingress.wrong(
                where, weight, f"0..{MOST_WEIGHT}", what, f"give a whole number from 0 to {MOST_WEIGHT}"
            )
    if all(weight == 0 for weight in stated):
        what = f"all weights of action {name} are 0: the load balancer answers 503"
        yield ingress.wrong(where, 0, "above 0", what, "give one a weight")


def stickiness(tree: Tree, ingress: Found) -> Iterator[ObjectFinding]:
    """Target group stickiness keeps clients on a pool for its duration, whatever the weights say meanwhile."""
    for name, value in attributes.actions(ingress).items():
        config = mapping(attributes.lower_first(attributes.read_json(value)), "forwardConfig")
        if mapping(config, "targetGroupStickinessConfig").get("enabled") and len(items(config, "targetGroups")) > 1:
            held = mapping(config, "targetGroupStickinessConfig").get("durationSeconds", "its duration")
            what = f"the action {name} has target group stickiness: a new weight takes effect only after {held} s"
            yield ingress.doubtful(annotation(f"actions.{name}"), "sticky", "not", what, "leave stickiness out")


def plain_http(tree: Tree, ingress: Found) -> Iterator[ObjectFinding]:
    """A load balancer on the internet does not serve plain HTTP, other than to redirect to HTTPS."""
    told = ingress.annotations
    if told.get(f"{PREFIX}scheme") != "internet-facing":
        return
    ports = attributes.read_json(told.get(f"{PREFIX}listen-ports"))
    listens = [key for entry in ports if isinstance(entry, dict) for key in entry] if isinstance(ports, list) else []
    # Without listen-ports: 443 when there is a certificate, else 80.
    secure = "HTTPS" in listens if listens else f"{PREFIX}certificate-arn" in told
    plain = "HTTP" in listens if listens else not secure
    if plain and not (secure and f"{PREFIX}{_REDIRECT}" in told):
        what = "it listens to plain HTTP from the internet"
        mend = "set listen-ports to HTTPS with a certificate, or the scheme to internal"
        yield ingress.doubtful(annotation("listen-ports"), "HTTP", "HTTPS", what, mend)


def target_type(ingress: Found, tree: Tree, service: Found) -> str:
    """Where an ALB sends requests to: pods (`ip`) or ports of nodes (`instance`, the default)."""
    own = service.annotations.get(f"{PREFIX}target-type")
    return str(own or ingress.annotations.get(f"{PREFIX}target-type") or "instance")


def targets(tree: Tree, ingress: Found) -> Iterator[ObjectFinding]:
    """ClusterIP Services are reached by target type ip only."""
    for name in dict.fromkeys((*attributes.backends(ingress), *attributes.acted_on(ingress))):
        service = tree.get("Service", ingress.namespace, name)
        if service is None or target_type(ingress, tree, service) != "instance":
            continue
        if (text(service.body, "spec", "type") or "ClusterIP") == "ClusterIP":
            what = f"its target type is instance, and Service {name} has no node port"
            mend = f"annotate {PREFIX}target-type: ip"
            yield ingress.wrong(annotation("target-type"), "instance", "ip", what, mend)


def readiness_gate(tree: Tree, ingress: Found) -> Iterator[ObjectFinding]:
    """Pods behind an ALB count as ready only when their target is: the namespace's label asks for it.

    Without it a rollout ends pods whose successors no load balancer sends requests to yet.
    """
    label, namespace = "elbv2.k8s.aws/pod-readiness-gate-inject", tree.get("Namespace", "", ingress.namespace)
    if namespace is not None and namespace.labels.get(label) != "enabled":
        what = f"the namespace of {ingress.title} has no readiness gates, and a rollout drops requests"
        yield namespace.doubtful(("metadata", "labels"), "", "enabled", what, f"label it {label}: enabled")


def health_checks(tree: Tree, service: Found) -> Iterator[ObjectFinding]:
    """A health check of an ALB ends before the next begins."""
    told = service.annotations
    interval_s = figure(told.get(f"{PREFIX}healthcheck-interval-seconds", "15"))
    timeout_s = figure(told.get(f"{PREFIX}healthcheck-timeout-seconds", "5"))
    if interval_s is not None and timeout_s is not None and timeout_s >= interval_s:
        what = f"its health check waits {timeout_s:g} s and is made every {interval_s:g} s, which an ALB refuses"
        where = annotation("healthcheck-timeout-seconds")
        yield service.wrong(where, timeout_s, f"< {interval_s:g}", what, "make the timeout shorter")
