"""API versions that Kubernetes 1.33 and the controllers of the field serve."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from holdfast.manifests.checks.objects import Found
from holdfast.manifests.checks.trees import Tree
from holdfast.model.findings import ObjectFinding

_MOVED = (
    (r"karpenter\.sh/v1(alpha|beta)\d+", ".*", "karpenter.sh/v1", "Karpenter serves v1 only since 1.1"),
    (r"karpenter\.k8s\.aws/v1(alpha|beta)\d+", ".*", "karpenter.k8s.aws/v1", "Karpenter serves v1 only since 1.1"),
    (
        r"inference\.networking\.x-k8s\.io/.*",
        "InferencePool",
        "inference.networking.k8s.io/v1",
        "InferencePool has been v1 since the inference extension 1.0",
    ),
    (
        r"inference\.networking\.(x-)?k8s\.io/.*",
        "InferenceObjective|InferenceModel",
        "llm-d.ai/v1alpha2",
        "objectives moved to llm-d",
    ),
    (r"resource\.k8s\.io/(v1|v1alpha\d+)", ".*", "resource.k8s.io/v1beta2", "Kubernetes 1.33 has v1beta1 and v1beta2"),
    (r"autoscaling/v2beta\d", ".*", "autoscaling/v2", "it is gone since Kubernetes 1.26"),
    (r"policy/v1beta1", ".*", "policy/v1", "it is gone since Kubernetes 1.25"),
    (r"batch/v1beta1", ".*", "batch/v1", "it is gone since Kubernetes 1.25"),
    (
        r"(extensions|networking\.k8s\.io)/v1beta1",
        "Ingress.*",
        "networking.k8s.io/v1",
        "it is gone since Kubernetes 1.22",
    ),
    (r"(extensions|apps)/v1beta\d", ".*", "apps/v1", "it is gone since Kubernetes 1.16"),
    (r"leaderworkerset\.x-k8s\.io/v1(alpha|beta)\d+", ".*", "leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet serves v1"),
    (r"gateway\.k8s\.aws/v1(alpha|beta)\d+", ".*", "gateway.k8s.aws/v1", "it is deprecated since controller 3.5"),
)
"""Pattern of the version, of the kind, what to write, and why."""


def objects(tree: Tree) -> Sequence[Found]:
    return tree.objects


def served(tree: Tree, found: Found) -> Iterator[ObjectFinding]:
    """The version is one that a cluster of today serves."""
    for version, kind, now, why in _MOVED:
        if re.fullmatch(version, found.api_version) and re.fullmatch(kind, found.kind):
            what = f"it is of {found.api_version}, and {why}"
            yield found.wrong(("apiVersion",), found.api_version, now, what, f"write {now}")
            return
