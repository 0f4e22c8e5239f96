"""Sets of fields: who owns what of an object, and what changed between two states of it.

A path is a tuple of elements in the spelling of `metadata.managedFields`: `f:replicas`, `k:{"name":"web"}`, `v:"a"`.
The rules are those of sigs.k8s.io/structured-merge-diff v6, which Kubernetes 1.36 uses.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kube_api.requests import Object
from kube_api.shapes import Form, Shape

FieldPath = tuple[str, ...]
Fields = frozenset[FieldPath]

ABSENT: Any = type("Absent", (), {"__repr__": lambda self: "absent"})()
"""No value, which null is."""

UNOWNED = frozenset(
    [
        ("f:apiVersion",),
        ("f:kind",),
        ("f:metadata",),
        *(
            ("f:metadata", f"f:{name}")
            for name in (
                "clusterName",
                "creationTimestamp",
                "generation",
                "managedFields",
                "name",
                "namespace",
                "resourceVersion",
                "selfLink",
                "uid",
            )
        ),
    ]
)
"""What nobody can own."""


def of(value: Any, shape: Shape) -> Fields:
    """The fields that a value says something of."""
    found: set[FieldPath] = set()
    _collect(value, shape, (), found)
    return frozenset(path for path in found if path[:2] not in UNOWNED)


def _collect(value: Any, shape: Shape, path: FieldPath, found: set[FieldPath]) -> None:
    if shape.form is Form.ATOM or not isinstance(value, dict | list):
        found.add(path)
    elif isinstance(value, dict):
        for name, inner in value.items():
            below = (*path, f"f:{name}")
            _collect(inner, shape.child(name), below, found)
            if inner == {} or name not in shape.declared:
                found.add(below)
    elif shape.form in (Form.KEYED, Form.SET):
        for item in value:
            below = (*path, element(item, shape))
            if shape.form is Form.KEYED:
                _collect(item, shape.items, below, found)
            found.add(below)
    else:
        found.add(path)


def element(item: Any, shape: Shape) -> str:
    """How an item of a list that is merged is called."""
    return shape.key_of(item) if shape.form is Form.KEYED else "v:" + json.dumps(item, separators=(",", ":"))


def by_element(items: Iterable[Any] | None, shape: Shape) -> dict[str, Any]:
    return {element(item, shape): item for item in items or ()}


@dataclass(frozen=True)
class Difference:
    """Between two states of an object; nodes above a new or lost field are new or lost too."""

    removed: Fields
    changed: Fields
    """Modified or added."""


def difference(before: Any, after: Any, shape: Shape) -> Difference:
    removed: set[FieldPath] = set()
    changed: set[FieldPath] = set()
    _compare(before, after, shape, (), removed, changed)
    return Difference(*(frozenset(path for path in paths if path[:2] not in UNOWNED) for paths in (removed, changed)))


def _compare(
    before: Any, after: Any, shape: Shape, path: FieldPath, removed: set[FieldPath], changed: set[FieldPath]
) -> None:
    if shape.typed:
        # Go knows no null beside an empty field.
        before, after = (ABSENT if side is None else side for side in (before, after))
    if before == after:
        return
    if before is ABSENT:
        changed.add(path)
    elif after is ABSENT:
        removed.add(path)
    sides = [side for side in (before, after) if side is not ABSENT]
    if shape.form is not Form.ATOM and all(isinstance(side, dict) for side in sides):
        old, new = ({} if side is ABSENT else side for side in (before, after))
        for name in old | new:
            below = (*path, f"f:{name}")
            _compare(old.get(name, ABSENT), new.get(name, ABSENT), shape.child(name), below, removed, changed)
    elif shape.form in (Form.KEYED, Form.SET) and all(isinstance(side, list) for side in sides):
        old, new = (by_element([] if side is ABSENT else side, shape) for side in (before, after))
        for key in old | new:
            _compare(old.get(key, ABSENT), new.get(key, ABSENT), shape.items, (*path, key), removed, changed)
    elif len(sides) == 2:
        changed.add(path)


def encode(fields: Iterable[FieldPath]) -> Object:
    """As `fieldsV1` spells them."""
    tree: Object = {}
    whole = set(fields)
    for path in sorted(whole):
        node = tree
        for part in path:
            node = node.setdefault(part, {})
    for path in whole:
        node = tree
        for part in path:
            node = node[part]
        if node:
            node["."] = {}
    return tree


def decode(tree: Object) -> Fields:
    found: set[FieldPath] = set()

    def walk(node: Object, path: FieldPath) -> None:
        if not node or "." in node:
            found.add(path)
        for part, below in node.items():
            if part != ".":
                walk(below, (*path, part))

    if tree:
        walk(tree, ())
    return frozenset(found)


def spoken(path: FieldPath) -> str:
    """As messages write a path, e.g. `.spec.containers[name="web"].image`."""
    text = ""
    for part in path:
        tag, _, rest = part.partition(":")
        if tag == "f":
            text += f".{rest}"
        elif tag == "k":
            pairs = (f"{key}={json.dumps(value)}" for key, value in json.loads(rest).items())
            text += f"[{','.join(pairs)}]"
        else:
            text += f"[={rest}]"
    return text
