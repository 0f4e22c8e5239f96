"""Dashboards: panels that Grafana and CloudWatch can draw, over metrics that somebody exports."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from holdfast.manifests import File, Manifest
from holdfast.model.fleet import InferenceFleet
from manifests.rule_files import EXAMPLES, VLLM, ExampleOf, FilesOf, asked_for, exported, promtool, rules

ACCELERATORS = {"DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_FB_USED", "neuroncore_utilization_ratio"}


@pytest.fixture(scope="module", params=EXAMPLES)
def files(request: pytest.FixtureRequest, example: ExampleOf, files_of: FilesOf) -> dict[str, File]:
    return files_of(example(request.param))


def dashboards(files: dict[str, File]) -> list[dict[str, Any]]:
    found = [file for path, file in files.items() if path.startswith("base/dashboards/")]
    return [json.loads(text) for file in found if isinstance(file, Manifest) for text in file.object["data"].values()]


def queries(files: dict[str, File]) -> list[str]:
    return [
        target["expr"]
        for dashboard in dashboards(files)
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
    ]


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(one[at] < other[at] + other[size] and other[at] < one[at] + one[size] for at, size in ("xw", "yh"))


def test_panels_have_their_own_number_and_place(files: dict[str, File]) -> None:
    assert len(dashboards(files)) == 2
    for dashboard in dashboards(files):
        panels = dashboard["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
        assert not any(overlap(one["gridPos"], other["gridPos"]) for one, other in combinations(panels, 2))


def test_dashboards_of_all_fleets_can_be_told_apart(example: ExampleOf, files_of: FilesOf) -> None:
    uids = [found["uid"] for name in EXAMPLES for found in dashboards(files_of(example(name)))]
    assert len(uids) == len(set(uids))
    assert all(len(uid) <= 40 for uid in uids)


@pytest.mark.skipif(not VLLM.exists(), reason="the list of vLLM's metrics is not here")
def test_panels_ask_for_metrics_that_somebody_exports_or_that_rules_record(files: dict[str, File]) -> None:
    known = exported() | ACCELERATORS | {rule["record"] for rule in rules(files) if "record" in rule}
    assert queries(files)
    assert set[str]().union(*map(asked_for, queries(files))) <= known


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_can_read_every_query(files: dict[str, File], tmp_path: Path) -> None:
    found = [{"record": f"panel:{index}", "expr": query} for index, query in enumerate(queries(files))]
    file = tmp_path / "panels.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": found}]}), encoding="utf-8")
    promtool("check", "rules", file)


def test_panels_of_tokens_are_of_engines_that_make_them(example: ExampleOf, files_of: FilesOf) -> None:
    images, chat = (files_of(example(name)) for name in ("sd21-five-units", "gpt-oss-20b-g5"))
    assert not any("token" in query for query in queries(images))
    assert any("token" in query for query in queries(chat))


def test_cloudwatch_can_place_every_widget(files: dict[str, File]) -> None:
    body = json.loads(files["observing/cloudwatch-dashboard.json"].text)
    widgets = body["widgets"]
    assert all(widget["x"] + widget["width"] <= 24 and widget["height"] >= 1 for widget in widgets)
    places = [{"x": w["x"], "y": w["y"], "w": w["width"], "h": w["height"]} for w in widgets]
    assert not any(overlap(one, other) for one, other in combinations(places, 2))
    assert all(widget["properties"]["region"] == "us-west-2" for widget in widgets)


def searches(files: dict[str, File]) -> list[str]:
    widgets = json.loads(files["observing/cloudwatch-dashboard.json"].text)["widgets"]
    return [metric[0]["expression"] for widget in widgets for metric in widget["properties"]["metrics"]]


def test_target_groups_are_searched_by_the_beginning_of_their_names(example: ExampleOf, files_of: FilesOf) -> None:
    found = [search for search in searches(files_of(example("sd21-five-units"))) if "ApplicationELB" in search]
    assert len(found) == 6
    assert all(" targetgroup/k8s-inferenc'" in search for search in found)


def test_target_groups_whose_names_are_ours_are_searched_by_these(example: ExampleOf, files_of: FilesOf) -> None:
    plan = example("sd21-five-units")
    document = plan.fleet.model_dump(mode="json", by_alias=True)
    document["spec"]["dataPlane"] = "gateway-api"
    files = files_of(replace(plan, fleet=InferenceFleet.model_validate(document)))
    named = [path for path, file in files.items() if path.endswith("target-group.yaml") and "sd21-" in file.text]
    assert named
    for path in named:
        assert "targetGroupName: sd21-" in files[path].text
    assert all(" targetgroup/sd21'" in search for search in searches(files) if "ApplicationELB" in search)


def test_a_dashboard_is_the_same_once_read_back_from_its_file(files: dict[str, File]) -> None:
    for path, file in files.items():
        if path.startswith("base/dashboards/"):
            (text,) = yaml.safe_load(file.text)["data"].values()
            assert json.loads(text) in dashboards(files)
