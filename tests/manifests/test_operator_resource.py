"""The InferenceFleet resource: a definition that Kubernetes takes, that fits every fleet here and refuses nonsense."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from holdfast.manifests.operator import resource_definition, rules
from holdfast.model.pools import RoutingMode
from holdfast.model.status import Condition, FleetStatus, PoolStatus
from manifests.fleet_nonsense import NONSENSE

EXAMPLES = Path(__file__).parents[2] / "examples"
FLEETS = sorted([*EXAMPLES.glob("deploy/*.yaml"), *EXAMPLES.glob("*/fleet.yaml")])

Schema = dict[str, Any]


def nodes(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every schema within one, with its path."""
    yield path, schema
    for name, part in schema.get("properties", {}).items():
        yield from nodes(part, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


@pytest.fixture(scope="module")
def schema() -> Schema:
    return resource_definition.schema()


def refused(schema: Schema, fleet: Any) -> list[str]:
    """Paths that the API server's schema refuses. OpenAPI's exclusive bounds are those of JSON Schema's draft 4."""
    validator = jsonschema.Draft4Validator(without_extensions(schema))
    return [".".join(map(str, error.path)) for error in validator.iter_errors(fleet)]


def without_extensions(schema: Any) -> Any:
    """The schema with what JSON Schema has no word for said in its own."""
    if isinstance(schema, list):
        return [without_extensions(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: without_extensions(part) for key, part in schema.items()}
    return found | ({"type": ["integer", "string"]} if found.get("x-kubernetes-int-or-string") is True else {})


def read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return found


def test_the_definition_is_valid() -> None:
    made = resource_definition.manifest("crd.yaml")
    kubernetes_validate.validate(yaml.safe_load(made.text), "1.33", strict=True)


def test_the_schema_is_structural(schema: Schema) -> None:
    forbidden = {"$ref", "anyOf", "oneOf", "allOf", "not", "const", "propertyNames", "patternProperties", "definitions",
                 "uniqueItems", "title", "examples"}  # fmt: skip
    for path, node in nodes(schema):
        assert not forbidden & node.keys(), path
        free = node.get("x-kubernetes-preserve-unknown-fields") or node.get("x-kubernetes-int-or-string")
        assert "type" in node or free, path
        assert not ("properties" in node and "additionalProperties" in node), path
        assert node.get("exclusiveMinimum", True) is True, path
        assert node.get("additionalProperties") is not False, path


def test_lists_have_bounds_and_say_how_they_are_merged(schema: Schema) -> None:
    for path, node in nodes(schema):
        if node.get("type") == "array":
            assert node["maxItems"] and node["x-kubernetes-list-type"], path
            for key in node.get("x-kubernetes-list-map-keys", []):
                assert key in node["items"]["required"], path
        if node.get("type") == "string":
            assert {"enum", "maxLength", "format"} & node.keys() or path in (".apiVersion", ".kind"), path


def readable(schema: Schema, path: list[str]) -> bool:
    """Whether CEL can read the field: it is declared, and not of a type that Kubernetes does not know."""
    for name in path:
        if name not in schema.get("properties", {}):
            return False
        schema = schema["properties"][name]
        if "type" not in schema and not schema.get("x-kubernetes-int-or-string"):
            return False
    return True


def test_rules_read_fields_that_there_are(schema: Schema) -> None:
    checked = 0
    for path, node in nodes(schema):
        for rule in node.get("x-kubernetes-validations", []):
            assert len(rule["message"]) < 200
            for named in re.findall(r"\bself\.([a-zA-Z0-9.]+)(?!\w*\()", re.sub(r"\.\w+\(", "(", rule["rule"])):
                if path or not named.startswith("metadata."):
                    assert readable(node, named.split(".")), f"{path}: {rule['rule']}"
                checked += 1
    assert checked > 50


def test_every_rule_and_bound_is_used(schema: Schema) -> None:
    used = {rule["rule"] for _, node in nodes(schema) for rule in node.get("x-kubernetes-validations", [])}
    assert {rule.condition for group in rules.RULES.values() for rule in group} <= used
    lists = {path.removesuffix("[]").rpartition(".")[2] for path, node in nodes(schema) if node.get("type") == "array"}
    assert lists == rules.LISTS.keys()


@pytest.mark.parametrize("file", FLEETS, ids=lambda file: str(file.relative_to(EXAMPLES)))
def test_every_example_is_a_resource(file: Path, schema: Schema) -> None:
    assert refused(schema, read(file)) == []


@pytest.mark.parametrize("value", [1, 1024, "auto"])
def test_a_number_may_be_left_to_the_plan(value: int | str, schema: Schema) -> None:
    fleet = read(EXAMPLES / "deploy" / "gpt-oss-20b-g5.yaml")
    fleet["spec"]["units"][0] |= {"tensorParallel": value, "maxNumSeqs": value}
    assert refused(schema, fleet) == []


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_nonsense_is_refused_before_the_operator_sees_it(nonsense: str, schema: Schema) -> None:
    fleet = read(EXAMPLES / "deploy" / "gpt-oss-20b-g5.yaml")
    NONSENSE[nonsense](fleet["spec"])
    assert refused(schema, fleet)


POOL = PoolStatus(
    unit="g5",
    weight=100,
    ready_replicas=2,
    desired_replicas=3,
    lasting_replicas=2,
    stable_since="2026-11-21T09:00:00Z",
    shortage=True,
    reason="all",
)


def test_a_status_is_what_the_definition_says(schema: Schema) -> None:
    status = FleetStatus(
        observed_generation=2,
        mode=RoutingMode.CAPACITY_OPTIMIZED,
        pools=(POOL,),
        pools_ready="1/1",
        weights="100",
        shortages=1,
        cost_per_hour="$2.01",
        conditions=(
            Condition(
                type="Ready",
                status="True",
                reason="PoolsReady",
                message="Every pool has a ready replica.",
                last_transition_time="2026-11-21T10:00:00Z",
                observed_generation=2,
            ),
        ),
    )
    assert (
        refused(schema["properties"]["status"], status.model_dump(mode="json", by_alias=True, exclude_none=True)) == []
    )


def test_columns_show_fields_of_the_status(schema: Schema) -> None:
    (version,) = resource_definition.manifest("crd.yaml").object["spec"]["versions"]
    columns = {column["name"]: column["jsonPath"] for column in version["additionalPrinterColumns"]}
    assert list(columns) == ["Mode", "Pools", "Weights", "Short", "Cost/h", "Age"]
    for path in columns.values():
        _, part, field = path.split(".")
        assert part == "metadata" or field in schema["properties"][part]["properties"]
    assert version["subresources"] == {"status": {}}


def test_kubectl_explains_the_fields(schema: Schema) -> None:
    cluster = schema["properties"]["spec"]["properties"]["cluster"]
    assert cluster["properties"]["prometheus"]["description"].startswith("where metrics are asked for")
    unit = schema["properties"]["spec"]["properties"]["units"]["items"]
    assert unit["properties"]["startup"]["description"].startswith("from the start of an instance")
    assert not re.search(r"\w+_per_s\b", " ".join(node.get("description", "") for _, node in nodes(unit)))
