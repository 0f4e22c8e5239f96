"""Probes: what they do to a server that takes minutes to load, and to one that is busy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdfast.manifests.checks import resources
from holdfast.manifests.checks.objects import Found, Mapping, items, mapping, number, text
from holdfast.manifests.checks.trees import Container, Tree, Workload
from holdfast.model.findings import ObjectFinding

LEAST_LOADING_S = 600
"""What a server with an accelerator is given to load at the least: an estimate. 40 GB of weights at 200 MB/s, what one
connection to an object store gives, are 200 s; compiling and capturing graphs comes on top, on Neuron for longer."""

LEAST_PATIENCE_S = 30
"""How long a busy server may miss its liveness probe at the least: Kubernetes' defaults (3 x 10 s)."""

_PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


def patience_s(probe: Mapping) -> float:
    """How long a container may fail a probe from its start on (Kubernetes' defaults: 0 + 3 x 10 s)."""
    delay_s, period_s = number(probe, "initialDelaySeconds") or 0, number(probe, "periodSeconds") or 10
    return delay_s + (number(probe, "failureThreshold") or 3) * period_s


def containers(tree: Tree) -> Sequence[Container]:
    return [one for one in tree.containers if any(mapping(one.spec, kind) for kind in _PROBES)]


def arithmetic(tree: Tree, container: Container) -> Iterator[ObjectFinding]:
    """Timeouts are shorter than periods; startup and liveness probes succeed once; ports have names that are there."""
    owner = container.workload.owner
    ports = {text(port, "name") for port in items(container.spec, "ports")}
    for kind in _PROBES:
        probe, path = mapping(container.spec, kind), (*container.path, kind)
        period_s, timeout_s = number(probe, "periodSeconds") or 10, number(probe, "timeoutSeconds") or 1
        if probe and timeout_s > period_s:
            what = f"the {kind} of {container.name} waits {timeout_s:g} s and is made every {period_s:g} s"
            mend = "make the timeout shorter than the period"
            yield owner.doubtful((*path, "timeoutSeconds"), timeout_s, f"<= {period_s:g}", what, mend)
        successes = number(probe, "successThreshold")
        if kind != "readinessProbe" and successes not in (None, 1):
            what = f"the {kind} of {container.name} has successThreshold {successes:g}, and Kubernetes takes 1 only"
            yield owner.wrong((*path, "successThreshold"), successes, 1, what, "leave it out")
        for way in ("httpGet", "tcpSocket"):
            port = mapping(probe, way).get("port")
            if isinstance(port, str) and not port.isdigit() and port not in ports:
                what = f"the {kind} of {container.name} asks port {port}, which the container does not name"
                yield owner.wrong((*path, way, "port"), port, ", ".join(sorted(ports)), what, "name one of its ports")


def servers(tree: Tree) -> Sequence[Container]:
    """Containers with accelerators that stay: they load a model first."""
    return [one for one in containers(tree) if one.stays and one.workload.serves and _loads(one)]


def _loads(container: Container) -> bool:
    return bool(resources.devices(container) or mapping(container.spec, "resources").get("claims"))


def loading(tree: Tree, container: Container) -> Iterator[ObjectFinding]:
    """No probe kills a server while it loads its model."""
    owner = container.workload.owner
    startup, liveness = mapping(container.spec, "startupProbe"), mapping(container.spec, "livenessProbe")
    if startup and patience_s(startup) < LEAST_LOADING_S:
        given = patience_s(startup)
        what = f"the startupProbe of {container.name} gives {given:g} s to load, and then kills it, again and again"
        mend = f"raise failureThreshold so that there are {LEAST_LOADING_S} s or more"
        yield owner.doubtful((*container.path, "startupProbe"), f"{given:g} s", f"{LEAST_LOADING_S} s", what, mend)
    if liveness and not startup and patience_s(liveness) < LEAST_LOADING_S:
        given = patience_s(liveness)
        what = f"{container.name} has a livenessProbe without a startupProbe, which kills it {given:g} s into loading"
        mend = "add a startupProbe for the minutes of loading"
        yield owner.wrong((*container.path, "livenessProbe"), f"{given:g} s", "a startupProbe", what, mend)
    period_s, times = number(liveness, "periodSeconds") or 10, number(liveness, "failureThreshold") or 3
    if liveness and period_s * times < LEAST_PATIENCE_S:
        what = f"the livenessProbe of {container.name} kills a server that is busy for {period_s * times:g} s"
        mend = f"give it {LEAST_PATIENCE_S} s or more"
        path = (*container.path, "livenessProbe")
        yield owner.doubtful(path, f"{period_s * times:g} s", f"{LEAST_PATIENCE_S} s", what, mend)


def deployments(tree: Tree) -> Sequence[Workload]:
    return [one for one in tree.workloads if one.owner.kind == "Deployment"]


def progress(tree: Tree, workload: Workload) -> Iterator[ObjectFinding]:
    """A rollout does not count as failed while its pods may still load."""
    starts = [mapping(container.spec, "startupProbe") for container in workload.containers]
    longest_s = max((patience_s(probe) for probe in starts if probe), default=0.0)
    deadline_s = number(workload.owner.body, "spec", "progressDeadlineSeconds") or 600
    if longest_s > deadline_s:
        what = f"a rollout counts as failed after {deadline_s:g} s, and its pods may load for {longest_s:g} s"
        mend = f"set progressDeadlineSeconds above {longest_s:g}"
        path = ("spec", "progressDeadlineSeconds")
        yield workload.owner.doubtful(path, f"{deadline_s:g} s", f"> {longest_s:g} s", what, mend)


def services(tree: Tree) -> Sequence[Found]:
    return [found for found in tree.of("Service") if mapping(found.body, "spec", "selector")]


def readiness(tree: Tree, service: Found) -> Iterator[ObjectFinding]:
    """A server behind a Service gets requests only when it says that it is ready."""
    for workload in tree.selected(service.namespace, mapping(service.body, "spec", "selector")):
        stays = [container for container in workload.containers if container.stays]
        if any(_loads(one) for one in stays) and not any(mapping(one.spec, "readinessProbe") for one in stays):
            what = f"{service.title} sends it requests while it loads, as it has no readinessProbe"
            path = (*workload.path, "spec", "containers")
            yield workload.owner.doubtful(path, "", "readinessProbe", what, "add one")
