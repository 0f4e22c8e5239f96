"""The only place that writes and reads YAML."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml

Path = tuple[str | int, ...]
"""From a document's root to a value: keys and indices."""

# Kubernetes reads `1e3` and `0o17` as numbers where PyYAML sees plain strings: whatever may be a number is quoted.
_NUMBERLIKE = re.compile(r"[-+]?\.?[0-9][0-9a-fA-FoOxX_.:+-]*")

_UNFOLDED = 100_000
"""Characters of a line: a value stands on one line, for people who search and compare."""


class _Dumper(yaml.SafeDumper):
    """SafeDumper without anchors, with list items indented, with number-like strings quoted."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _string(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "'" if _NUMBERLIKE.fullmatch(text) else None
    lines = text.split("\n")
    if len(lines) > 1 and lines[0].strip() and all(line.isprintable() and line == line.rstrip() for line in lines):
        style = "|"  # A script, which people read line by line.
    elif not text.isprintable():
        # Only between double quotes does PyYAML escape all line breaks, those of Unicode too.
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _string)


def dump(value: object, note: str = "") -> str:
    """`value` as one YAML document with sorted keys, under the lines of `note` as comments."""
    comment = "".join(f"# {line}\n" for line in note.splitlines())
    return comment + yaml.dump(value, Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=_UNFOLDED)


@dataclass(frozen=True)
class Document:
    """One YAML document.

    value:    as JSON knows it; Kubernetes' own reading of plain scalars, not YAML 1.1's.
    repeated: keys that stand twice in one mapping, each with its second line; the later value counts.
    """

    value: Any
    node: yaml.Node | None = None
    repeated: tuple[tuple[str, int], ...] = ()

    def row(self, path: Path = ()) -> int:
        """Line of the value at `path`, counted from 1, or of the nearest value above it that is there."""
        node = self.node
        if node is None:
            return 0
        row: int = node.start_mark.line + 1
        for part in path:
            found = _below(node, part)
            if found is None:
                break
            key, node = found
            row = key.start_mark.line + 1
        return row


class NotYamlError(Exception):
    """The text is not YAML that Kubernetes reads; its text says why, and `row` where."""

    def __init__(self, why: str, row: int) -> None:
        super().__init__(why)
        self.row = row


def load_all(text: str) -> Iterator[Document]:
    """The documents of a text, empty ones left out. Raises NotYamlError."""
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            value = loader.construct_document(node)
            if value is not None:
                json.dumps(value)  # An alias of itself is YAML, and no Kubernetes object.
                yield Document(value, node, tuple(loader.repeated))
                loader.repeated = []
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise NotYamlError(error.problem or "it cannot be read", mark.line + 1 if mark else 0) from error
    except (ValueError, TypeError, RecursionError) as error:
        raise NotYamlError("it has values that JSON does not have", 0) from error
    except yaml.YAMLError as error:
        raise NotYamlError("it has characters that YAML does not allow", 0) from error
    finally:
        loader.dispose()


def _below(node: yaml.Node, part: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    """Key and value under a mapping's key or a list's index."""
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in reversed(node.value) if key.value == part), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None


_BaseLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_BaseLoader):  # type: ignore[misc]
    """Reads plain scalars as Kubernetes does (sigs.k8s.io/yaml): `1e3`, `0o17` are numbers, dates and `1:30` text."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.repeated: list[tuple[str, int]] = []

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key is not text", key.start_mark)
            if key.value in seen:
                self.repeated.append((key.value, key.start_mark.line + 1))
            seen.add(key.value)
        made: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return made


def _whole(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = node.value.replace("_", "").lower()
    octal = re.fullmatch(r"([-+]?)0([0-7]+)", text)
    return int(f"{octal[1]}0o{octal[2]}", 0) if octal else int(text, 0)


def _decimal(loader: _Loader, node: yaml.ScalarNode) -> float:
    return float(re.sub(r"\.(?=inf|nan)", "", node.value.lower()))


def _truth(loader: _Loader, node: yaml.ScalarNode) -> bool:
    return node.value.lower() in ("y", "yes", "on", "true")


_RESOLVERS = {
    "bool": (r"y|Y|n|N|yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF", "yYnNtTfFoO"),
    "int": (r"[-+]?(?:0[bB][01_]+|0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[0-7_]*|[1-9][0-9_]*)", "-+0123456789"),
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
    "null": (r"~|null|Null|NULL|", "~nN"),
    "merge": (r"<<", "<"),
}
for _tag, (_pattern, _first) in _RESOLVERS.items():
    _firsts = [*_first, ""] if _tag == "null" else list(_first)
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), _firsts)
_Loader.add_constructor("tag:yaml.org,2002:int", _whole)
_Loader.add_constructor("tag:yaml.org,2002:float", _decimal)
_Loader.add_constructor("tag:yaml.org,2002:bool", _truth)
