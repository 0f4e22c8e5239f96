"""Selectors and the labels that they are for: each selects pods, and those that are meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdfast.manifests.checks import attributes
from holdfast.manifests.checks.objects import (
    Container,
    Found,
    Mapping,
    Tree,
    Workload,
    items,
    mapping,
    match_labels,
    matches,
    text,
)
from holdfast.manifests.yaml import Path
from holdfast.model.findings import ObjectFinding

_CONTROLLERS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")


def controllers(tree: Tree) -> Sequence[Workload]:
    return [one for one in tree.workloads if one.owner.kind in _CONTROLLERS]


def own_pods(tree: Tree, workload: Workload) -> Iterator[ObjectFinding]:
    """A controller's selector matches the labels of its own pods, and of no other's."""
    owner = workload.owner
    selector, path = match_labels(owner.at("spec", "selector")), ("spec", "selector")
    if selector is None:
        return
    missing = {key: value for key, value in selector.items() if workload.labels.get(key) != value}
    if missing:
        what = f"its selector wants {_listed(missing)}, which its own pods do not have"
        yield owner.wrong(path, _listed(selector), _listed(workload.labels), what, "take the labels of the template")
        return
    for other in tree.selected(owner.namespace, selector):
        if other.owner is not owner and other.serves:
            what = f"its selector matches the pods of {other.owner.title} too"
            yield owner.wrong(
                path, _listed(selector), "its own pods", what, "select by a label that differs between them"
            )


def _listed(labels: Mapping) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))


_SELECTING: dict[str, Path] = {
    "Service": ("spec", "selector"),
    "PodDisruptionBudget": ("spec", "selector", "matchLabels"),
    "PodMonitor": ("spec", "selector", "matchLabels"),
    "NetworkPolicy": ("spec", "podSelector", "matchLabels"),
    "InferencePool": ("spec", "selector", "matchLabels"),
    "TargetGroupBinding": ("spec", "serviceRef"),
}


def selecting(tree: Tree) -> Sequence[Found]:
    return [found for found in tree.of(*_SELECTING) if selected_by(found)]


def selected_by(found: Found) -> Mapping:
    """The labels that it selects pods by; none where it selects all, none, or by expressions."""
    path = _SELECTING[found.kind]
    return {} if found.at(*path[:-1], "matchExpressions") else mapping(found.body, *path)


def something(tree: Tree, found: Found) -> Iterator[ObjectFinding]:
    """What selects pods selects some."""
    if found.kind == "TargetGroupBinding" or found.at("spec", "namespaceSelector"):
        return
    here = [one for one in tree.workloads if one.namespace == found.namespace]
    selector, path = selected_by(found), _SELECTING[found.kind]
    if here and not tree.selected(found.namespace, selector):
        what = f"it selects {_listed(selector)}, which no pods here have"
        mend = "take labels of the pods that are meant"
        yield found.doubtful(path, _listed(selector), "labels of pods", what, mend)


def service_monitors(tree: Tree) -> Sequence[Found]:
    return tree.of("ServiceMonitor")


def monitored(tree: Tree, monitor: Found) -> Iterator[ObjectFinding]:
    """A ServiceMonitor selects a Service, and a port that it names."""
    selector = match_labels(monitor.at("spec", "selector"))
    here = [one for one in tree.of("Service") if one.namespace == monitor.namespace]
    if not selector or not here or monitor.at("spec", "namespaceSelector"):
        return
    chosen = [service for service in here if matches(selector, service.labels)]
    if not chosen:
        what = f"it selects Services with {_listed(selector)}, and there is none"
        mend = "take labels that the Service itself has"
        yield monitor.doubtful(("spec", "selector"), _listed(selector), "a Service", what, mend)
    ports = {text(port, "name") for service in chosen for port in items(service.body, "spec", "ports")}
    for index, endpoint in enumerate(items(monitor.body, "spec", "endpoints")):
        port = text(endpoint, "port")
        if chosen and port and port not in ports:
            what = f"it scrapes port {port}, which the Service does not name"
            yield monitor.wrong(
                ("spec", "endpoints", index, "port"), port, _names(ports), what, "name one of its ports"
            )


def _names(ports: set[str]) -> str:
    return ", ".join(sorted(port for port in ports if port)) or "none"


def ported(tree: Tree) -> Sequence[Found]:
    return [found for found in tree.of("Service", "PodMonitor") if selected_by(found)]


def ports(tree: Tree, found: Found) -> Iterator[ObjectFinding]:
    """A Service and a PodMonitor name ports that pods of theirs have; workers of a group mostly have none."""
    workloads = tree.selected(found.namespace, selected_by(found))
    there = {name for workload in workloads for name in _container_ports(workload)}
    for path, port in _asked_ports(found):
        if workloads and isinstance(port, str) and port and not port.isdigit() and port not in there:
            titles = ", ".join(dict.fromkeys(workload.owner.title for workload in workloads))
            what = f"it asks for port {port}, which the pods of {titles} do not name"
            yield found.wrong(path, port, _names(there), what, "name one of their ports")


def _asked_ports(found: Found) -> Iterator[tuple[Path, object]]:
    if found.kind == "Service":
        for index, port in enumerate(items(found.body, "spec", "ports")):
            yield ("spec", "ports", index, "targetPort"), mapping(port).get("targetPort")
    for index, endpoint in enumerate(items(found.body, "spec", "podMetricsEndpoints")):
        yield ("spec", "podMetricsEndpoints", index, "port"), mapping(endpoint).get("port")


def _container_ports(workload: Workload) -> set[str]:
    return {text(port, "name") for container in _staying(workload) for port in items(container.spec, "ports")}


def _staying(workload: Workload) -> list[Container]:
    return [container for container in workload.containers if container.stays]


def splits(tree: Tree) -> Sequence[tuple[Found, Path, list[str]]]:
    """Where traffic is split: the object, the place in it, and the names of the Services."""
    found: list[tuple[Found, Path, list[str]]] = []
    for ingress in tree.of("Ingress"):
        for name, value in attributes.actions(ingress).items():
            groups = attributes.groups(attributes.read_json(value))
            services = [text(group, "serviceName") for group in groups]
            found.append((ingress, attributes.annotation(f"actions.{name}"), services))
    for route in tree.of("HTTPRoute", "GRPCRoute"):
        for index, rule in enumerate(items(route.body, "spec", "rules")):
            services = [text(ref, "name") for ref in items(rule, "backendRefs")]
            found.append((route, ("spec", "rules", index, "backendRefs"), services))
    return [one for one in found if len(one[2]) > 1]


def apart(tree: Tree, split: tuple[Found, Path, list[str]]) -> Iterator[ObjectFinding]:
    """Services between which traffic is split have no pods in common: a weight would reach another pool's pods."""
    found, path, names = split
    seen: dict[str, str] = {}
    for name in dict.fromkeys(names):
        service = tree.get("Service", found.namespace, name)
        if service is None:
            continue
        for workload in tree.selected(found.namespace, mapping(service.body, "spec", "selector")):
            title = workload.owner.title
            if seen.setdefault(title, name) != name:
                both = f"Services {seen[title]} and {name}"
                what = f"traffic is split between {both}, which both select the pods of {title}"
                mend = "let each Service select its own pods only"
                yield service.wrong(("spec", "selector"), title, "pods of its own", what, mend)
    for name in {name for name in names if names.count(name) > 1}:
        what = f"it names Service {name} twice in one split"
        yield found.doubtful(path, name, "once", what, "add the weights up")


