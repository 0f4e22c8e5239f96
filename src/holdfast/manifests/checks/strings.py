"""Values that Kubernetes takes as text only. YAML reads `1.4`, `true` and `on` without quotes as something else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdfast.manifests.checks.objects import Found, items, mapping
from holdfast.manifests.checks.trees import Tree
from holdfast.manifests.yaml import Path
from holdfast.model.findings import ObjectFinding

_MAPS: tuple[Path, ...] = (
    ("metadata", "labels"),
    ("metadata", "annotations"),
    ("spec", "selector", "matchLabels"),
    ("spec", "template", "metadata", "labels"),
    ("spec", "template", "metadata", "annotations"),
    ("spec", "template", "spec", "nodeSelector"),
)


def objects(tree: Tree) -> Sequence[Found]:
    return tree.objects


def quoted(tree: Tree, found: Found) -> Iterator[ObjectFinding]:
    """Labels, annotations, selectors, the data of a ConfigMap, values of variables, and arguments are text."""
    maps = [(path, mapping(found.body, *path)) for path in _MAPS]
    if found.kind in ("ConfigMap", "Secret"):
        maps += [(("data",), mapping(found.body, "data"))]
    for path, values in maps:
        for key, value in values.items():
            if not isinstance(value, str) and value is not None and not isinstance(value, dict | list):
                yield _unquoted(found, (*path, key), value)
    for container in (one for workload in tree.workloads if workload.owner is found for one in workload.containers):
        for index, entry in enumerate(items(container.spec, "env")):
            value = mapping(entry).get("value")
            if value is not None and not isinstance(value, str):
                yield _unquoted(found, (*container.path, "env", index, "value"), value)
        for key in ("command", "args"):
            for index, word in enumerate(items(container.spec, key)):
                if not isinstance(word, str):
                    yield _unquoted(found, (*container.path, key, index), word)


def _unquoted(found: Found, path: Path, value: object) -> ObjectFinding:
    plain = str(value).lower() if isinstance(value, bool) else str(value)
    what = f"{'.'.join(str(part) for part in path)} is {plain} without quotes, and must be text"
    return found.wrong(path, value, f'"{plain}"', what, f'write "{plain}"')
