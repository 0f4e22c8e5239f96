"""Selectors and the labels that they are for: each selects pods, and those that are meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdfast.manifests.checks.objects import Found, Mapping, items, mapping, text
from holdfast.manifests.checks.trees import Container, Tree, Workload, match_labels, matches
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
    return {text(port, "name") for container in staying(workload) for port in items(container.spec, "ports")}


def staying(workload: Workload) -> list[Container]:
    return [container for container in workload.containers if container.stays]


def workloads(tree: Tree) -> Sequence[Workload]:
    return [one for one in tree.workloads if one.serves]


def overlapping(tree: Tree, workload: Workload) -> Iterator[ObjectFinding]:
    """One disruption budget covers a pod, and one PodMonitor scrapes it."""
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


def spread(tree: Tree, workload: Workload) -> Iterator[ObjectFinding]:
    """Topology spread counts the workload's own pods."""
    for index, constraint in enumerate(items(workload.spec, "topologySpreadConstraints")):
        selector = match_labels(mapping(constraint, "labelSelector"))
        if selector is not None and not (selector and matches(selector, workload.labels)):
            path = (*workload.path, "spec", "topologySpreadConstraints", index, "labelSelector")
            what = f"it spreads pods with {_listed(selector) or 'no labels'}, which are not its own"
            yield workload.owner.doubtful(
                path, _listed(selector), "its own labels", what, "take the labels of its pods"
            )
