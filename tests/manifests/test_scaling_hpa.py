"""A plain HPA: the plan's targets as metrics of pods, and the rules that make them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from holdfast.manifests import File, Manifest
from holdfast.manifests.scaling import horizontal_pod_autoscaler
from holdfast.model.errors import InputError
from holdfast.model.plan import Plan

RenderOf = Callable[..., dict[str, Manifest]]
FilesOf = Callable[[Plan], dict[str, File]]
PlanOf = Callable[..., Plan]
Example = Callable[[str], Plan]

CLUSTER: dict[str, Any] = {
    "scaler": "hpa",
    "edge": {"host": "a.example.com", "authentication": {"none": True}},
}


def test_every_metric_that_an_hpa_reads_has_a_rule(example: Example, files_of: FilesOf) -> None:
    files = files_of(example("pilot-auto-mode"))
    rules = yaml.safe_load(files["addons/values/prometheus-adapter.yaml"].text)["rules"]["custom"]
    scaler = yaml.safe_load(files["base/pools/g6e/horizontal-pod-autoscaler.yaml"].text)["spec"]
    read = {metric["pods"]["metric"]["name"] for metric in scaler["metrics"]}
    assert read <= {rule["name"]["as"] for rule in rules}
    assert len(read) == 4


def test_a_rule_is_of_pods_and_keeps_the_adapters_matchers(example: Example, files_of: FilesOf) -> None:
    values = yaml.safe_load(files_of(example("pilot-auto-mode"))["addons/values/prometheus-adapter.yaml"].text)
    for rule in values["rules"]["custom"]:
        assert rule["resources"]["overrides"].keys() == {"namespace", "pod"}
        assert "{<<.LabelMatchers>>}" in rule["metricsQuery"]
        assert rule["metricsQuery"].endswith("by (<<.GroupBy>>)")


def test_one_scaler_to_a_pool(plan_of: PlanOf, render_of: RenderOf) -> None:
    tree = render_of(plan_of(cluster=CLUSTER))
    kinds = [manifest.object["kind"] for manifest in tree.values()]
    assert kinds.count("HorizontalPodAutoscaler") == 2
    assert "ScaledObject" not in kinds
    assert "HorizontalPodAutoscaler sd21-g5-triton owns it" in tree["pools/g5-triton/deployment.yaml"].note


def test_an_hpa_keeps_one_replica_and_says_so(plan_of: PlanOf, render_of: RenderOf) -> None:
    unit = {"name": "idle", "accelerator": "a10g", "instanceType": "g5.xlarge", "framework": "vllm", "minReplicas": 0}
    plan = plan_of((unit, unit | {"name": "busy"}), weights=(0, 100), cluster=CLUSTER)
    idle, busy = plan.pools
    tree = render_of(replace(plan, pools=(replace(idle, replicas=0), busy)))
    scaler = tree["pools/idle/horizontal-pod-autoscaler.yaml"]
    assert scaler.object["spec"]["minReplicas"] == 1
    assert "keeps one replica at least" in scaler.note


def test_a_plan_without_a_metric_of_pods_is_refused(plan_of: PlanOf, render_of: RenderOf) -> None:
    plan = plan_of(cluster=CLUSTER)
    pools = [replace(pool, autoscaling=replace(pool.autoscaling, targets=())) for pool in plan.pools]
    with pytest.raises(InputError, match="no target for pool g5-triton that an HPA can read"):
        render_of(replace(plan, pools=tuple(pools)))


@given(st.integers(1, 10_000_000))
def test_a_quantity_is_exact_to_a_thousandth(milli: int) -> None:
    text = horizontal_pod_autoscaler.quantity(milli / 1000)
    assert (int(text[:-1]) if text.endswith("m") else int(text) * 1000) == milli
