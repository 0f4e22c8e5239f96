"""What a person applies of a fleet so that an operator brings the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import yaml

from holdfast.control.operator.plans import settling
from holdfast.manifests import File, Manifest
from holdfast.manifests.fleet import tree
from holdfast.model import document
from holdfast.model.plan import Plan

NAMES = ["sd21-five-units", "gpt-oss-20b-g5", "llama-3.3-70b-llm-d", "pilot-auto-mode", "moe-700b-lws"]

Tree = dict[str, File]
TreeOf = Callable[[str], tuple[Plan, Tree]]


@pytest.fixture
def tree_of(example: Callable[[str], Plan], files_of: Callable[[Plan], Tree]) -> TreeOf:
    return lambda name: (example(name), files_of(example(name)))


def read(file: File) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(file.text)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_operator_runs_the_plan_that_is_beside_the_fleet(name: str, tree_of: TreeOf) -> None:
    plan, files = tree_of(name)
    fleet, kept = read(files["fleet/fleet.yaml"]), read(files["fleet/plan.yaml"])
    fleet["metadata"]["uid"] = "u"
    settled = settling.settle(
        fleet,
        {kept["metadata"]["name"]: kept},
        highest_per_s=1e6,
        prices_of=lambda fleet: {},
        tried=None,
        now_s=0.0,
    )
    assert settled.obstacle is None
    assert settled.plan == replace(plan, tables={}, fleet=document.declared_object(fleet).fleet)
    assert kept["metadata"]["labels"] == {"holdfast.dev/fleet": plan.fleet.metadata.name}


@pytest.mark.parametrize("name", NAMES)
def test_all_that_serves_is_brought_by_the_person_or_by_the_operator(name: str, tree_of: TreeOf) -> None:
    _, files = tree_of(name)
    base = {
        path: file.object for path, file in files.items() if path.startswith("base/") and isinstance(file, Manifest)
    }
    del base["base/kustomization.yaml"]
    for path, found in base.items():
        beside = files.get(f"fleet/{path.removeprefix('base/')}")
        assert (beside is None) == tree.is_the_operators(found), path
        assert beside is None or read(beside) == found
    assert "fleet/namespace.yaml" in files


def test_the_folder_lists_its_files(tree_of: TreeOf) -> None:
    _, files = tree_of("sd21-five-units")
    inside = {path.removeprefix("fleet/") for path in files if path.startswith("fleet/")}
    assert set(read(files["fleet/kustomization.yaml"])["resources"]) == inside - {"kustomization.yaml"}


def test_the_rights_in_the_namespace_are_the_operators(tree_of: TreeOf) -> None:
    _, files = tree_of("sd21-five-units")
    role, binding = read(files["fleet/rights/role.yaml"]), read(files["fleet/rights/role-binding.yaml"])
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert role["metadata"]["namespace"] == binding["metadata"]["namespace"] == "inference"
    account = read(files["operator/service-account.yaml"])["metadata"]
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]}
    ]
