"""What shape the fields of a kind have: which lists are merged by keys, which values are replaced whole.

Built-in kinds come from the OpenAPI definitions of Kubernetes 1.36, which the package kubernetes-validate carries;
custom resources from the structural schemas of their definitions.
"""

from __future__ import annotations

import functools
import json
from enum import Enum
from pathlib import Path
from typing import Any

import kubernetes_validate

from kube_api.requests import Object

VERSION = "v1.36.0-local"
KEY_DEFAULTS = {"protocol": "TCP"}
"""Of built-in lists' keys; the package leaves defaults out."""
META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


class Form(Enum):
    ATOM = "atom"
    """A scalar, or a list or map that is replaced whole."""
    FIELDS = "fields"
    """An object whose fields have owners of their own."""
    KEYED = "keyed"
    """A list of objects that are told apart by some of their fields."""
    SET = "set"
    """A list of scalars, each of which is there or not."""
    OPEN = "open"
    """Nothing is declared: objects by their fields, lists whole."""


@functools.cache
def definitions() -> dict[str, Object]:
    path = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema" / VERSION / "_definitions.json"
    found: dict[str, Object] = json.loads(path.read_text())["$defs"]
    return found


class Shape:
    """The shape of one value; its children are made when first asked for.

    strict: undeclared fields do not exist (built-in kinds; custom resources without preserve-unknown-fields).
    """

    __slots__ = (
        "_children",
        "_items",
        "declared",
        "extra",
        "form",
        "is_quantity",
        "keys",
        "schema",
        "strict",
        "typed",
        "types",
    )

    def __init__(self, schema: Object, *, typed: bool) -> None:
        self.is_quantity = schema.get("$ref", "").endswith("resource.Quantity")
        if "$ref" in schema:
            schema = definitions()[schema["$ref"].rpartition("/")[2]] | {k: v for k, v in schema.items() if k != "$ref"}
        self.schema = schema
        self.typed = typed
        self.declared: Object = schema.get("properties", {})
        self.extra: Any = schema.get("additionalProperties")
        self.keys: tuple[str, ...] = tuple(schema.get("x-kubernetes-list-map-keys", ()))
        kinds = schema.get("type", ())
        self.types: tuple[str, ...] = tuple(k for k in ([kinds] if isinstance(kinds, str) else kinds) if k != "null")
        """Of JSON; empty where any will do."""
        self.form = _form(schema)
        self.strict = self.form is Form.FIELDS and not schema.get("x-kubernetes-preserve-unknown-fields")
        self._children: dict[str, Shape] = {}
        self._items: Shape | None = None

    def child(self, name: str) -> Shape:
        """Of a field of an object."""
        if (known := self._children.get(name)) is None:
            schema = self.declared.get(name)
            if schema is None:
                schema = self.extra if isinstance(self.extra, dict) else {}
            known = self._children[name] = Shape(schema, typed=self.typed)
        return known

    @property
    def items(self) -> Shape:
        if self._items is None:
            self._items = Shape(self.schema.get("items", {}), typed=self.typed)
        return self._items

    @property
    def pruned_null(self) -> bool:
        """A null of a custom resource goes where it is neither allowed nor replaced by a default."""
        declared = not self.typed and "type" in self.schema
        return declared and not self.schema.get("nullable") and "default" not in self.schema

    def knows(self, name: str) -> bool:
        """Whether an object may have this field."""
        return not self.strict or name in self.declared or self.extra is not None

    @property
    def is_map(self) -> bool:
        """Keys are the user's, as of labels."""
        return self.extra is not None and not self.declared

    def key_of(self, item: Object) -> str:
        """How an item of a keyed list is called in a field set, e.g. `k:{"name":"web"}`."""
        found = {}
        for key in sorted(self.keys):
            default = KEY_DEFAULTS.get(key) if self.typed else self.items.declared.get(key, {}).get("default")
            value = item.get(key, default)
            if value is not None:
                found[key] = value
        return _spelled(tuple(found.items()))


@functools.lru_cache(4096, typed=True)
def _spelled(pairs: tuple[tuple[str, Any], ...]) -> str:
    return "k:" + json.dumps(dict(pairs), separators=(",", ":"), ensure_ascii=False)


def _form(schema: Object) -> Form:
    kinds = schema.get("type")
    kinds = set(kinds) if isinstance(kinds, list) else {kinds}
    if "array" in kinds:
        return {"map": Form.KEYED, "set": Form.SET}.get(schema.get("x-kubernetes-list-type", ""), Form.ATOM)
    if schema.get("x-kubernetes-map-type") == "atomic":
        return Form.ATOM
    if "properties" in schema or isinstance(schema.get("additionalProperties"), dict):
        return Form.FIELDS
    if "object" in kinds:
        # FieldsV1 and empty structs of Go have no properties.
        return Form.OPEN if schema.get("x-kubernetes-preserve-unknown-fields") else Form.FIELDS
    if schema.get("x-kubernetes-preserve-unknown-fields") or not schema:
        return Form.OPEN
    return Form.ATOM


@functools.cache
def built_in(group: str, version: str, kind: str) -> Shape:
    """Raises KeyError where Kubernetes has no such kind."""
    wanted = {"group": group, "version": version, "kind": kind}
    for definition in definitions().values():
        if wanted in definition.get("x-kubernetes-group-version-kind", ()):
            return Shape(definition, typed=True)
    raise KeyError(kind)


def custom(schema: Object) -> Shape:
    """Of a version of a CustomResourceDefinition: its `openAPIV3Schema`."""
    shape = Shape(
        {
            **schema,
            "properties": {
                **schema.get("properties", {}),
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {},
            },
        },
        typed=False,
    )
    shape._children["metadata"] = Shape(definitions()[META], typed=True)
    return shape
