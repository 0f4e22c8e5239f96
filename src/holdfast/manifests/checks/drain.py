"""How a pod leaves a load balancer: the deregistration delay, the preStop hook and the grace period, in this order.

A load balancer goes on sending requests for some seconds after a pod was told to end, and waits for those in flight
for the deregistration delay. The preStop hook has to outlast both, and the grace period has to outlast the hook, or
the server is gone while requests still come.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from holdfast.manifests.checks import attributes
from holdfast.manifests.checks.keda import figure
from holdfast.manifests.checks.objects import Found, items, mapping, number
from holdfast.manifests.checks.trees import Container, Tree, Workload
from holdfast.model.findings import ObjectFinding

_DEFAULT_GRACE_S = 30


def grace_s(workload: Workload) -> float:
    stated = number(workload.spec, "terminationGracePeriodSeconds")
    return _DEFAULT_GRACE_S if stated is None else stated


def sleep_s(container: Container) -> float:
    """How long its preStop hook sleeps: by `sleep`, or by a command that says `sleep N`."""
    hook = mapping(container.spec, "lifecycle", "preStop")
    native = number(hook, "sleep", "seconds")
    if native is not None:
        return native
    words = " ".join(str(word) for word in items(hook, "exec", "command")).replace(";", " ").split()
    counts = [figure(after) for word, after in itertools.pairwise(words) if word.endswith("sleep")]
    return sum(count for count in counts if count is not None)


def pods(tree: Tree) -> Sequence[Workload]:
    return [one for one in tree.workloads if any(mapping(part.spec, "lifecycle", "preStop") for part in one.containers)]


def grace(tree: Tree, workload: Workload) -> Iterator[ObjectFinding]:
    """The grace period, which runs from the start of the preStop hook, leaves time after it."""
    path = (*workload.path, "spec", "terminationGracePeriodSeconds")
    for container in workload.containers:
        slept_s, left_s = sleep_s(container), grace_s(workload) - sleep_s(container)
        shutdown_s = figure(container.argument("--shutdown-timeout")) or 0
        if slept_s and left_s <= 0:
            killed_s = grace_s(workload)
            what = (
                f"the preStop hook of {container.name} sleeps {slept_s:g} s, and the pod is killed after {killed_s:g} s"
            )
            mend = f"set terminationGracePeriodSeconds above {slept_s:g}"
            yield workload.owner.wrong(path, f"{killed_s:g} s", f"> {slept_s:g} s", what, mend)
        elif left_s < shutdown_s:
            what = f"{container.name} takes up to {shutdown_s:g} s to shut down, and has {left_s:g} s after its hook"
            mend = f"set terminationGracePeriodSeconds to {slept_s + shutdown_s:g} or more"
            yield workload.owner.doubtful(path, f"{left_s:g} s", f"{shutdown_s:g} s", what, mend)


def deregistration(tree: Tree, service: Found) -> Iterator[ObjectFinding]:
    """The preStop hook of what an ALB sends requests to outlasts the deregistration delay."""
    delay_s = attributes.deregistration_delay_s(tree, service)
    stated = attributes.target_group(tree, service).get("deregistration_delay.timeout_seconds")
    how = "" if stated else ", an ALB's default"
    for workload in tree.selected(service.namespace, mapping(service.body, "spec", "selector")):
        slept_s = max((sleep_s(container) for container in workload.containers), default=0.0)
        if slept_s <= delay_s:
            what = (
                f"its preStop hook sleeps {slept_s:g} s, and the target group of {service.title} sends requests for "
                f"up to {delay_s:g} s more{how}"
            )
            mend = "let the hook sleep longer than deregistration_delay.timeout_seconds, or lower that"
            path = (*workload.path, "spec", "containers", 0, "lifecycle", "preStop")
            yield workload.owner.doubtful(path, f"{slept_s:g} s", f"> {delay_s:g} s", what, mend)
