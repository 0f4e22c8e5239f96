"""KEDA: its triggers say what the plan's targets say, in the units and periods of who is asked."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from holdfast.manifests import Manifest
from holdfast.model.cluster import Cluster
from holdfast.model.errors import InputError
from holdfast.model.fleet import DataPlane
from holdfast.model.plan import Plan, ScalingTarget

RenderOf = Callable[..., dict[str, Manifest]]
PlanOf = Callable[..., Plan]
Example = Callable[[str], Plan]
Triggers = dict[str, dict[str, Any]]

EDGE = {"edge": {"host": "a.example.com", "authentication": {"none": True}}}
CLOUDWATCH = EDGE | {"scaler": "keda-cloudwatch"}


def unit(name: str, framework: str = "vllm", **changes: Any) -> dict[str, Any]:
    described = {
        "name": name,
        "accelerator": "a10g",
        "instanceType": "g5.xlarge",
        "framework": framework,
        "maxNumSeqs": 64,
        "image": "registry.example/server:1",
    }
    return described | changes


def triggers(tree: dict[str, Manifest], path: str) -> Triggers:
    return {one["name"]: one for one in tree[f"pools/{path}"].object["spec"]["triggers"]}


def of_pool(plan: Plan, render_of: RenderOf) -> Triggers:
    return triggers(render_of(plan), f"{plan.pools[0].unit}/scaled-object.yaml")


def with_targets(plan: Plan, targets: tuple[ScalingTarget, ...]) -> Plan:
    first, *others = plan.pools
    return replace(plan, pools=(replace(first, autoscaling=replace(first.autoscaling, targets=targets)), *others))


@pytest.mark.parametrize("name", ["sd21-five-units", "gpt-oss-20b-g5", "llama-3.3-70b-llm-d", "moe-700b-lws"])
def test_every_value_is_a_string(name: str, example: Example, render_of: RenderOf) -> None:
    scaled = [one.object for one in render_of(example(name)).values() if one.object["kind"] == "ScaledObject"]
    values = [value for one in scaled for trigger in one["spec"]["triggers"] for value in trigger["metadata"].values()]
    assert values
    assert all(isinstance(value, str) for value in values)


def test_vllm_is_scaled_by_what_it_completes_holds_and_queues(plan_of: PlanOf, render_of: RenderOf) -> None:
    found = of_pool(plan_of((unit("only"),), slo={"latency": {"p95": "9s"}, "ttft": {"p95": "1s"}}), render_of)
    job = 'job="inference/sd21-only"'
    assert {name: one["metadata"]["query"] for name, one in found.items()} == {
        "completed": f"sum(rate(vllm:request_success_total{{{job}}}[1m]))",
        "in-flight": f"sum(avg_over_time(vllm:num_requests_running{{{job}}}[1m])) + "
        f"sum(avg_over_time(vllm:num_requests_waiting{{{job}}}[1m]))",
        "waiting": f"sum(avg_over_time(vllm:num_requests_waiting{{{job}}}[1m]))",
        "kv-cache": f"avg(avg_over_time(vllm:kv_cache_usage_perc{{{job}}}[1m]))",
        "ttft-p95": "(histogram_quantile(0.95, sum by (le) (rate(vllm:time_to_first_token_seconds_bucket"
        f"{{{job}}}[1m]))) >= 0) or vector(0)",
    }


def test_shares_and_quantiles_are_not_divided_by_replicas(plan_of: PlanOf, render_of: RenderOf) -> None:
    found = of_pool(plan_of((unit("only"),), slo={"latency": {"p95": "9s"}, "ttft": {"p95": "1s"}}), render_of)
    kinds = {name: (one["metricType"], one["metadata"]["threshold"]) for name, one in found.items()}
    assert kinds == {
        "completed": ("AverageValue", "1.4"),
        "in-flight": ("AverageValue", "4.2"),
        "waiting": ("AverageValue", "1"),
        "kv-cache": ("Value", "0.8"),
        "ttft-p95": ("Value", "1"),
    }


def test_a_mean_time_to_first_token_is_a_mean(plan_of: PlanOf, render_of: RenderOf) -> None:
    slo = {"latency": {"p95": "9s"}, "ttft": {"avg": "0.5s"}}
    query = of_pool(plan_of((unit("only"),), slo=slo), render_of)["ttft-avg"]["metadata"]["query"]
    assert "time_to_first_token_seconds_sum" in query
    assert "time_to_first_token_seconds_count" in query


def test_other_servers_have_no_cache_and_no_first_token(plan_of: PlanOf, render_of: RenderOf) -> None:
    slo = {"latency": {"p95": "9s"}, "ttft": {"p95": "1s"}}
    assert of_pool(plan_of((unit("only", "triton"),), slo=slo), render_of).keys() == {"completed", "in-flight"}


def test_a_plan_that_says_its_target_once_is_scaled_by_it(plan_of: PlanOf, render_of: RenderOf) -> None:
    plan = with_targets(plan_of((unit("only", "triton"),)), ())
    assert {name: one["metadata"]["threshold"] for name, one in of_pool(plan, render_of).items()} == {
        "completed": "1.4"
    }


def test_a_pool_that_may_be_empty_takes_silence_for_idleness(plan_of: PlanOf, render_of: RenderOf) -> None:
    plan = plan_of((unit("busy"), unit("idle", minReplicas=0)), weights=(100, 0))
    busy, idle = plan.pools
    tree = render_of(replace(plan, pools=(busy, replace(idle, replicas=0))))
    assert tree["pools/idle/scaled-object.yaml"].object["spec"]["minReplicaCount"] == 0
    nulls = [triggers(tree, f"{name}/scaled-object.yaml")["completed"]["metadata"] for name in ("idle", "busy")]
    assert [one["ignoreNullValues"] for one in nulls] == ["true", "false"]


def test_a_managed_prometheus_is_asked_with_an_identity(plan_of: PlanOf, render_of: RenderOf) -> None:
    address = "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1"
    tree = render_of(plan_of(cluster=EDGE | {"prometheus": address}))
    trigger = triggers(tree, "g5-triton/scaled-object.yaml")["completed"]
    assert trigger["metadata"]["awsRegion"] == "eu-west-1"
    authentication = tree["trigger-authentication.yaml"].object
    assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]
    assert authentication["spec"] == {"podIdentity": {"provider": "aws"}}
    assert "trigger-authentication.yaml" not in render_of(plan_of())


def test_prefill_and_decode_are_scaled_by_their_own_queues(example: Example, render_of: RenderOf) -> None:
    tree = render_of(example("moe-700b-lws"))
    decode, prefill = (triggers(tree, f"p5en/scaled-object-{role}.yaml") for role in ("decode", "prefill"))
    assert decode.keys() - prefill.keys() == {"in-flight"}
    assert 'llm_d_ai_role="decode"' in prefill["completed"]["metadata"]["query"]
    assert 'llm_d_ai_role="prefill"' in prefill["waiting"]["metadata"]["query"]


def test_cloudwatch_is_asked_for_whole_minutes_that_are_over(plan_of: PlanOf, render_of: RenderOf) -> None:
    tree = render_of(plan_of(cluster=CLOUDWATCH))
    (trigger,) = tree["pools/g5-triton/scaled-object.yaml"].object["spec"]["triggers"]
    assert (trigger["type"], trigger["metricType"]) == ("aws-cloudwatch", "Value")
    assert trigger["metadata"] == {
        "awsRegion": "us-west-2",
        "expression": 'MAX(SEARCH(\'{AWS/ApplicationELB,TargetGroup} MetricName="RequestCountPerTarget" '
        "targetgroup/k8s-inferenc-sd21g5tr', 'Sum', 60))",
        "targetMetricValue": "84",  # 1.4 requests/s are 84 a minute
        "minMetricValue": "0",
        "metricStatPeriod": "60",
        "metricCollectionTime": "180",
        "metricEndTimeOffset": "60",
        "ignoreNullValues": "false",
    }
    assert trigger["authenticationRef"]["name"] == tree["trigger-authentication.yaml"].object["metadata"]["name"]


def test_behind_gateway_api_the_target_groups_name_is_ours(plan_of: PlanOf, render_of: RenderOf) -> None:
    tree = render_of(plan_of(cluster=CLOUDWATCH, data_plane=DataPlane.GATEWAY_API))
    name = tree["pools/g5-triton/target-group.yaml"].object["spec"]["defaultConfiguration"]["targetGroupName"]
    assert re.fullmatch(r"[a-z][a-z0-9-]{0,31}", name)
    (trigger,) = tree["pools/g5-triton/scaled-object.yaml"].object["spec"]["triggers"]
    assert f"targetgroup/{name}'" in trigger["metadata"]["expression"]
    other = plan_of(cluster=CLOUDWATCH | {"name": "blue"}, data_plane=DataPlane.GATEWAY_API)
    assert name not in render_of(other)["pools/g5-triton/target-group.yaml"].text


def test_pools_that_share_a_target_group_scale_to_its_mean(plan_of: PlanOf, render_of: RenderOf) -> None:
    plan = plan_of(tuple(unit(f"{letter}-unit") for letter in "abcdef"), cluster=CLOUDWATCH)
    costs = (10.0, 11.0, 50.0, 70.0, 90.0, 120.0)
    pools = [replace(pool, usd_per_million_requests=cost) for pool, cost in zip(plan.pools, costs, strict=True)]
    slow = pools[1].autoscaling.targets[1]
    assert slow.system == "cloudwatch"
    halved = replace(pools[1].autoscaling, targets=(replace(slow, value=slow.value / 2),))
    pools[1] = replace(pools[1], autoscaling=halved, replicas=2)
    tree = render_of(replace(plan, pools=tuple(pools)))
    found = [
        tree[f"pools/{name}/scaled-object.yaml"].object["spec"]["triggers"][0]["metadata"]["targetMetricValue"]
        for name in ("a-unit", "b-unit", "c-unit")
    ]
    assert found == ["73.5", "73.5", "84"]  # (6 x 84 + 2 x 42) / 8


@pytest.mark.parametrize(
    ("units", "cluster", "sentence"),
    [
        (("alpha-one", "alpha-two"), {}, "cannot tell the target groups of sd21-alpha-one and sd21-alpha-two apart"),
        (("g5", "g5-spot"), {}, "cannot tell the target groups of sd21-g5 and sd21-g5-spot apart"),
    ],
)
def test_pools_that_cloudwatch_cannot_tell_apart_are_refused(
    units: tuple[str, ...], cluster: dict[str, Any], sentence: str, plan_of: PlanOf, render_of: RenderOf
) -> None:
    with pytest.raises(InputError, match=sentence):
        render_of(plan_of(tuple(unit(name) for name in units), cluster=CLOUDWATCH | cluster))


@pytest.mark.parametrize("name", ["gpt-oss-20b-g5", "llama-3.3-70b-llm-d"])
def test_cloudwatch_sees_no_pools_behind_a_cascade_or_a_picker(
    name: str, example: Example, render_of: RenderOf
) -> None:
    plan = example(name)
    cluster = plan.fleet.spec.cluster.model_dump(by_alias=True, mode="json", exclude_none=True)
    changed = Cluster.model_validate(cluster | {"scaler": "keda-cloudwatch"})
    spec = plan.fleet.spec.model_copy(update={"cluster": changed})
    with pytest.raises(InputError, match="all pools are in one"):
        render_of(replace(plan, fleet=plan.fleet.model_copy(update={"spec": spec})))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"system": "prometheus"}, "no CloudWatch target for pool inf2-neuron"),
        ({"period_s": 90.0}, "is made by sum over 90 s"),
        ({"statistic": "average"}, "is made by average over 60 s"),
        ({"value": 0.0}, "is 0 requests/min"),
    ],
)
def test_a_target_that_cloudwatch_cannot_show_is_refused(
    changes: dict[str, Any], sentence: str, plan_of: PlanOf, render_of: RenderOf
) -> None:
    plan = plan_of(cluster=CLOUDWATCH)
    received = next(one for one in plan.pools[0].autoscaling.targets if one.system == "cloudwatch")
    with pytest.raises(InputError, match=sentence):
        render_of(with_targets(plan, (replace(received, **changes),)))
