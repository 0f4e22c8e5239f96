"""A JSON schema as Kubernetes takes it in a CustomResourceDefinition: structural, and fit for `kubectl explain`.

What pydantic writes has references, unions with null, and words that Kubernetes refuses (`const`, `propertyNames`,
`patternProperties`, numbers as exclusive bounds): kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/
custom-resource-definitions, "Specifying a structural schema". Each becomes what says the same, or a rule in CEL, or,
where Kubernetes has no words for it, a field whose content the operator alone checks.
Defaults are left out: the operator has them, and a resource stays as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic.alias_generators import to_camel

from holdfast.manifests.manifest import Object

_ANYTHING: Object = {"x-kubernetes-preserve-unknown-fields": True}
"""Rules cannot read such a field, nor ask whether it is there."""

_LONGEST = 1024
"""Characters of a string that has no bound of its own: the cost of rules is estimated by the longest."""

_DROPPED = ("title", "default", "examples", "uniqueItems", "additionalProperties", "propertyNames", "description")
_TAKEN_APART = ("properties", "items", "patternProperties", "exclusiveMinimum", "const", "$ref", "anyOf")

_FIELD = re.compile(r"^(?P<names>[a-z]\w*(?:, [a-z]\w*)*):\s+(?P<text>\S.*)$")
_UNIT = re.compile(r"(_per_s|_usd_per_h|_s)$")


@dataclass(frozen=True)
class Rule:
    """A condition in CEL, and what is said when it does not hold."""

    condition: str
    message: str

    @property
    def object(self) -> Object:
        return {"rule": self.condition, "message": self.message}


@dataclass(frozen=True)
class Bounded:
    """What of a list Kubernetes wants to know beyond its items.

    most:  items; the cost of rules over an unbounded list could not be estimated, and they would be refused.
    kind:  how appliers merge it: `set`, `map` by `key`, or `atomic` as a whole.
    """

    most: int
    kind: str = "atomic"
    key: str = ""


@dataclass(frozen=True)
class Schema:
    """The definitions of a JSON schema, with what is added to them: rules by definition, bounds by name of a field."""

    definitions: Mapping[str, Any]
    rules: Mapping[str, tuple[Rule, ...]]
    lists: Mapping[str, Bounded]

    def of(self, name: str) -> Object:
        """The structural schema of one definition."""
        return self._node({"$ref": f"#/$defs/{name}"}, name)

    def _node(self, node: Mapping[str, Any], field: str) -> Object:
        if "$ref" in node:
            name = str(node["$ref"]).rpartition("/")[2]
            return self._with_rules(self._node(self.definitions[name], field), self.rules.get(name, ()))
        if "anyOf" in node:
            return self._union([part for part in node["anyOf"] if part.get("type") != "null"], field)
        kept = {key: value for key, value in node.items() if key not in (*_DROPPED, *_TAKEN_APART)}
        if "const" in node:
            return {"type": "string", "enum": [node["const"]]}
        if "enum" in kept:
            kept.setdefault("type", "string")
        if "exclusiveMinimum" in node:
            kept |= {"minimum": node["exclusiveMinimum"], "exclusiveMinimum": True}
        match kept.get("type"):
            case "object":
                return kept | self._object(node)
            case "array":
                return kept | self._list(node, field)
            case None:
                return dict(_ANYTHING)
            case "string" if not {"enum", "maxLength", "format"} & kept.keys():
                return kept | {"maxLength": _LONGEST}
        return kept

    def _object(self, node: Mapping[str, Any]) -> Object:
        if "properties" in node:
            texts = _described(str(node.get("description", "")), node["properties"])
            parts = {name: self._node(part, name) for name, part in node["properties"].items()}
            found: Object = {
                "properties": {
                    name: part | ({"description": texts[name]} if name in texts else {}) for name, part in parts.items()
                }
            }
            return found | ({"description": texts[""]} if texts[""] else {})
        if "patternProperties" in node:
            return dict(_ANYTHING)  # With a type: rules may ask whether the whole is there, though not what is in it.
        found = {"additionalProperties": self._node(node["additionalProperties"], "")}
        names = node["propertyNames"]
        known = (self.definitions[str(names["$ref"]).rpartition("/")[2]] if "$ref" in names else names)["enum"]
        listed = ", ".join(f"'{name}'" for name in known)
        keys = Rule(f"self.all(key, key in [{listed}])", f"keys are {', '.join(known)}")
        return self._with_rules(found | {"maxProperties": len(known)}, (keys,))

    def _list(self, node: Mapping[str, Any], field: str) -> Object:
        bounds = self.lists[field]
        found: Object = {"items": self._node(node["items"], ""), "x-kubernetes-list-type": bounds.kind}
        if bounds.key:
            found["x-kubernetes-list-map-keys"] = [bounds.key]
        return {"maxItems": bounds.most} | found

    def _union(self, parts: list[Mapping[str, Any]], field: str) -> Object:
        if len(parts) == 1:
            return self._node(parts[0], field)
        kinds = [part.get("type", "string") for part in parts]
        if kinds != ["integer", "string"]:
            return dict(_ANYTHING)  # A word or a list, say: Kubernetes has no field that may be either.
        number, word = parts
        # Bounds hold for numbers alone, patterns for text alone. A rule in CEL would cost too much at 64 units: the
        # length of such a field's text is taken to be that of the longest request, whatever maxLength says.
        bounds = {"minimum": number["minimum"], "maximum": number["maximum"], "pattern": f"^{word['const']}$"}
        return {"x-kubernetes-int-or-string": True} | bounds

    @staticmethod
    def _with_rules(found: Object, rules: tuple[Rule, ...]) -> Object:
        if not rules:
            return found
        before = found.get("x-kubernetes-validations", [])
        return found | {"x-kubernetes-validations": [*before, *(rule.object for rule in rules)]}


def _described(docstring: str, fields: Mapping[str, Any]) -> dict[str, str]:
    """The texts of a docstring by field, and under the empty name what it says of the whole.

    Docstrings of the model say `field: text` a line, with more lines of it further in; names are Python's.
    """
    texts: dict[str, str] = {"": ""}
    current: tuple[str, ...] = ("",)
    for line in (line.strip() for line in docstring.splitlines()):
        found = _FIELD.match(line)
        named = () if found is None else tuple(_field(name, fields) for name in found["names"].split(", "))
        if found is not None and named and all(named):
            current = named
            line = found["text"]
        for name in current:
            texts[name] = f"{texts.get(name, '')} {line}".strip()
    return texts


def _field(name: str, fields: Mapping[str, Any]) -> str:
    """The document's name of a field of the model; empty for what is none. Units are in Python's names alone."""
    candidates = (to_camel(name), to_camel(_UNIT.sub("", name)))
    return next((candidate for candidate in candidates if candidate in fields), "")
