"""What adds and removes replicas: one scaler for each workload, of something that is there, and nobody else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdfast.manifests.checks.objects import Found, mapping, text
from holdfast.manifests.checks.trees import Tree
from holdfast.model.findings import ObjectFinding

SCALERS = ("ScaledObject", "HorizontalPodAutoscaler")


def scalers(tree: Tree) -> Sequence[Found]:
    return tree.of(*SCALERS)


def target(scaler: Found) -> tuple[str, str]:
    """Kind and name of what is scaled; KEDA takes a Deployment where no kind is stated."""
    ref = mapping(scaler.body, "spec", "scaleTargetRef")
    return text(ref, "kind") or "Deployment", text(ref, "name")


def targets(tree: Tree, scaler: Found) -> Iterator[ObjectFinding]:
    """What is scaled is there, is scaled by nobody else, and does not state its replicas, which would reset them."""
    kind, name = target(scaler)
    path = ("spec", "scaleTargetRef", "name")
    workload = tree.get(kind, scaler.namespace, name)
    if workload is None and tree.has_any(kind, scaler.namespace):
        what = f"it scales {kind} {name}, which is not there"
        yield scaler.wrong(path, name, f"a {kind}", what, "name one that is there")
    others = [
        other
        for other in scalers(tree)
        if other.identity != scaler.identity and other.namespace == scaler.namespace and target(other) == (kind, name)
    ]
    for other in others:
        what = f"{other.title} scales {kind} {name} too, and each undoes what the other does"
        yield scaler.wrong(path, other.title, "one scaler", what, "keep one")
    if workload is not None and workload.at("spec", "replicas") is not None:
        what = f"it states replicas, to which each apply sets it back while {scaler.title} scales it"
        yield workload.doubtful(
            ("spec", "replicas"), workload.at("spec", "replicas"), "none", what, "leave replicas out"
        )


def autoscalers(tree: Tree) -> Sequence[Found]:
    return tree.of("HorizontalPodAutoscaler")


def behaviour(tree: Tree, scaler: Found) -> Iterator[ObjectFinding]:
    """An HPA says how fast it goes down, and its bounds are in order."""
    spec = mapping(scaler.body, "spec")
    if not mapping(spec, "behavior", "scaleDown"):
        what = "it says nothing of scaling down, so that all replicas but one may go after five minutes"
        yield scaler.doubtful(("spec",), "", "behavior.scaleDown", what, "state behavior.scaleDown")
    most, least = spec.get("maxReplicas"), spec.get("minReplicas", 1)
    if isinstance(most, int) and isinstance(least, int) and least > most:
        what = f"minReplicas {least} is above maxReplicas {most}"
        yield scaler.wrong(("spec", "minReplicas"), least, most, what, "exchange them")
