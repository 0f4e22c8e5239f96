"""KV-cache-aware routing: the pool, its picker, the gateway that asks it, and the edge before them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import yaml

from holdfast.manifests import Manifest
from holdfast.manifests.routing import endpoint_picker
from holdfast.model.cluster import Cluster
from holdfast.model.errors import InputError
from holdfast.model.fleet import DataPlane
from holdfast.model.plan import Plan

RenderOf = Callable[..., dict[str, Manifest]]
PlanOf = Callable[..., Plan]
Example = Callable[[str], Plan]
NAMES = ["llama-3.3-70b-llm-d", "moe-700b-lws"]


@pytest.fixture(params=NAMES)
def aware(request: pytest.FixtureRequest, example: Example, render_of: RenderOf) -> dict[str, Manifest]:
    return render_of(example(request.param))


def test_the_pool_selects_servers_and_nothing_else(aware: dict[str, Manifest]) -> None:
    selector = aware["inference/inference-pool.yaml"].object["spec"]["selector"]["matchLabels"]
    templates = {
        path: manifest.object["spec"].get("template")
        or manifest.object["spec"]["leaderWorkerTemplate"]["leaderTemplate"]
        for path, manifest in aware.items()
        if manifest.object["kind"] in ("Deployment", "LeaderWorkerSet")
    }
    selected = {path for path, one in templates.items() if selector.items() <= one["metadata"]["labels"].items()}
    assert selected == {path for path in templates if path.startswith("pools/")}


def test_the_pool_names_its_picker(aware: dict[str, Manifest]) -> None:
    reference = aware["inference/inference-pool.yaml"].object["spec"]["endpointPickerRef"]
    service = aware["inference/picker-service.yaml"].object
    assert reference["name"] == service["metadata"]["name"]
    assert reference["port"]["number"] in {port["port"] for port in service["spec"]["ports"]}
    deployment = aware["inference/picker-deployment.yaml"].object["spec"]
    assert service["spec"]["selector"] == deployment["template"]["metadata"]["labels"]
    (container,) = deployment["template"]["spec"]["containers"]
    pool = aware["inference/inference-pool.yaml"].object["metadata"]
    assert {f"--pool-name={pool['name']}", f"--pool-namespace={pool['namespace']}"} <= set(container["args"])


def test_without_its_picker_a_request_reaches_no_server_that_only_prefills(
    example: Example, render_of: RenderOf
) -> None:
    modes = [
        render_of(example(name))["inference/inference-pool.yaml"].object["spec"]["endpointPickerRef"]["failureMode"]
        for name in NAMES
    ]
    assert modes == ["FailOpen", "FailClose"]


def test_the_picker_may_look_and_not_touch(aware: dict[str, Manifest]) -> None:
    rules = aware["inference/picker-role.yaml"].object["rules"]
    assert {verb for rule in rules for verb in rule["verbs"]} == {"get", "list", "watch"}
    assert not any("secrets" in rule["resources"] for rule in rules)
    binding = aware["inference/picker-role-binding.yaml"].object
    assert binding["roleRef"]["name"] == aware["inference/picker-role.yaml"].object["metadata"]["name"]
    assert binding["subjects"][0]["name"] == aware["inference/picker-service-account.yaml"].object["metadata"]["name"]


def test_every_plugin_that_a_profile_uses_is_declared(aware: dict[str, Manifest]) -> None:
    config = yaml.safe_load(aware["inference/picker-config.yaml"].object["data"]["picker.yaml"])
    declared = {plugin["type"] for plugin in config["plugins"]}
    used = {entry["pluginRef"] for profile in config["schedulingProfiles"] for entry in profile["plugins"]}
    assert used <= declared
    assert "prefix-cache-scorer" in used


def test_roles_have_a_profile_each(example: Example) -> None:
    names = [
        [profile["name"] for profile in endpoint_picker.configuration(example(name))["schedulingProfiles"]]
        for name in NAMES
    ]
    assert names == [["default"], ["prefill", "decode"]]


def test_a_new_configuration_rolls_the_picker_out(example: Example, render_of: RenderOf) -> None:
    hashes = {
        render_of(example(name))["inference/picker-deployment.yaml"].object["spec"]["template"]["metadata"][
            "annotations"
        ]["holdfast.dev/config-sha256"]
        for name in NAMES
    }
    assert len(hashes) == 2


def test_the_edge_forwards_to_the_gateway_that_asks_the_picker(aware: dict[str, Manifest]) -> None:
    (backend,) = aware["http-route.yaml"].object["spec"]["rules"][0]["backendRefs"]
    gateway = aware["inference/gateway.yaml"].object
    assert gateway["spec"]["gatewayClassName"] == "agentgateway"
    assert (backend["name"], backend["port"]) == (
        gateway["metadata"]["name"],
        gateway["spec"]["listeners"][0]["port"],
    )
    (pool,) = aware["inference/http-route.yaml"].object["spec"]["rules"][0]["backendRefs"]
    assert (pool["kind"], pool["name"]) == (
        "InferencePool",
        aware["inference/inference-pool.yaml"].object["metadata"]["name"],
    )


def test_the_gateway_inside_has_no_load_balancer_of_its_own(aware: dict[str, Manifest]) -> None:
    parameters = aware["inference/gateway-parameters.yaml"].object["spec"]
    assert parameters["service"]["spec"]["type"] == "ClusterIP"
    assert parameters["deployment"]["spec"]["replicas"] > 1
    group = aware["inference/target-group.yaml"].object["spec"]["defaultConfiguration"]
    assert group["healthCheckConfig"]["healthCheckPort"] == "15021"


@pytest.mark.parametrize(("per_s", "cores", "gib"), [(1.0, 1, 4), (100.0, 4, 6), (1000.0, 40, 60)])
def test_the_picker_is_as_large_as_the_demand(per_s: float, cores: int, gib: int, example: Example) -> None:
    plan = replace(example("llama-3.3-70b-llm-d"), demand_per_s=per_s)
    assert (endpoint_picker.cores(plan), endpoint_picker.memory_gib(plan)) == (cores, gib)


@pytest.mark.parametrize(
    ("plane", "framework", "sentence"),
    [
        (DataPlane.ALB, "vllm", "needs Gateway API"),
        (DataPlane.GATEWAY_API, "triton", "reads vLLM's caches, and unit g5-tp4 runs triton"),
    ],
)
def test_what_cannot_be_aware_of_caches_is_refused(
    plane: DataPlane, framework: str, sentence: str, plan_of: PlanOf, render_of: RenderOf
) -> None:
    unit: dict[str, Any] = {
        "name": "g5-tp4",
        "accelerator": "a10g",
        "instanceType": "g5.xlarge",
        "framework": framework,
        "image": "registry.example/server:1",
    }
    cluster = {"kvAwareRouting": True, "edge": {"host": "a.example.com", "authentication": {"none": True}}}
    assert Cluster.model_validate(cluster).kv_aware_routing
    with pytest.raises(InputError, match=sentence):
        render_of(plan_of((unit,), data_plane=plane, cluster=cluster))
