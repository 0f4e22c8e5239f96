"""The cascade: pools by weight, then another pool, then Bedrock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import yaml

from holdfast.manifests import Manifest
from holdfast.model.cluster import Cascade, Cluster, Nodes
from holdfast.model.errors import InputError
from holdfast.model.fleet import DataPlane
from holdfast.model.plan import Plan

RenderOf = Callable[..., dict[str, Manifest]]
PlanOf = Callable[..., Plan]
Example = Callable[[str], Plan]

MODEL = "openai/gpt-oss-20b"


@pytest.fixture
def plan(example: Example) -> Plan:
    return example("gpt-oss-20b-g5")


def weighted(plan: Plan, *weights: int) -> Plan:
    pools = tuple(replace(pool, weight=weight) for pool, weight in zip(plan.pools, weights, strict=True))
    return replace(plan, pools=pools)


def with_cluster(plan: Plan, **changes: Any) -> Plan:
    cluster = plan.fleet.spec.cluster.model_dump(by_alias=True, mode="json", exclude_none=True) | changes
    spec = plan.fleet.spec.model_copy(update={"cluster": Cluster.model_validate(cluster)})
    return replace(plan, fleet=plan.fleet.model_copy(update={"spec": spec}))


def config(tree: dict[str, Manifest]) -> dict[str, Any]:
    found = yaml.safe_load(tree["cascade/config.yaml"].object["data"]["config.yaml"])
    assert isinstance(found, dict)
    return found


def test_requests_go_to_the_pools_by_weight_and_to_bedrock_at_last(plan: Plan, render_of: RenderOf) -> None:
    tree = render_of(weighted(plan, 70, 30))
    listed = config(tree)["model_list"]
    own = {one["litellm_params"]["api_base"]: one["litellm_params"]["weight"] for one in listed[:-1]}
    assert own == {"http://gpt-oss-g5-spot.llm.svc:8000/v1": 70, "http://gpt-oss-g5-on-demand.llm.svc:8000/v1": 30}
    assert {one["model_name"] for one in listed[:-1]} == {MODEL}
    assert listed[-1]["litellm_params"] == {
        "model": "bedrock/openai.gpt-oss-20b-1:0",
        "aws_region_name": "us-west-2",
    }
    assert config(tree)["router_settings"]["fallbacks"] == [{MODEL: [listed[-1]["model_name"]]}]


def test_every_pool_is_asked_once_before_bedrock(plan: Plan, render_of: RenderOf) -> None:
    settings = config(render_of(plan))["router_settings"]
    assert settings["enable_weighted_failover"]
    assert (settings["num_retries"], settings["max_fallbacks"]) == (0, 3)


def test_a_pool_without_a_weight_comes_after_those_with_one(plan: Plan, render_of: RenderOf) -> None:
    listed = config(render_of(weighted(plan, 0, 100)))["model_list"][:-1]
    orders = {one["litellm_params"]["weight"]: one["litellm_params"]["order"] for one in listed}
    assert orders == {100: 1, 0: 2}


def test_the_services_that_it_sends_to_are_there(plan: Plan, render_of: RenderOf) -> None:
    tree = render_of(plan)
    services = {
        manifest.object["metadata"]["name"] for manifest in tree.values() if manifest.object["kind"] == "Service"
    }
    hosts = [one["litellm_params"]["api_base"].split("/")[2] for one in config(tree)["model_list"][:-1]]
    assert {host.split(".")[0] for host in hosts} <= services


def test_the_edge_forwards_to_the_proxy_alone(plan: Plan, render_of: RenderOf) -> None:
    tree = render_of(plan)
    service = tree["cascade/service.yaml"].object
    (backend,) = tree["http-route.yaml"].object["spec"]["rules"][0]["backendRefs"]
    assert (backend["name"], backend["port"]) == (service["metadata"]["name"], service["spec"]["ports"][0]["port"])
    assert service["spec"]["selector"] == tree["cascade/deployment.yaml"].object["spec"]["selector"]["matchLabels"]
    assert "pools/g5-spot/target-group.yaml" not in tree


def test_on_an_ingress_the_proxy_has_its_own_health_check(plan: Plan, render_of: RenderOf) -> None:
    spec = plan.fleet.spec.model_copy(update={"data_plane": DataPlane.ALB})
    tree = render_of(replace(plan, fleet=plan.fleet.model_copy(update={"spec": spec})))
    found = tree["cascade/service.yaml"].object["metadata"]["annotations"]
    assert found["alb.ingress.kubernetes.io/healthcheck-path"] == "/health/readiness"


def test_the_load_balancer_outwaits_all_attempts(plan: Plan, render_of: RenderOf) -> None:
    attributes = render_of(plan)["load-balancer-configuration.yaml"].object["spec"]["loadBalancerAttributes"]
    idle_s = {one["key"]: int(one["value"]) for one in attributes if one["value"].isdigit()}[
        "idle_timeout.timeout_seconds"
    ]
    settings = config(render_of(plan))["router_settings"]
    assert idle_s >= settings["timeout"] * settings["max_fallbacks"]


def test_the_key_is_in_a_secret_and_its_header_free(plan: Plan, render_of: RenderOf) -> None:
    tree = render_of(plan)
    (container,) = tree["cascade/deployment.yaml"].object["spec"]["template"]["spec"]["containers"]
    keys = [one["valueFrom"]["secretKeyRef"] for one in container["env"] if "valueFrom" in one]
    assert keys == [{"name": "cascade-key", "key": "masterKey"}]
    assert config(tree)["general_settings"]["master_key"] == "os.environ/LITELLM_MASTER_KEY"
    assert "Authorization" in tree["cascade/deployment.yaml"].note
    jwt = {"issuer": "https://id.example.com", "jwksEndpoint": "https://id.example.com/jwks"}
    guarded = with_cluster(plan, edge={"host": "a.example.com", "authentication": {"jwt": jwt}})
    assert "`x-litellm-api-key`" in render_of(guarded)["cascade/deployment.yaml"].note


def test_behind_a_picker_the_cascade_asks_its_gateway(plan: Plan, render_of: RenderOf) -> None:
    tree = render_of(with_cluster(plan, kvAwareRouting=True))
    own = [one["litellm_params"]["api_base"] for one in config(tree)["model_list"][:-1]]
    assert own == ["http://gpt-oss-inference.llm.svc:8080/v1"]
    egress = tree["cascade/network-policy.yaml"].object["spec"]["egress"]
    assert any(rule["ports"][0]["port"] == 8080 for rule in egress)


def test_a_cascade_of_images_is_refused(plan_of: PlanOf, render_of: RenderOf) -> None:
    edge = {"host": "a.example.com", "authentication": {"none": True}}
    cascade = {"bedrockModel": "amazon.nova-canvas-v1:0", "keySecret": "key"}
    with pytest.raises(InputError, match="needs an API of text, and the fleet's is images"):
        render_of(plan_of(cluster={"edge": edge, "cascade": cascade}))


def test_a_cascade_names_its_key() -> None:
    with pytest.raises(ValueError, match="keySecret"):
        Cascade.model_validate({"bedrockModel": "m"})


def test_names_are_asked_of_a_pod_except_on_auto_mode(plan: Plan, render_of: RenderOf) -> None:
    asked = [
        render_of(with_cluster(plan, nodes=nodes))["cascade/network-policy.yaml"].object["spec"]["egress"][0]
        for nodes in ("karpenter", "auto-mode")
    ]
    assert ["to" in rule for rule in asked] == [True, False]


def test_one_pool_on_auto_mode_may_have_the_cascade_on_its_nodes(plan: Plan, render_of: RenderOf) -> None:
    first, *others = plan.fleet.spec.units
    units = (first.model_copy(update={"nodes": Nodes.AUTO_MODE}), *others)
    fleet = plan.fleet.model_copy(update={"spec": plan.fleet.spec.model_copy(update={"units": units})})
    egress = render_of(replace(plan, fleet=fleet))["cascade/network-policy.yaml"].object["spec"]["egress"]
    assert "to" not in egress[0]
