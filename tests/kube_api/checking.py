"""What the server takes of an object that a client sends: unknown fields, nulls, and what the schema forbids."""

from __future__ import annotations

import re
from typing import Any

from kube_api import quantities
from kube_api.requests import Cause, Object, encoded
from kube_api.shapes import Form, Shape

NAME = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
NAME_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)


def pruned(value: Any, shape: Shape, path: str, unknown: list[str], wrong: list[str]) -> Any:
    """The value without fields that the schema does not know, whose paths are added to `unknown`.

    wrong: gets the paths at which a built-in kind has a value of a type that Go cannot read.

    Of built-in kinds also without nulls, empty lists and empty maps: Go does not write them.
    """
    if isinstance(value, dict):
        kept = {}
        for name, inner in value.items():
            at = f"{path}.{name}" if path else name
            if shape.form is not Form.OPEN and not shape.knows(name):
                unknown.append(at)
                continue
            child = shape.child(name)
            if name == "managedFields":
                kept[name] = inner
                continue
            clean = pruned(inner, child, at, unknown, wrong)
            if clean is None and child.pruned_null:
                continue
            if shape.typed and (clean is None or clean == [] or (clean == {} and child.is_map)):
                continue
            kept[name] = clean
        return kept
    if shape.is_quantity:
        return quantities.canonical(value)
    if isinstance(value, list):
        return [pruned(item, shape.items, f"{path}[{n}]", unknown, wrong) for n, item in enumerate(value)]
    if shape.typed and value is not None and shape.types and not any(_is(value, one) for one in shape.types):
        wrong.append(path)
    return value