def workloads(tree: Tree) -> Sequence[Workload]:
    return [one for one in tree.workloads if one.serves]


def overlapping(tree: Tree, workload: Workload) -> Iterator[ObjectFinding]:
    """One budget covers a pod, and one monitor scrapes it: with two budgets no pod can be evicted at all, and two
    monitors make each request count twice."""
    for kind, wrong, mend in (
        ("PodDisruptionBudget", "so that none of them can be evicted", "keep one"),
        ("PodMonitor", "so that whatever is summed over their series counts twice", "select each pool by one"),
    ):
        over = [
            found
            for found in tree.of(kind)
            if found.namespace == workload.namespace
            and selected_by(found)
            and matches(selected_by(found), workload.labels)
        ]
        if len(over) > 1:
            names = ", ".join(found.name for found in over)
            what = f"{kind} {names} all select the pods of {workload.owner.title}, {wrong}"
            for found in over[1:]:
                severe = found.wrong if kind == "PodDisruptionBudget" else found.doubtful
                yield severe(_SELECTING[kind], names, "one", what, mend)


def budgets(tree: Tree) -> Sequence[Found]:
    return tree.of("PodDisruptionBudget")


def evictable(tree: Tree, budget: Found) -> Iterator[ObjectFinding]:
    """A budget lets some pod go: with none, no node can be drained, upgraded or replaced."""
    spec = mapping(budget.body, "spec")
    none_may_go = spec.get("maxUnavailable") in (0, "0", "0%") or spec.get("minAvailable") == "100%"
    if none_may_go:
        key = "maxUnavailable" if "maxUnavailable" in spec else "minAvailable"
        what = f"{key} {spec[key]} lets no pod go, and so no node be replaced"
        yield budget.doubtful(("spec", key), spec[key], "maxUnavailable: 1", what, "write maxUnavailable: 1")


