"""NodePools and node classes of Karpenter 1.14 and of EKS Auto Mode: fields that moved or that must be there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from holdfast.manifests.checks import nodes
from holdfast.manifests.checks.objects import Found, items, mapping, number, text
from holdfast.manifests.checks.quantities import duration_s
from holdfast.manifests.checks.trees import Tree
from holdfast.manifests.yaml import Path
from holdfast.model.findings import ObjectFinding

_TEMPLATE = ("spec", "template", "spec")

_MISPLACED: tuple[Path, ...] = tuple(
    (*above, field)
    for above in (("spec",), ("spec", "disruption"), ("spec", "template"))
    for field in ("expireAfter", "terminationGracePeriod")
)


def pools(tree: Tree) -> Sequence[Found]:
    return tree.of("NodePool")


def places(tree: Tree, pool: Found) -> Iterator[ObjectFinding]:
    """Fields stand where Karpenter 1.x reads them."""
    settings: tuple[Path, ...] = (("spec", "kubelet"), (*_TEMPLATE, "kubelet"))
    for path in settings:
        if pool.at(*path) is not None:
            what = "a NodePool has no kubelet settings since Karpenter 1.0, and they are not applied"
            yield pool.wrong(path, "kubelet", "EC2NodeClass spec.kubelet", what, "move kubelet to the EC2NodeClass")
    for path in _MISPLACED:
        if pool.at(*path) is not None:
            field = str(path[-1])
            what = f"{field} stands under {'.'.join(str(part) for part in path[:-1])}"
            yield pool.wrong(path, field, "spec.template.spec", what, f"move {field} to spec.template.spec")
    if pool.at("spec", "disruption") is not None and pool.at("spec", "disruption", "consolidateAfter") is None:
        what = "disruption has no consolidateAfter, which Karpenter requires"
        yield pool.wrong(("spec", "disruption"), "", "consolidateAfter", what, "state consolidateAfter, as 5m")


def references(tree: Tree, pool: Found) -> Iterator[ObjectFinding]:
    """nodeClassRef has group, kind and name, and the class is there."""
    path: Path = (*_TEMPLATE, "nodeClassRef")
    ref = mapping(pool.body, *path)
    for field in ("group", "kind", "name"):
        if not text(ref, field):
            yield pool.wrong(path, "", field, f"its nodeClassRef has no {field}", f"state {field}")
    if "apiVersion" in ref:
        what = "its nodeClassRef has apiVersion, which Karpenter 1.x does not"
        yield pool.wrong((*path, "apiVersion"), "apiVersion", "group", what, "write group instead")
    kind, name = text(ref, "kind"), text(ref, "name")
    if kind and name and tree.has_any(kind) and not tree.has(kind, "", name):
        what = f"its {kind} {name} is not there"
        yield pool.wrong((*path, "name"), name, f"a {kind}", what, "name a class that is there")
    if kind == "NodeClass" and text(ref, "group") not in ("", nodes.AUTO_MODE):
        what = f"its class is a NodeClass of {text(ref, 'group')}"
        yield pool.wrong((*path, "group"), text(ref, "group"), nodes.AUTO_MODE, what, f"write group: {nodes.AUTO_MODE}")


GPU_NAMES = (
    "t4",
    "t4g",
    "a10g",
    "l4",
    "l40s",
    "a100",
    "h100",
    "h200",
    "b200",
    "b300",
    "v100",
    "k80",
    "m60",
    "radeon-pro-v520",
)
_CAPACITY = ("on-demand", "spot", "reserved")


def requirements(tree: Tree, pool: Found) -> Iterator[ObjectFinding]:
    """Requirements use labels and values that nodes have; Auto Mode's stand in another domain than Karpenter's."""
    automatic = nodes.Pool(pool).class_group == nodes.AUTO_MODE
    own, others = (
        ("eks.amazonaws.com/", "karpenter.k8s.aws/") if automatic else ("karpenter.k8s.aws/", "eks.amazonaws.com/")
    )
    for index, requirement in enumerate(items(pool.body, *_TEMPLATE, "requirements")):
        path: Path = (*_TEMPLATE, "requirements", index)
        key, values = text(requirement, "key"), [str(value) for value in items(requirement, "values")]
        if key.startswith(others + "instance-"):
            what = f"its nodes never have the label {key}, and it starts none"
            yield pool.wrong(path, key, own + key.removeprefix(others), what, f"write {own}{key.removeprefix(others)}")
        if key == "karpenter.sh/capacity-type":
            for value in values:
                if value not in _CAPACITY:
                    what = f"there is no capacity type {value}"
                    yield pool.wrong(path, value, ", ".join(_CAPACITY), what, f"write one of {', '.join(_CAPACITY)}")
        if key.endswith("instance-gpu-name"):
            for value in values:
                if value not in GPU_NAMES and text(requirement, "operator") == "In" and not value.startswith("rtx"):
                    what = f"no instance has instance-gpu-name {value}"
                    yield pool.doubtful(path, value, ", ".join(GPU_NAMES), what, "write it as Karpenter does, as l40s")
    if "reserved" in (nodes.Pool(pool).allowed("karpenter.sh/capacity-type") or ()):
        name = text(pool.body, *_TEMPLATE, "nodeClassRef", "name")
        node_class = tree.get("EC2NodeClass", "", name) or tree.get("NodeClass", "", name)
        if node_class is not None and not items(node_class.body, "spec", "capacityReservationSelectorTerms"):
            what = f"NodePool {pool.name} wants reserved capacity, and the class selects no capacity reservations"
            mend = "add capacityReservationSelectorTerms"
            yield node_class.wrong(("spec",), "", "capacityReservationSelectorTerms", what, mend)


def durations(tree: Tree, pool: Found) -> Iterator[ObjectFinding]:
    """Durations parse, and nodes are not taken away under servers that take minutes to load."""
    for path in (
        (*_TEMPLATE, "expireAfter"),
        (*_TEMPLATE, "terminationGracePeriod"),
        ("spec", "disruption", "consolidateAfter"),
    ):
        value = pool.at(*path)
        if value is not None and value != "Never" and duration_s(value) is None:
            what = f"{path[-1]} is {value!r}, which is no duration"
            yield pool.wrong(path, value, "720h", what, "write it as 720h, 5m, 30s or Never")
    if not items(pool.body, "spec", "disruption", "budgets") and nodes.Pool(pool).instance_types:
        what = "it has no disruption budget, and Karpenter may replace a tenth of its nodes at a time, at any hour"
        yield pool.doubtful(("spec", "disruption"), "10%", "budgets", what, "state disruption.budgets")


def classes(tree: Tree) -> Sequence[Found]:
    return tree.of("EC2NodeClass")


_ALIAS = re.compile(r"(al2|al2023|bottlerocket|windows2019|windows2022|windows2025)@(latest|v[0-9][-0-9A-Za-z.]*)")


def images(tree: Tree, node_class: Found) -> Iterator[ObjectFinding]:
    """An AMI alias is `family@version`, and the version does not move by itself."""
    for index, term in enumerate(items(node_class.body, "spec", "amiSelectorTerms")):
        alias, path = mapping(term).get("alias"), ("spec", "amiSelectorTerms", index, "alias")
        if alias is None:
            continue
        match = _ALIAS.fullmatch(alias) if isinstance(alias, str) else None
        if match is None:
            what = f"{alias!r} is no AMI alias"
            yield node_class.wrong(path, alias, "al2023@vYYYYMMDD", what, "write it as al2023@v20260903")
        elif match[2] == "latest":
            what = f"the AMI is {alias}, and nodes are replaced on whatever day AWS publishes the next"
            yield node_class.doubtful(path, alias, "a version", what, "pin the version that was tested")
    if not items(node_class.body, "spec", "amiSelectorTerms"):
        what = "it has no amiSelectorTerms, which Karpenter 1.x requires"
        yield node_class.wrong(("spec",), "", "amiSelectorTerms", what, "add an alias")


SLOW_MIB_PER_S = 600


def image_pull(tree: Tree, node_class: Found) -> Iterator[ObjectFinding]:
    """Parallel image pull (SOCI) has a disk that is fast enough: below 600 MiB/s it is slower than the ordinary one."""
    if "FastImagePull" not in text(node_class.body, "spec", "userData"):
        return
    if text(node_class.body, "spec", "instanceStorePolicy") == "RAID0":
        return
    for index, disk in enumerate(items(node_class.body, "spec", "blockDeviceMappings")):
        speed = number(disk, "ebs", "throughput") or 125
        if speed < SLOW_MIB_PER_S:
            what = f"it pulls images in parallel onto a disk of {speed:g} MiB/s, which is slower than pulling in turn"
            path: Path = ("spec", "blockDeviceMappings", index, "ebs", "throughput")
            yield node_class.doubtful(path, speed, 1000, what, "give gp3 throughput 1000 and iops 16000")
