"""docs/operator.md shows conditions, events, metrics and the resource as they are.

`HOLDFAST_GOLDEN=write pytest` of this file writes them anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from holdfast.control.operator.reasons import MEANINGS, TELLINGS
from holdfast.manifests.operator import resource_definition
from holdfast.model import document, metrics, quantities
from holdfast.model.status import FleetStatus

PAGE = Path(__file__).parents[2] / "docs" / "operator.md"


def conditions() -> Iterator[str]:
    yield row("condition", "status", "reason", "means", "do")
    yield row(*["---"] * 5)
    for one in MEANINGS:
        yield row(one.type.value, one.status, one.reason.value, one.means, one.mend)


def events() -> Iterator[str]:
    yield row("event", "type", "means")
    yield row(*["---"] * 3)
    for word, telling in TELLINGS.items():
        yield row(word.value, "Warning" if telling.warns else "Normal", telling.means)


def exported() -> Iterator[str]:
    yield row("metric", "kind", "labels", "means")
    yield row(*["---"] * 4)
    for one in metrics.OPERATOR:
        yield row(f"`{one.name}`", one.kind.value, ", ".join(one.labels), one.text)


def fields() -> Iterator[str]:
    described = resource_definition.schema()["properties"]["spec"]["properties"]
    definitions = document.json_schema()["$defs"]
    declared = definitions["FleetSpec"]["properties"]
    simple = {name: part for name, part in described.items() if not nested(part)}
    yield from section("spec", "", simple, declared, definitions)
    for name, part in described.items():
        if nested(part):
            inner = inside(resolved(declared[name], definitions))
            where = f"spec.{name}[]" if part.get("type") == "array" else f"spec.{name}"
            declared_inner = resolved(inner, definitions)["properties"]
            yield from section(where, part.get("description", ""), nested(part), declared_inner, definitions)

    told = FleetStatus.model_json_schema(by_alias=True)
    described = resource_definition.schema()["properties"]["status"]
    yield from section("status", described["description"], described["properties"], told["properties"], told["$defs"])


def section(
    where: str, text: str, described: Mapping[str, Any], declared: Mapping[str, Any], definitions: Mapping[str, Any]
) -> Iterator[str]:
    yield f"\n### `{where}`\n\n"
    if text:
        yield f"{sentence(text)}\n\n"
    yield row("field", "may be", "default", "meaning")
    yield row(*["---"] * 4)
    yield from rows("", described, declared, definitions)


def rows(
    path: str, described: Mapping[str, Any], declared: Mapping[str, Any], definitions: Mapping[str, Any]
) -> Iterator[str]:
    for name, part in described.items():
        whole = declared[name]
        kind = resolved(whole, definitions)
        meaning = part.get("description", "")
        yield row(f"`{path}{name}`", may_be(kind, definitions), default(whole, kind), sentence(meaning))
        if nested(part):
            inner = resolved(inside(kind), definitions)
            mark = "[]" if part.get("type") == "array" else ""
            yield from rows(f"{path}{name}{mark}.", nested(part), inner["properties"], definitions)


def nested(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields within a field of the resource; none of a plain one."""
    found: Mapping[str, Any] = part.get("items", part).get("properties", {})
    return found


def resolved(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without references and without the null of what may be absent."""
    if "$ref" in node:
        return resolved(definitions[node["$ref"].rpartition("/")[2]], definitions)
    parts = [part for part in node.get("anyOf", ()) if part.get("type") != "null"]
    return resolved(parts[0], definitions) if len(parts) == 1 else node


def inside(node: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = node.get("items", node)
    return found


def may_be(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    node = resolved(node, definitions)
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if "const" in node:
        return f"`{node['const']}`"
    if "examples" in node:
        return f"like `{node['examples'][0]}`"
    parts = [part for part in node.get("anyOf", ()) if part.get("type") != "null"]
    if parts:
        return " or ".join(may_be(part, definitions) for part in parts)
    match node.get("type"):
        case "array":
            return f"a list; each {may_be(node['items'], definitions)}"
        case "integer" | "number":
            low, high = node.get("minimum", node.get("exclusiveMinimum")), node.get("maximum")
            whole = "a whole number" if node["type"] == "integer" else "a number"
            above = "above " if "exclusiveMinimum" in node else ""
            bounds = (
                ""
                if low is None
                else f", {above}{low:,} to {high:,}"
                if high is not None
                else f", {above}{low:,} or more"
            )
            return f"{whole}{bounds}"
        case "boolean":
            return "`true`, `false`"
        case "object":
            return "an object" if "properties" in node else "a map"
        case "string":
            return "a text"
    return "anything"


def default(whole: Mapping[str, Any], kind: Mapping[str, Any]) -> str:
    if "default" not in whole:
        return "" if "anyOf" in whole else "**needed**"
    value = whole["default"]
    if value is None or value == "" or isinstance(value, dict) or value == []:
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float) and "examples" in kind:
        share = kind["examples"][0].endswith("%")
        return f"`{quantities.format_share(value) if share else quantities.format_duration(value)}`"
    return f"`{', '.join(value) if isinstance(value, list) else value}`"


def sentence(text: str) -> str:
    """With a capital at its beginning, unless that is a name such as vCPU."""
    return text if text[1:2].isupper() else f"{text[:1].upper()}{text[1:]}"


def row(*cells: str) -> str:
    return f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in cells)} |\n"


@pytest.mark.parametrize(
    ("name", "made"),
    [("conditions", conditions), ("events", events), ("metrics", exported), ("fields", fields)],
)
def test_the_page_shows_them_as_they_are(name: str, made: Callable[[], Iterator[str]]) -> None:
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(begin)
    shown, _, after = rest.partition(end)
    table = "\n" + "".join(made()) + "\n"
    if os.environ.get("HOLDFAST_GOLDEN") == "write":
        PAGE.write_text(f"{before}{begin}{table}{end}{after}", encoding="utf-8")
    else:
        assert shown == table
