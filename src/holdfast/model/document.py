"""Reading a document from YAML, with errors that name the line, the key and the mend."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

import pydantic
import yaml

from holdfast.model.errors import InputError
from holdfast.model.fleet import Document, InferenceFleet

T = TypeVar("T", bound=Document)


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice; PyYAML would silently keep the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: list[object] = []  # a key may be a list or a mapping, which PyYAML refuses by name further on
        for key_node, _ in node.value:
            if key_node.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key_node.value!r} is given twice", problem_mark=key_node.start_mark
                )
            seen.append(key_node.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


AUTO = "auto"
"""What a unit writes for a number that it leaves to the plan."""

_MAY_BE_AUTO = ("tensorParallel", "maxNumSeqs")


@dataclass(frozen=True)
class Declared:
    """A fleet as it is declared, before the plan has settled what units leave to it.

    fleet: what is left to the plan has its default here, which means nothing.
    auto:  by unit name the keys that are left to the plan, `tensorParallel` or `maxNumSeqs`; only of units with any.
    """

    fleet: InferenceFleet
    auto: Mapping[str, frozenset[str]]


def read_fleet(text: str, *, where: str) -> InferenceFleet:
    """The fleet that `text` declares, number by number. `where` names the file in errors. Raises InputError."""
    root, content = _parsed(InferenceFleet, text, where)
    for index, key in _left_to_the_plan(content):
        place, _ = _place(root, ["spec", "units", index, key], where)
        raise InputError(
            f"{key} is auto, which only `holdfast plan` can settle",
            where=place,
            mend="write the number that the plan gives",
        )
    return _validated(InferenceFleet, root, content, where)


def read_declared(text: str, *, where: str) -> Declared:
    """The fleet that `text` declares, which may leave numbers to the plan. Raises InputError."""
    return _declared(*_parsed(InferenceFleet, text, where), where)


def declared_object(resource: Mapping[str, Any]) -> Declared:
    """The fleet that a Kubernetes resource declares. Raises InputError.

    What an API server keeps beside it is left aside: the status, and all metadata but name and namespace.
    """
    content = copy.deepcopy({key: value for key, value in resource.items() if key != "status"})
    metadata = content.get("metadata")
    if isinstance(metadata, dict):
        content["metadata"] = {key: metadata[key] for key in ("name", "namespace") if key in metadata}
    return _declared(None, content, _named(content))


def resource(declared: Declared) -> dict[str, Any]:
    """The declaration as JSON knows it, without what is left at its default; `declared_object` reads the same."""
    content = declared.fleet.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    content["metadata"]["namespace"] = declared.fleet.metadata.namespace
    for unit in content["spec"]["units"]:
        unit |= dict.fromkeys(sorted(declared.auto.get(unit["name"], ())), AUTO)
    return content


def _named(content: Mapping[str, Any]) -> str:
    """What errors about a resource are about, e.g. `inferencefleet inference/sd21`."""
    metadata = content.get("metadata")
    found = metadata if isinstance(metadata, dict) else {}
    return f"inferencefleet {found.get('namespace', 'default')}/{found.get('name', '(no name)')}"


def _declared(root: Any, content: dict[Any, Any], where: str) -> Declared:
    """root: the YAML nodes, which know their lines; None for what was never YAML."""
    auto: dict[int, set[str]] = {}
    for index, key in _left_to_the_plan(content):
        unit = content["spec"]["units"][index]
        if key == "tensorParallel" and "devices" in unit:
            place, _ = _place(root, ["spec", "units", index, "devices"], where)
            raise InputError("devices follow from tensorParallel, which is auto", where=place, mend="remove devices")
        auto.setdefault(index, set()).add(key)
    for index, keys in auto.items():
        for key in keys:
            content["spec"]["units"][index].pop(key, None)  # units that are one YAML alias lose it together
    fleet = _validated(InferenceFleet, root, content, where)
    return Declared(fleet, {fleet.spec.units[index].name: frozenset(keys) for index, keys in auto.items()})


def read(kind: type[T], text: str, *, where: str) -> T:
    """The document of that kind that `text` declares. `where` names the file in errors. Raises InputError."""
    root, content = _parsed(kind, text, where)
    return _validated(kind, root, content, where)


def read_with(kind: type[T], text: str, changes: Mapping[str, object], *, where: str, by: str) -> T:
    """As `read`, but with other values under some keys, each a path such as `spec.dataPlane.delay` or `spec.events.0`.

    by: what changed them, for errors about one of them. Raises InputError.
    """
    root, content = _parsed(kind, text, where)
    for key, value in changes.items():
        _put(content, key, value, f"{by} {key}")
    return _validated(kind, root, content, where, {key: f"{by} {key}" for key in changes})


def _put(content: dict[Any, Any], key: str, value: object, where: str) -> None:
    """The value under the key; what lies above it and is left out is made. Raises InputError."""
    node: Any = content
    *above, last = key.split(".")
    for part in above:
        node = node.setdefault(part, {}) if isinstance(node, dict) else node[_index(node, part, where)]
    node[last if isinstance(node, dict) else _index(node, last, where)] = value


def _index(node: Any, part: str, where: str) -> int:
    if not isinstance(node, list):
        raise InputError(f"{part!r} is a key of {node!r}, which has none", where=where)
    if not (part.isascii() and part.isdigit() and int(part) < len(node)):
        raise InputError(f"{part!r} is none of {len(node)} entries", where=where, mend="they are numbered from 0")
    return int(part)


def _left_to_the_plan(content: dict[Any, Any]) -> Iterator[tuple[int, str]]:
    """Index of the unit and key of each number that is `auto`. What is no fleet has none; it is refused further on."""
    spec = content.get("spec")
    units = spec.get("units") if isinstance(spec, dict) else None
    for index, unit in enumerate(units if isinstance(units, list) else []):
        if isinstance(unit, dict):
            yield from ((index, key) for key in _MAY_BE_AUTO if unit.get(key) == AUTO)


def _parsed(kind: type[Document], text: str, where: str) -> tuple[Any, dict[Any, Any]]:
    """The YAML nodes, which know their lines, and the content. Raises InputError."""
    try:
        root = yaml.compose(text, Loader=_Loader)
        content = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise InputError(
            f"this is not YAML ({error.problem})", where=f"{where}:{line}", mend="mend the line"
        ) from error
    except ValueError as error:
        raise InputError(f"a value cannot be read ({error})", where=where, mend="put it in quotes") from error
    except RecursionError as error:
        raise InputError(f"this is nested too deeply to be of the kind {kind.__name__}", where=where) from error
    except yaml.YAMLError as error:
        raise InputError(f"this is not YAML ({error})", where=where) from error
    if not isinstance(content, dict):
        raise InputError(
            f"this file holds no {kind.__name__}", where=where, mend=f"begin with apiVersion and kind: {kind.__name__}"
        )
    return root, content


def _validated(
    kind: type[T], root: Any, content: dict[Any, Any], where: str, changed: Mapping[str, str] = MappingProxyType({})
) -> T:
    """changed: where the value of a key is from, by its path, if not from the file."""
    try:
        return kind.model_validate(content, by_alias=True, by_name=False)
    except pydantic.ValidationError as error:
        # Unknown keys first: a misspelt key also makes the right one missing, and the first explains both.
        first = min(error.errors(), key=lambda item: item["type"] != "extra_forbidden")
        raise _explain(kind, first, root, where, changed) from error


def _explain(document: type[Document], error: Any, root: Any, where: str, changed: Mapping[str, str]) -> InputError:
    path = [part for part in error["loc"] if not (isinstance(part, str) and part.startswith(("function-", "[key]")))]
    at, found = _place(root, path, where)
    key = ".".join(str(part) for part in path)
    related = (there for changed_key, there in changed.items() if _on_one_path(key, changed_key))
    place = next(related, at)
    if error["type"] == "extra_forbidden":
        known = _known_keys(document, path[:-1])
        near = difflib.get_close_matches(str(path[-1]), known, n=1, cutoff=0.5)
        mend = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        return InputError(f"unknown key {key!r}", where=place, mend=mend.rstrip("?"))
    if error["type"] == "missing":
        return InputError(f"{key!r} is missing", where=place, mend="add it")
    message = error["msg"].removeprefix("Value error, ")
    given = found or place in changed.values()
    shown = "" if isinstance(error["input"], dict) or not given else f" (found {error['input']!r})"
    return InputError(f"{key!r}: {message[:1].lower()}{message[1:]}{shown}", where=place)


def _on_one_path(key: str, other: str) -> bool:
    """Whether one of the two is the other, or lies below it."""
    return f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.")


def _place(root: Any, path: list[Any], where: str) -> tuple[str, bool]:
    """Where the deepest node on `path` that exists stands, and whether the whole path does."""
    if root is None:
        return where, True
    line, found = _locate(root, path)
    return f"{where}:{line}", found


def _locate(root: Any, path: list[Any]) -> tuple[int, bool]:
    """The 1-based line of the deepest node on `path` that exists, and whether the whole path does."""
    node, line = root, root.start_mark.line + 1
    for part in path:
        child = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == part:
                    child, line = value, key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            child = node.value[part]
            line = child.start_mark.line + 1
        if child is None:
            return line, False
        node = child
    return line, True


def _known_keys(document: type[Document], path: list[Any]) -> list[str]:
    kind: Any = document
    for part in path:
        if isinstance(part, int):
            continue
        for field in kind.model_fields.values():
            if field.alias == part:
                kind = _document_in(field.annotation)
    return [field.alias for field in kind.model_fields.values()]


def _document_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, Document):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _document_in(inner)
        if found is not None:
            return found
    return None


def json_schema() -> dict[str, Any]:
    """The JSON schema of the document, as `holdfast schema` prints it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **InferenceFleet.model_json_schema(by_alias=True),
    }
