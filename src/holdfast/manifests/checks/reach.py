"""Who sends to which pods: traffic that is split, network policies, and pools of inference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdfast.manifests.checks import attributes
from holdfast.manifests.checks.objects import Found, items, mapping, text
from holdfast.manifests.checks.selectors import selected_by, staying
from holdfast.manifests.checks.trees import Tree, Workload, match_labels, matches
from holdfast.manifests.yaml import Path
from holdfast.model.findings import ObjectFinding


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
            for container in staying(workload)
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
