"""Every object against the schema of its kind, strictly: a field that the schema does not have is an error.

Kubernetes' own kinds are held against its 1.33 schemas, which the package kubernetes-validate (extra `check`) brings;
others against CRDs, where there are any. Rules written in CEL are not evaluated.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from holdfast.manifests import yaml
from holdfast.manifests.checks.objects import Found, at, items, mapping, text
from holdfast.model.errors import InputError
from holdfast.model.findings import Checked, ObjectFinding

KUBERNETES = "1.33"

_CRD_GROUPS = ("gateway.networking.k8s.io", "inference.networking.k8s.io", "metrics.k8s.io", "snapshot.storage.k8s.io")
"""Groups under k8s.io that are not Kubernetes' own."""

_MOST = 5
"""Errors told of one object."""

Schema = dict[str, Any]
Judge = Callable[[Mapping[str, Any]], Iterator[tuple[yaml.Path, str]]]


def available() -> bool:
    """Whether the extra is installed."""
    return (
        importlib.util.find_spec("kubernetes_validate") is not None
        and importlib.util.find_spec("jsonschema") is not None
    )


def check(objects: Iterable[Found], crds: Mapping[str, str]) -> tuple[Checked, tuple[str, ...]]:
    """Findings of the check `schema`, and what it could not judge. crds: files with CRDs.

    Raises InputError for one that is not YAML.
    """
    there = list(objects)
    if not available():
        return Checked("schema", 0, ()), (
            "schemas: kubernetes-validate is not installed; install holdfast with its extra `check`",
        )
    custom = _custom(there, crds)
    judged, found, unknown = 0, [], set[str]()
    for one in there:
        judge = _judge(one, custom)
        if judge is None:
            unknown.add(f"{one.kind} of {one.api_version}")
            continue
        judged += 1
        found += _findings(one, judge)
    missing = f"schemas: no CRD was given for {', '.join(sorted(unknown))}; name their folder with --crds"
    return Checked("schema", judged, tuple(found)), (missing,) if unknown else ()


def _findings(found: Found, judge: Judge) -> list[ObjectFinding]:
    told: list[ObjectFinding] = []
    for path, why in judge(found.body):
        place = ".".join(str(part) for part in path) or "the object"
        finding = found.wrong(path, place, "as its schema has it", f"{place}: {why}", "see the schema of its kind")
        told.append(_named(finding))
        if len(told) == _MOST:
            break
    return told


def _named(finding: ObjectFinding) -> ObjectFinding:
    return ObjectFinding(**{**vars(finding), "check": "schema"})


def _judge(found: Found, custom: Mapping[tuple[str, str], list[Schema]]) -> Judge | None:
    ours = custom.get((found.api_version, found.kind))
    if ours is not None:
        return lambda value: iter(dict.fromkeys(error for schema in ours for error in _errors(schema, value)))
    group = found.group
    builtin = ("." not in group or group.endswith(".k8s.io")) and not group.endswith((*_CRD_GROUPS, "x-k8s.io"))
    return (lambda value: iter(_of_kubernetes(json.dumps(value)))) if builtin else None


@lru_cache(maxsize=4096)
def _of_kubernetes(value: str) -> tuple[tuple[yaml.Path, str], ...]:
    """What is wrong with an object that is given as JSON; remembered, as overlays have most objects in common."""
    import kubernetes_validate

    found = json.loads(value)
    try:
        kubernetes_validate.validate(found, KUBERNETES, strict=True)
    except kubernetes_validate.SchemaNotFoundError:
        return ((("apiVersion",), f"Kubernetes {KUBERNETES} has no {found['kind']} of {found['apiVersion']}"),)
    except kubernetes_validate.ValidationError as error:
        return ((tuple(error.path), _sentence(str(error.message))),)
    return ()


def _errors(schema: Schema, value: Mapping[str, Any]) -> Iterator[tuple[yaml.Path, str]]:
    import jsonschema

    errors = jsonschema.Draft202012Validator(schema).iter_errors(value)
    for error in sorted(errors, key=lambda one: [str(part) for part in one.absolute_path]):
        yield tuple(error.absolute_path), _sentence(error.message)


def _sentence(message: str) -> str:
    """jsonschema's message, said of a manifest, without the whole of a large value."""
    unknown = re.search(r"Additional properties are not allowed \((.*) (?:was|were) unexpected\)", message)
    if unknown:
        return f"there is no field {unknown[1]}"
    return message if len(message) <= 200 else f"{message[:80]} … {message[-100:]}"


def _custom(objects: list[Found], crds: Mapping[str, str]) -> dict[tuple[str, str], list[Schema]]:
    """Strict schemas of the versions that the objects are of, all where several CRDs have one (Karpenter's NodePool).

    Other CRDs are not read: they are large.
    """
    wanted = {(one.api_version, one.kind) for one in objects}
    groups = {one.group for one in objects}
    made: dict[tuple[str, str], list[Schema]] = {}
    for file, content in crds.items():
        named = set(re.findall(r"^\s+group:\s*([^\s]+)\s*$", content, re.MULTILINE))
        if not named & groups:
            continue
        for document in _documents(file, content):
            if text(document.value, "kind") == "CustomResourceDefinition":
                for key, schema in _versions(document.value):
                    if key in wanted:
                        made.setdefault(key, []).append(schema)
    return made


def _documents(file: str, content: str) -> list[yaml.Document]:
    try:
        return list(yaml.load_all(content))
    except yaml.NotYamlError as error:
        raise InputError(f"the CRD is not YAML ({error})", where=file, mend="mend that file") from error


def _versions(crd: Any) -> Iterator[tuple[tuple[str, str], Schema]]:
    for version in items(crd, "spec", "versions"):
        schema = at(version, "schema", "openAPIV3Schema")
        if isinstance(schema, dict):
            name = f"{text(crd, 'spec', 'group')}/{text(version, 'name')}"
            yield (name, text(crd, "spec", "names", "kind")), strict(schema)


def strict(schema: Any) -> Schema:
    """A structural schema of a CRD as JSON Schema that refuses fields it does not declare."""
    if at(schema, "x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    closed = {key: value for key, value in mapping(schema).items() if key not in ("properties", "items", "nullable")}
    if schema.get("nullable") and isinstance(schema.get("type"), str):
        closed["type"] = [schema["type"], "null"]
    if schema.get("x-kubernetes-embedded-resource"):
        return {"type": "object"}
    if isinstance(schema.get("additionalProperties"), dict):
        closed["additionalProperties"] = strict(schema["additionalProperties"])
    if "properties" in schema:
        closed["properties"] = {name: strict(part) for name, part in mapping(schema, "properties").items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            closed.setdefault("additionalProperties", False)
    if "items" in schema:
        closed["items"] = strict(schema["items"])
    return closed