def causes(value: Any, schema: Object, path: str) -> list[Cause]:
    """What is wrong with a value by a structural schema, as the server says it. CEL rules are not evaluated."""
    if value is None and schema.get("nullable"):
        return []
    found = _type_causes(value, schema, path)
    if found:
        return found
    if "enum" in schema and value not in schema["enum"]:
        listed = ", ".join(f'"{choice}"' if isinstance(choice, str) else str(choice) for choice in schema["enum"])
        found.append(
            Cause(path, f"Unsupported value: {_quoted(value)}: supported values: {listed}", "FieldValueNotSupported")
        )
    if isinstance(value, str):
        found += _text_causes(value, schema, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        found += _number_causes(value, schema, path)
    elif isinstance(value, list):
        found += _list_causes(value, schema, path)
        for n, item in enumerate(value):
            found += causes(item, schema.get("items", {}), f"{path}[{n}]")
    elif isinstance(value, dict):
        found += _object_causes(value, schema, path)
    for one in schema.get("allOf", ()):
        found += causes(value, one, path)
    options = schema.get("anyOf", ())
    if options and not schema.get("x-kubernetes-int-or-string") and all(causes(value, one, path) for one in options):
        shown = "object" if isinstance(value, dict) else value
        found.append(
            Cause(path, f"Invalid value: {_quoted(shown)}: {path} in body must validate at least one schema (anyOf)")
        )
    return found


def _type_causes(value: Any, schema: Object, path: str) -> list[Cause]:
    wanted = schema.get("type")
    if schema.get("x-kubernetes-int-or-string"):
        if isinstance(value, int | str) and not isinstance(value, bool):
            return []
        wanted = "integer,string"
    elif wanted is None or _is(value, wanted):
        return []
    actual = _type_name(value)
    text = f'Invalid value: "{actual}": {path} in body must be of type {wanted}: "{actual}"'
    return [Cause(path, text, "FieldValueTypeInvalid")]


def _is(value: Any, wanted: str) -> bool:
    if isinstance(value, bool):
        return wanted == "boolean"
    if wanted == "integer":
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    types: dict[str, Any] = {"string": str, "number": int | float, "object": dict, "array": list, "boolean": bool}
    return isinstance(value, types[wanted])


def _type_name(value: Any) -> str:
    names = {bool: "boolean", str: "string", int: "integer", float: "number", dict: "object", list: "array"}
    return names.get(type(value), "null")


def _quoted(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def _text_causes(value: str, schema: Object, path: str) -> list[Cause]:
    found = []
    if len(value) > schema.get("maxLength", len(value)):
        found.append(Cause(path, f"Too long: may not be more than {schema['maxLength']} bytes", "FieldValueTooLong"))
    elif len(value) < schema.get("minLength", 0):
        least = schema["minLength"]
        found.append(Cause(path, f'Invalid value: "{value}": {path} in body should be at least {least} chars long'))
    elif "pattern" in schema and not re.search(schema["pattern"], value):
        pattern = schema["pattern"]
        found.append(Cause(path, f"Invalid value: \"{value}\": {path} in body should match '{pattern}'"))
    return found


def _number_causes(value: float, schema: Object, path: str) -> list[Cause]:
    found = []
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and (value < least or (schema.get("exclusiveMinimum") and value == least)):
        word = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
        found.append(Cause(path, f"Invalid value: {value}: {path} in body should be {word} {least}"))
    if most is not None and (value > most or (schema.get("exclusiveMaximum") and value == most)):
        word = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
        found.append(Cause(path, f"Invalid value: {value}: {path} in body should be {word} {most}"))
    return found


def _list_causes(value: list[Any], schema: Object, path: str) -> list[Cause]:
    found = []
    if len(value) > schema.get("maxItems", len(value)):
        text = f"Too many: {len(value)}: must have at most {schema['maxItems']} items"
        found.append(Cause(path, text, "FieldValueTooMany"))
    if len(value) < schema.get("minItems", 0):
        text = f"Invalid value: {len(value)}: {path} in body should have at least {schema['minItems']} items"
        found.append(Cause(path, text))
    if schema.get("x-kubernetes-list-type") == "set":
        repeated = [n for n, item in enumerate(value) if item in value[:n]]
        found += [
            Cause(f"{path}[{n}]", f"Duplicate value: {encoded(value[n]).decode()}", "FieldValueDuplicate")
            for n in repeated
        ]
    keys = schema.get("x-kubernetes-list-map-keys")
    if keys and all(isinstance(item, dict) for item in value):
        seen = set()
        for n, item in enumerate(value):
            key = tuple(str(item.get(name)) for name in keys)
            if key in seen:
                text = "Duplicate value: " + encoded({name: item.get(name) for name in keys}).decode()
                found.append(Cause(f"{path}[{n}]", text, "FieldValueDuplicate"))
            seen.add(key)
    return found


def _object_causes(value: Object, schema: Object, path: str) -> list[Cause]:
    missing = [name for name in schema.get("required", ()) if name not in value]
    found = [Cause(f"{path}.{name}" if path else name, "Required value", "FieldValueRequired") for name in missing]
    if len(value) < schema.get("minProperties", 0):
        least = schema["minProperties"]
        found.append(
            Cause(path, f"Invalid value: {len(value)}: {path} in body should have at least {least} properties")
        )
    extra = schema.get("additionalProperties")
    declared = schema.get("properties", {})
    for name, inner in value.items():
        below = declared.get(name, extra if isinstance(extra, dict) else {})
        found += causes(inner, below, f"{path}.{name}" if path else name)
    return found


def built_in(kind: str, found: Object) -> list[Cause]:
    """The few rules for built-in kinds that are modelled: what must be there, and selectors that fit."""
    spec = found.get("spec") or {}
    if kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"):
        return _workload(spec)
    if kind == "Pod" and not spec.get("containers"):
        return [Cause("spec.containers", "Required value", "FieldValueRequired")]
    return []


def _workload(spec: Object) -> list[Cause]:
    found = []
    if isinstance(spec.get("replicas"), int) and spec["replicas"] < 0:
        text = f"Invalid value: {spec['replicas']}: must be greater than or equal to 0"
        found.append(Cause("spec.replicas", text))
    if "selector" not in spec:
        found.append(Cause("spec.selector", "Required value", "FieldValueRequired"))
    wanted = spec.get("selector", {}).get("matchLabels")
    labels = spec["template"]["metadata"].get("labels")
    if not wanted or any((labels or {}).get(name) != value for name, value in wanted.items()):
        text = f"Invalid value: {encoded(labels).decode()}: `selector` does not match template `labels`"
        found.append(Cause("spec.template.metadata.labels", text))
    if not spec["template"]["spec"].get("containers"):
        found.append(Cause("spec.template.spec.containers", "Required value", "FieldValueRequired"))
    return found


FIXED_OF_EVENTS = (
    "involvedObject", "reason", "message", "source", "firstTimestamp", "lastTimestamp", "count", "reportingComponent",
    "reportingInstance", "action", "related", "type", "eventTime",
)  # fmt: skip


def change(kind: str, group: str, old: Object, new: Object) -> list[Cause]:
    """What of a built-in kind must not change. Events: as they are stored; those of the old group may."""
    fixed: list[tuple[str, Any, Any]] = []
    if kind in ("Deployment", "ReplicaSet", "DaemonSet"):
        fixed = [("spec.selector", old["spec"]["selector"], new["spec"].get("selector"))]
    elif kind == "Event" and group:
        fixed = [(name, old.get(name), new.get(name)) for name in FIXED_OF_EVENTS]
    return [
        Cause(path, f"Invalid value: {encoded(after).decode()}: field is immutable")
        for path, before, after in fixed
        if before != after
    ]