def policies(tree: Tree) -> Sequence[Found]:
    return [found for found in tree.of("Service") if mapping(found.body, "spec", "selector")]


def reachable(tree: Tree, service: Found) -> Iterator[ObjectFinding]:
    """A NetworkPolicy over the pods of a Service lets the Service's port in."""
    for workload in tree.selected(service.namespace, mapping(service.body, "spec", "selector")):
        over = [
            policy
            for policy in tree.of("NetworkPolicy")
            if policy.namespace == service.namespace
            and match_labels(policy.at("spec", "podSelector")) is not None
            and matches(mapping(policy.body, "spec", "podSelector", "matchLabels"), workload.labels)
            and (policy.at("spec", "ingress") is not None or "Ingress" in items(policy.body, "spec", "policyTypes"))
        ]
        let_in = [ports for policy in over for ports in _let_in(policy, workload)]
        for index, port in enumerate(items(service.body, "spec", "ports")):
            target = mapping(port).get("targetPort", mapping(port).get("port"))
            wanted = _number(workload, target)
            if over and wanted is not None and not any(ports is None or wanted in ports for ports in let_in):
                what = f"{over[0].title} lets nobody in to port {wanted} of {workload.owner.title}"
                mend = "add an ingress rule for it"
                yield service.doubtful(("spec", "ports", index), wanted, "an ingress rule", what, mend)


def _let_in(policy: Found, workload: Workload) -> Iterator[set[int] | None]:
    """The ports of each ingress rule; None for all."""
    for rule in items(policy.body, "spec", "ingress"):
        ports = items(rule, "ports")
        numbers: set[int] = set()
        for port in ports:
            number = _number(workload, mapping(port).get("port"))
            last = mapping(port).get("endPort")
            if number is None:
                yield None
            else:
                numbers |= set(range(number, last + 1)) if isinstance(last, int) and last <= 65535 else {number}
        yield numbers if ports else None


def _number(workload: Workload, port: object) -> int | None:
    """The number of a port that is given by number or name; None where it is unknown."""
    if isinstance(port, int) and not isinstance(port, bool):
        return port
    for container in workload.containers:
        for one in items(container.spec, "ports"):
            number = mapping(one).get("containerPort")
            if port and text(one, "name") == port and isinstance(number, int):
                return number
    return None


def inference_pools(tree: Tree) -> Sequence[Found]:
    return [found for found in tree.of("InferencePool") if selected_by(found)]


_ROLES = ("prefill", "decode", "prefill-decode")


def pooled(tree: Tree, pool: Found) -> Iterator[ObjectFinding]:
    """An InferencePool sends to ports and roles that its pods have, and its picker is there."""
    members = tree.selected(pool.namespace, selected_by(pool))
    for index, port in enumerate(items(pool.body, "spec", "targetPorts")):
        number = mapping(port).get("number")
        there = {
            mapping(one).get("containerPort")
            for workload in members
            for container in _staying(workload)
            for one in items(container.spec, "ports")
        }
        if there and number not in there:
            what = f"it sends to port {number}, which none of its pods has"
            path: Path = ("spec", "targetPorts", index, "number")
            yield pool.wrong(path, number, sorted(str(one) for one in there), what, "name one of their ports")
    for workload in members:
        role = workload.labels.get("llm-d.ai/role")
        if role is not None and role not in _ROLES:
            what = f"its pods have the role {role}, which llm-d's picker does not know"
            path = (*workload.path, "metadata", "labels", "llm-d.ai/role")
            yield workload.owner.wrong(path, role, ", ".join(_ROLES), what, f"write one of {', '.join(_ROLES)}")
    picker = text(pool.body, "spec", "endpointPickerRef", "name")
    if picker and tree.has_any("Service", pool.namespace) and not tree.has("Service", pool.namespace, picker):
        what = f"its endpoint picker {picker} is not there, and without one it fails closed"
        where = ("spec", "endpointPickerRef", "name")
        yield pool.doubtful(where, picker, "a Service", what, "name the picker's Service")


def spread(tree: Tree, workload: Workload) -> Iterator[ObjectFinding]:
    """Topology spread and anti-affinity count the workload's own pods."""
    for index, constraint in enumerate(items(workload.spec, "topologySpreadConstraints")):
        selector = match_labels(mapping(constraint, "labelSelector"))
        if selector is not None and not (selector and matches(selector, workload.labels)):
            path = (*workload.path, "spec", "topologySpreadConstraints", index, "labelSelector")
            what = f"it spreads pods with {_listed(selector) or 'no labels'}, which are not its own"
            yield workload.owner.doubtful(
                path, _listed(selector), "its own labels", what, "take the labels of its pods"
            )
