"""Fleets as a Kubernetes API server keeps them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from holdfast.model import document
from holdfast.model.document import Declared
from holdfast.model.errors import InputError

EXAMPLES = Path(__file__).parents[2] / "examples"
FLEETS = sorted([*EXAMPLES.glob("deploy/*.yaml"), *EXAMPLES.glob("*/fleet.yaml")])
FILE = EXAMPLES / "gpt-oss-20b-g5" / "fleet.yaml"
KEPT = {
    "uid": "6f1c",
    "resourceVersion": "12",
    "generation": 3,
    "creationTimestamp": "2026-11-21T10:00:00Z",
    "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
    "managedFields": [{"manager": "kubectl"}],
}


def resource() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return found | {"metadata": found["metadata"] | KEPT, "status": {"mode": "cost-optimized"}}


def test_what_a_server_adds_is_no_part_of_the_fleet() -> None:
    assert document.declared_object(resource()) == document.read_declared(FILE.read_text(encoding="utf-8"), where="")


def test_numbers_may_be_left_to_the_plan_and_the_resource_stays_as_it_was() -> None:
    kept = resource()
    kept["spec"]["units"][0]["tensorParallel"] = "auto"
    declared = document.declared_object(kept)
    assert declared.auto[kept["spec"]["units"][0]["name"]] == {"tensorParallel"}
    assert kept["spec"]["units"][0]["tensorParallel"] == "auto"


def test_an_error_names_the_resource_and_the_key() -> None:
    kept = resource()
    kept["spec"]["slo"]["latency"] = {}
    with pytest.raises(
        InputError, match=r"^inferencefleet inference/gpt-oss-20b: 'spec.slo': the SLO bounds no latency"
    ):
        document.declared_object(kept)


def test_devices_of_ranks_that_are_left_to_the_plan_are_refused() -> None:
    kept = resource()
    kept["spec"]["units"][0] |= {"tensorParallel": "auto", "devices": 1}
    with pytest.raises(InputError, match="devices follow from tensorParallel"):
        document.declared_object(kept)


@pytest.mark.parametrize("file", FLEETS, ids=lambda file: str(file.relative_to(EXAMPLES)))
def test_what_is_written_of_a_fleet_reads_back(file: Path) -> None:
    declared = document.read_declared(file.read_text(encoding="utf-8"), where=str(file))
    unit = declared.fleet.spec.units[0].name
    for one in (declared, Declared(declared.fleet, {unit: frozenset({"maxNumSeqs"})})):
        written = json.loads(json.dumps(document.resource(one)))
        assert document.resource(document.declared_object(written)) == written
    assert document.declared_object(document.resource(declared)) == declared


@pytest.mark.parametrize("nonsense", [{}, {"metadata": 3}, {"metadata": {}, "spec": []}, {"kind": "Service"}])
def test_nonsense_is_one_sentence(nonsense: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"^inferencefleet "):
        document.declared_object(nonsense)
