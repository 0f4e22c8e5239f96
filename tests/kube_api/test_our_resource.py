"""The definition of InferenceFleet, in the server: its schema is the one that refuses nonsense, its status is apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from holdfast.manifests.operator import resource_definition
from kube_api import scripts
from kube_api.api import Api
from kube_api.requests import Answer, Object, Request, encoded

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").rglob("fleet.yaml"))
FLEETS = "/apis/holdfast.dev/v1alpha1/namespaces/default/inferencefleets"


@pytest.fixture(scope="module")
def api() -> Api:
    return Api([resource_definition.manifest("crd.yaml").object])


def fleet(path: Path) -> Object:
    found: Object = yaml.safe_load(path.read_text())
    found["metadata"]["namespace"] = "default"
    return found


def ask(api: Api, method: str, path: str, body: Any, content: str = scripts.JSON, **query: str) -> Answer:
    answer = api.handle(Request(method, path, query, {"content-type": content}, encoded(body)), 0.0)
    assert isinstance(answer, Answer)
    return answer


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_every_example_is_taken_strictly(api: Api, path: Path) -> None:
    found = fleet(path)
    query = {"fieldManager": "user", "force": "true", "fieldValidation": "Strict"}
    answer = ask(api, "PATCH", f"{FLEETS}/{found['metadata']['name']}", found, scripts.APPLY, **query)
    assert answer.status in (200, 201), answer.body


@pytest.mark.parametrize(
    ("patch", "field"),
    [
        ({"units": None}, "spec.units"),
        ({"dataPlane": "carrier-pigeon"}, "spec.dataPlane"),
        ({"region": 5}, "spec.region"),
    ],
)
def test_nonsense_is_refused_with_its_field(api: Api, patch: Object, field: str) -> None:
    found = fleet(EXAMPLES[0])
    found["metadata"]["name"] = "nonsense"
    found["spec"] = {name: value for name, value in {**found["spec"], **patch}.items() if value is not None}
    answer = ask(api, "POST", FLEETS, found)
    assert answer.status == 422
    assert field in [cause["field"] for cause in answer.json["details"]["causes"]]


def test_a_status_raises_no_generation(api: Api) -> None:
    found = fleet(EXAMPLES[0])
    found["metadata"]["name"] = "told"
    ask(api, "POST", FLEETS, found)
    status = {
        "observedGeneration": 1,
        "mode": "cost-optimized",
        "pools": [],
        "poolsReady": "0/0",
        "weights": "",
        "shortages": 0,
        "costPerHour": "0.00",
        "conditions": [],
    }
    answer = ask(api, "PATCH", f"{FLEETS}/told/status", {"status": status}, scripts.MERGE)
    assert answer.json["status"] == status
    assert answer.json["metadata"]["generation"] == 1
