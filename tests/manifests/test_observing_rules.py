"""Rules that Prometheus evaluates: documented, over metrics that somebody exports, and right about made-up series."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from holdfast.manifests import File, Manifest
from holdfast.model.plan import Plan
from manifests.rule_files import (
    EXAMPLES,
    PROMTOOL,
    ROOT,
    VLLM,
    ExampleOf,
    FilesOf,
    asked_for,
    exported,
    promtool,
    rules,
    written,
)


@pytest.fixture(scope="module", params=EXAMPLES)
def files(request: pytest.FixtureRequest, example: ExampleOf, files_of: FilesOf) -> dict[str, File]:
    return files_of(example(request.param))


@pytest.mark.skipif(not VLLM.exists(), reason="the list of vLLM's metrics is not here")
def test_rules_ask_for_metrics_that_somebody_exports_or_that_they_record(
    files: dict[str, File], capsys: pytest.CaptureFixture[str]
) -> None:
    known = exported() | {rule["record"] for rule in rules(files) if "record" in rule}
    named = set[str]().union(*(asked_for(rule["expr"]) for rule in rules(files)))
    with capsys.disabled():
        sys.stdout.write(f"\n{len(named)} metrics of {len(rules(files))} rules looked up\n")
    assert named <= known


def test_every_alert_says_what_it_is_and_has_a_page_in_the_runbook(files: dict[str, File]) -> None:
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8"), re.MULTILINE)
    for rule in rules(files):
        if "alert" in rule:
            assert rule["alert"] in headings
            assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"
            assert rule["annotations"]["summary"] and rule["annotations"]["description"]
            assert rule["labels"]["severity"] in {"critical", "warning", "info"}


def test_the_runbook_has_no_alert_that_nothing_sends(example: ExampleOf, files_of: FilesOf) -> None:
    sent = {rule.get("alert") for name in EXAMPLES for rule in rules(files_of(example(name)))}
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(headings) <= sent


def test_no_two_alerts_are_the_same(files: dict[str, File]) -> None:
    told = [(rule["alert"], *sorted(rule["labels"].items())) for rule in rules(files) if "alert" in rule]
    assert len(told) == len(set(told))


def test_a_bound_is_counted_by_the_bucket_that_is_not_above_it(example: ExampleOf, files_of: FilesOf) -> None:
    plan = example("gpt-oss-20b-g5")
    assert plan.fleet.spec.slo.ttft.p95_s == 1.0
    slow = [rule["expr"] for rule in rules(files_of(plan)) if rule.get("labels", {}).get("objective") == "ttft-p95"]
    jobs = "llm/gpt-oss-g5-on-demand|llm/gpt-oss-g5-spot"
    bucket = f'vllm:time_to_first_token_seconds_bucket{{job=~"{jobs}",le="1.0"}}'
    assert any(bucket in expression for expression in slow)


def test_a_bound_between_buckets_is_counted_by_the_stricter(plan_of: Callable[..., Plan], files_of: FilesOf) -> None:
    expressions = [rule["expr"] for rule in rules(files_of(plan_of(slo={"latency": {"p95": "0.9s"}})))]
    assert any('le="0.75"' in expression for expression in expressions)


def test_a_budget_that_most_requests_may_miss_has_no_fast_burn(plan_of: Callable[..., Plan], files_of: FilesOf) -> None:
    found = rules(files_of(plan_of(slo={"latency": {"p50": "0.9s"}})))
    burns = [rule for rule in found if rule.get("alert") == "HoldfastSloBurn"]
    assert {rule["labels"]["window"] for rule in burns if rule["labels"]["objective"] == "latency-p50"} == {"3d"}


def test_halves_of_a_request_are_not_taken_for_the_whole(example: ExampleOf, files_of: FilesOf) -> None:
    files = files_of(example("moe-700b-lws"))
    assert {rule["labels"].get("objective") for rule in rules(files)} == {None, "errors"}
    note = rule_note(files)
    assert "latency-p95" in note and "ttft-p95" in note


def rule_note(files: dict[str, File]) -> str:
    found = files["base/prometheus-rule.yaml"]
    assert isinstance(found, Manifest)
    return found.note


def test_only_nodes_of_karpenter_are_asked_for_its_refusals(example: ExampleOf, files_of: FilesOf) -> None:
    told = {rule.get("alert") for rule in rules(files_of(example("pilot-auto-mode")))}
    assert "HoldfastCapacityShortage" not in told and "HoldfastPodsUnschedulable" in told


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
def test_promtool_accepts_the_rules(files: dict[str, File], tmp_path: Path) -> None:
    promtool("check", "rules", *written(files, tmp_path))


def _series(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"series": series, "values": value} for series, value in values.items()]


JOB = 'job="llm/gpt-oss-g5-spot"'
HISTOGRAM = "vllm:e2e_request_latency_seconds"
STORIES: dict[str, tuple[dict[str, str], str, str, int]] = {
    "half of the requests are slow": (
        {
            f"{HISTOGRAM}_count{{{JOB}}}": "0+60x120",
            f'{HISTOGRAM}_bucket{{{JOB},le="10.0"}}': "0+30x120",
        },
        "HoldfastSloBurn",
        "100m",
        2,
    ),
    "all requests are fast": (
        {
            f"{HISTOGRAM}_count{{{JOB}}}": "0+60x120",
            f'{HISTOGRAM}_bucket{{{JOB},le="10.0"}}': "0+60x120",
        },
        "HoldfastSloBurn",
        "100m",
        0,
    ),
    "a server without the bucket": ({f"{HISTOGRAM}_count{{{JOB}}}": "0+60x120"}, "HoldfastSloUnmeasured", "30m", 1),
    "a first refusal, whose counter begins at 1": (
        {
            'karpenter_nodeclaims_disrupted_total{reason="insufficient_capacity",nodepool="llm-gpt-oss-g5-spot"}': (
                "_x20 1x20"
            )
        },
        "HoldfastCapacityShortage",
        "25m",
        1,
    ),
    "a refusal long ago": (
        {'karpenter_nodeclaims_disrupted_total{reason="insufficient_capacity",nodepool="llm-gpt-oss-g5-spot"}': "1x60"},
        "HoldfastCapacityShortage",
        "40m",
        0,
    ),
    "one of two pools answers": ({f"up{{{JOB}}}": "1x30"}, "HoldfastMetricsMissing", "20m", 1),
    "replicas near their breaking points": (
        {
            f"up{{{JOB}}}": "1x30",
            f'vllm:request_success_total{{{JOB},finished_reason="stop"}}': "0+102x30",
        },
        "HoldfastHeadroomLow",
        "20m",
        1,
    ),
    "a fleet that has failed over": (
        {'holdfast_fleet_mode{fleet_namespace="llm",fleet="gpt-oss",mode="capacity-optimized"}': "1x10"},
        "HoldfastFailoverActive",
        "5m",
        1,
    ),
    "a fleet that was seen a while ago": (
        {'holdfast_fleet_observed_timestamp_seconds{fleet_namespace="llm",fleet="gpt-oss"}': "60x30"},
        "HoldfastObservationStale",
        "20m",
        1,
    ),
    "another pool's pods wait": (
        {'kube_pod_status_unschedulable{namespace="llm",pod="gpt-oss-g5-spot-large-5d9c-abcde"}': "1x30"},
        "HoldfastPodsUnschedulable",
        "20m",
        0,
    ),
    "its own pods wait": (
        {'kube_pod_status_unschedulable{namespace="llm",pod="gpt-oss-g5-spot-5d9c7f-abcde"}': "1x30"},
        "HoldfastPodsUnschedulable",
        "20m",
        1,
    ),
}


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
@pytest.mark.parametrize("story", STORIES)
def test_alerts_are_sent_when_they_should(story: str, example: ExampleOf, files_of: FilesOf, tmp_path: Path) -> None:
    series, name, at, sent = STORIES[story]
    files = [str(file) for file in written(files_of(example("gpt-oss-20b-g5")), tmp_path)]
    count = f'count(ALERTS{{alertname="{name}",alertstate="firing"}}) or vector(0)'
    sample = {"labels": "{}", "value": sent}
    case = {
        "interval": "1m",
        "input_series": _series(series),
        "promql_expr_test": [{"expr": count, "eval_time": at, "exp_samples": [sample]}],
    }
    suite = tmp_path / "story.yaml"
    suite.write_text(yaml.safe_dump({"rule_files": files, "evaluation_interval": "1m", "tests": [case]}))
    promtool("test", "rules", suite)
