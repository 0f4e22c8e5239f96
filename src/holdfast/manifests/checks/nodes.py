"""Which nodes a pod may run on, as far as NodePools and node selectors say it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from holdfast import catalog
from holdfast.manifests.checks import resources
from holdfast.manifests.checks.objects import Found, Mapping, items, mapping, text
from holdfast.manifests.checks.trees import Tree, Workload
from holdfast.manifests.yaml import Path
from holdfast.model.hardware import InstanceType

POOL = "karpenter.sh/nodepool"
INSTANCE_TYPE = "node.kubernetes.io/instance-type"
AUTO_MODE = "eks.amazonaws.com"
"""API group of Auto Mode's NodeClass, and the domain of its node labels."""

_DESCRIBED = (
    INSTANCE_TYPE,
    *(
        f"{domain}/instance-{what}"
        for domain in ("karpenter.k8s.aws", AUTO_MODE)
        for what in ("family", "category", "gpu-name", "accelerator-name")
    ),
)
"""Labels that a requirement can name instance types by."""


@cache
def _types() -> dict[str, InstanceType]:
    return {kind.name: kind for kind in catalog.instance_types()}


def _has(kind: InstanceType, label: str, values: set[str]) -> bool:
    """Whether nodes of the type have one of the values of a label."""
    if label == INSTANCE_TYPE:
        return kind.name in values
    what = label.rpartition("/instance-")[2]
    if what == "family":
        return kind.family in values
    if what == "category":
        return _letters(kind) in values
    own, _, value = catalog.accelerator(kind.accelerator).karpenter_label.rpartition("=")
    return own.endswith(f"instance-{what}") and value in values


def _letters(kind: InstanceType) -> str:
    """The letters that its family begins with: Karpenter's instance category."""
    return next(iter(re.findall(r"^[a-z]+", kind.family)), "")


@dataclass(frozen=True, eq=False)
class Pool:
    """A NodePool."""

    found: Found

    @property
    def name(self) -> str:
        return self.found.name

    @property
    def class_group(self) -> str:
        return text(self.found.body, "spec", "template", "spec", "nodeClassRef", "group")

    @property
    def labels(self) -> Mapping:
        return mapping(self.found.body, "spec", "template", "metadata", "labels") | {POOL: self.name}

    @property
    def taints(self) -> list[Mapping]:
        taints = items(self.found.body, "spec", "template", "spec", "taints")
        return [mapping(taint) for taint in taints if text(taint, "effect") in ("NoSchedule", "NoExecute")]

    def allowed(self, key: str) -> set[str] | None:
        """The values that a requirement leaves of a label; None where none does."""
        chosen: set[str] | None = None
        for requirement in items(self.found.body, "spec", "template", "spec", "requirements"):
            if text(requirement, "key") == key and text(requirement, "operator") == "In":
                values = {str(value) for value in items(requirement, "values")}
                chosen = values if chosen is None else chosen & values
        return chosen

    @property
    def instance_types(self) -> list[InstanceType]:
        """The types of the catalogue that it may start; none where its requirements do not name them."""
        wanted = {key: values for key in _DESCRIBED if (values := self.allowed(key)) is not None}
        if not wanted:
            return []
        return [kind for kind in _types().values() if all(_has(kind, key, values) for key, values in wanted.items())]

    def may_have(self, selector: Mapping) -> bool:
        """Whether its nodes can have all labels of a node selector."""
        for key, value in selector.items():
            if key in self.labels:
                if self.labels[key] != value:
                    return False
                continue
            allowed = self.allowed(key)
            if allowed is not None and value not in allowed:
                return False
            if allowed is None and not _well_known(key):
                return False
        return True


def _well_known(label: str) -> bool:
    domain = label.partition("/")[0]
    return domain.endswith(("kubernetes.io", "k8s.io", "karpenter.sh", "k8s.aws", "amazonaws.com"))


def pools(tree: Tree) -> list[Pool]:
    return [Pool(found) for found in tree.of("NodePool")]


def selector(workload: Workload) -> Mapping:
    return mapping(workload.spec, "nodeSelector")


def selector_path(workload: Workload) -> Path:
    return (*workload.path, "spec", "nodeSelector")


def of(tree: Tree, workload: Workload) -> list[Pool]:
    """The NodePools that a workload singles out: by its node selector, or by the devices that only they have."""
    there, chosen = pools(tree), selector(workload)
    if any(key == POOL or not _well_known(key) for key in chosen):
        return [pool for pool in there if pool.may_have(chosen)]
    asked = {name for container in workload.containers for name in resources.devices(container)}
    if not asked:
        return []
    return [
        pool
        for pool in there
        if pool.may_have(chosen) and any(kind.resource_name in asked for kind in pool.instance_types)
    ]


def instance_types(tree: Tree, workload: Workload) -> list[InstanceType]:
    """The types that its pods may run on, as far as it or its pools name them."""
    named = text(workload.spec, "nodeSelector", INSTANCE_TYPE)
    if named in _types():
        return [_types()[named]]
    found = {kind.name: kind for pool in of(tree, workload) for kind in pool.instance_types}
    return list(found.values())


def tolerates(workload: Workload, taint: Mapping) -> bool:
    """Kubernetes' rule (kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration)."""
    for toleration in items(workload.spec, "tolerations"):
        key, operator = text(toleration, "key"), text(toleration, "operator") or "Equal"
        effect = text(toleration, "effect")
        if effect and effect != text(taint, "effect"):
            continue
        if operator == "Exists" and key in ("", text(taint, "key")):
            return True
        if operator == "Equal" and key == text(taint, "key") and text(toleration, "value") == text(taint, "value"):
            return True
    return False


def plain(taint: Mapping) -> str:
    value = text(taint, "value")
    return f"{text(taint, 'key')}{'=' if value else ''}{value}:{text(taint, 'effect')}"


def cores(accelerator: str) -> int:
    """Cores of one device that a program sees; ranks of tensor parallelism on Neuron are such cores."""
    return catalog.accelerator(accelerator).cores_per_device
