"""Servers on several nodes, prefill and decode apart, devices by claim."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast import catalog
from holdfast.manifests import Manifest
from holdfast.manifests.placement import Placement, Role, placements
from holdfast.model.errors import InputError
from holdfast.model.fleet import DataPlane
from holdfast.model.packing import pack
from holdfast.model.plan import Plan

PlanOf = Callable[..., Plan]
RenderOf = Callable[..., dict[str, Manifest]]

OPEN: dict[str, Any] = {"edge": {"host": "moe.example.com", "authentication": {"none": True}}}
AWARE = OPEN | {"kvAwareRouting": True}
WIDE: dict[str, Any] = {
    "name": "wide",
    "accelerator": "h100",
    "instanceType": "p5.48xlarge",
    "framework": "vllm",
    "image": "registry.example/vllm-efa:0.33.0",
    "tensorParallel": 8,
    "pipelineParallel": 2,
    "maxReplicas": 3,
}
APART: dict[str, Any] = {
    "name": "apart",
    "accelerator": "a10g",
    "instanceType": "g5.xlarge",
    "framework": "vllm",
    "disaggregated": {"prefill": 2, "decode": 3},
    "maxReplicas": 4,
}


def of(plan: Plan) -> Placement:
    (found,) = placements(plan, catalog.equipment_of(plan.fleet))
    return found


@pytest.fixture
def wide(plan_of: PlanOf) -> Plan:
    """Two stages of a pipeline, each a tensor-parallel group that fills a node."""
    return plan_of((WIDE,), cluster=OPEN)


@pytest.fixture
def apart(plan_of: PlanOf) -> Plan:
    """Two prefill servers and three decode servers to a replica, a GPU each."""
    return plan_of((APART,), cluster=AWARE, data_plane=DataPlane.GATEWAY_API)


def group(tree: dict[str, Manifest], path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Leader and worker template."""
    found = tree[path].object["spec"]["leaderWorkerTemplate"]
    return found["leaderTemplate"], found["workerTemplate"]


def server(template: dict[str, Any]) -> dict[str, Any]:
    found = template["spec"]["containers"][0]
    assert isinstance(found, dict)
    return found


def transfer(container: dict[str, Any]) -> dict[str, Any]:
    (argument,) = (one for one in container["args"] if one.startswith("--kv-transfer-config="))
    found = json.loads(argument.partition("=")[2])
    assert isinstance(found, dict)
    return found


def test_a_server_of_two_nodes_is_a_group_of_two_pods(wide: Plan, render_of: RenderOf) -> None:
    tree = render_of(wide)
    assert "pools/wide/deployment.yaml" not in tree
    spec = tree["pools/wide/leader-worker-set.yaml"].object["spec"]
    assert spec["leaderWorkerTemplate"]["size"] == 2
    assert spec["leaderWorkerTemplate"]["restartPolicy"] == "RecreateGroupOnPodRestart"
    assert "replicas" not in spec


def test_each_pod_of_a_group_knows_its_rank_and_only_the_first_listens(wide: Plan, render_of: RenderOf) -> None:
    leader, worker = (server(part) for part in group(render_of(wide), "pools/wide/leader-worker-set.yaml"))
    place = ["--nnodes=$(LWS_GROUP_SIZE)", "--node-rank=$(LWS_WORKER_INDEX)", "--master-addr=$(LWS_LEADER_ADDRESS)"]
    assert leader["command"] == worker["command"] == ["vllm", "serve"]
    assert leader["args"][-3:] == place
    assert worker["args"] == [*leader["args"], "--headless"]
    assert {"ports", "startupProbe", "readinessProbe", "livenessProbe"} <= leader.keys()
    assert not {"ports", "startupProbe", "readinessProbe", "livenessProbe"} & worker.keys()
    assert worker["lifecycle"] == leader["lifecycle"]


def test_each_pod_of_a_group_has_a_whole_node_with_its_fabric(wide: Plan, render_of: RenderOf) -> None:
    for part in group(render_of(wide), "pools/wide/leader-worker-set.yaml"):
        limits = server(part)["resources"]["limits"]
        assert (limits["nvidia.com/gpu"], limits["vpc.amazonaws.com/efa"], limits["hugepages-2Mi"]) == (
            "8",
            "32",
            "5120Mi",
        )


def test_a_group_is_in_one_zone(wide: Plan, render_of: RenderOf) -> None:
    for part in group(render_of(wide), "pools/wide/leader-worker-set.yaml"):
        (term,) = part["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert term["topologyKey"] == "topology.kubernetes.io/zone"
        assert term["matchLabelKeys"] == ["leaderworkerset.sigs.k8s.io/group-key"]


def test_requests_reach_leaders_alone(wide: Plan, render_of: RenderOf) -> None:
    selector = render_of(wide)["pools/wide/service.yaml"].object["spec"]["selector"]
    assert selector["leaderworkerset.sigs.k8s.io/worker-index"] == "0"


def test_groups_are_scaled_as_a_whole(wide: Plan, render_of: RenderOf) -> None:
    scaled = render_of(wide)["pools/wide/scaled-object.yaml"].object["spec"]
    assert scaled["scaleTargetRef"] == {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "name": "sd21-wide",
    }
    assert scaled["maxReplicaCount"] == 3
    assert of(wide).most_nodes == 6


@pytest.mark.parametrize(
    "changes",
    [
        {"devices": 18, "pipelineParallel": 4},  # stages of four and of five devices
        {"tensorParallel": 12, "pipelineParallel": 4},  # neither within a node of 8 nor filling some
        {"framework": "triton"},
        {"accelerator": "a10g", "instanceType": "g5.xlarge", "tensorParallel": 2, "pipelineParallel": 1},  # no EFA
    ],
)
def test_a_server_that_neither_fits_a_node_nor_fills_several_is_refused(
    changes: dict[str, Any], plan_of: PlanOf, render_of: RenderOf
) -> None:
    with pytest.raises(InputError, match=r"needs .* devices, and .* has"):
        render_of(plan_of((WIDE | changes,), cluster=OPEN))


def test_stages_without_fabric_may_be_apart(plan_of: PlanOf, render_of: RenderOf) -> None:
    unit = WIDE | {"accelerator": "a10g", "instanceType": "g5.xlarge", "tensorParallel": 1, "pipelineParallel": 3}
    leader, _ = group(render_of(plan_of((unit,), cluster=OPEN)), "pools/wide/leader-worker-set.yaml")
    assert "vpc.amazonaws.com/efa" not in server(leader)["resources"]["limits"]
    assert "FI_PROVIDER" not in {entry["name"] for entry in server(leader)["env"]}


def test_the_default_image_is_refused_where_it_cannot_use_the_fabric(plan_of: PlanOf, render_of: RenderOf) -> None:
    with pytest.raises(InputError, match="has no libraries for EFA"):
        render_of(plan_of((WIDE | {"image": None},), cluster=OPEN))


def test_prefill_and_decode_have_their_roles(apart: Plan, render_of: RenderOf) -> None:
    tree = render_of(apart)
    roles = {}
    for role in ("prefill", "decode"):
        template = tree[f"pools/apart/deployment-{role}.yaml"].object["spec"]["template"]
        assert template["metadata"]["labels"]["llm-d.ai/role"] == role
        assert template["metadata"]["labels"]["holdfast.dev/pool"] == "sd21"
        host = next(one for one in server(template)["env"] if one["name"] == "VLLM_NIXL_SIDE_CHANNEL_HOST")
        assert host["valueFrom"] == {"fieldRef": {"fieldPath": "status.podIP"}}
        roles[role] = transfer(server(template))
    assert roles["prefill"] == {"kv_connector": "NixlConnector", "kv_role": "kv_producer"}
    assert roles["decode"] == {"kv_connector": "NixlConnector", "kv_role": "kv_consumer"}


def test_a_decode_server_is_behind_its_proxy(apart: Plan, render_of: RenderOf) -> None:
    tree = render_of(apart)
    pods = {
        role: tree[f"pools/apart/deployment-{role}.yaml"].object["spec"]["template"]["spec"]
        for role in ("prefill", "decode")
    }
    proxy = pods["decode"]["initContainers"][-1]
    assert (proxy["restartPolicy"], proxy["ports"][0]["containerPort"]) == ("Always", 8000)
    assert "--model-server-port=8200" in proxy["args"]
    assert "--port=8200" in pods["decode"]["containers"][0]["args"]
    assert "--port=8000" in pods["prefill"]["containers"][0]["args"]
    assert not any("restartPolicy" in one for one in pods["prefill"]["initContainers"])


def test_requests_reach_decode_servers_alone(apart: Plan, render_of: RenderOf) -> None:
    spec = render_of(apart)["pools/apart/service.yaml"].object["spec"]
    assert spec["selector"]["llm-d.ai/role"] == "decode"
    assert spec["ports"][0]["targetPort"] == 8000


def test_the_two_kinds_of_server_scale_in_their_proportion(apart: Plan, render_of: RenderOf) -> None:
    tree = render_of(apart)
    found = {role: tree[f"pools/apart/scaled-object-{role}.yaml"].object["spec"] for role in ("prefill", "decode")}
    assert {role: spec["maxReplicaCount"] for role, spec in found.items()} == {"prefill": 8, "decode": 12}
    triggers = {role: spec["triggers"][0]["metadata"] for role, spec in found.items()}
    assert triggers["prefill"]["query"] == triggers["decode"]["query"]
    assert 'llm_d_ai_role="decode"' in triggers["decode"]["query"]
    assert float(triggers["prefill"]["threshold"]) == pytest.approx(1.4 / 2)
    assert float(triggers["decode"]["threshold"]) == pytest.approx(1.4 / 3, rel=1e-5)
    assert of(apart).most_nodes == 20


def test_the_pool_is_in_one_zone_where_caches_go_between_its_servers(apart: Plan, render_of: RenderOf) -> None:
    pod = render_of(apart)["pools/apart/deployment-prefill.yaml"].object["spec"]["template"]["spec"]
    (term,) = pod["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["labelSelector"]["matchLabels"]["app.kubernetes.io/instance"] == "sd21-apart"
    assert "matchLabelKeys" not in term


@pytest.mark.parametrize(
    ("changes", "cluster", "message"),
    [
        ({}, OPEN, "nobody would choose prefill servers"),
        ({"framework": "vllm-neuron", "image": "a:1"}, AWARE, "only vLLM on GPUs"),
        ({"instanceType": "g5.12xlarge", "pipelineParallel": 2}, AWARE, "servers with pipeline stages"),
    ],
)
def test_a_disaggregation_that_would_not_work_is_refused(
    changes: dict[str, Any], cluster: dict[str, Any], message: str, plan_of: PlanOf, render_of: RenderOf
) -> None:
    with pytest.raises(InputError, match=message):
        render_of(plan_of((APART | changes,), cluster=cluster, data_plane=DataPlane.GATEWAY_API))


def test_both_many_nodes_and_roles_make_two_sets_of_groups(example: Callable[[str], Plan], render_of: RenderOf) -> None:
    plan = example("moe-700b-lws")
    tree = render_of(plan)
    for role in ("prefill", "decode"):
        leader, worker = group(tree, f"pools/p5en/leader-worker-set-{role}.yaml")
        assert transfer(server(leader))["kv_connector_extra_config"] == {"backends": ["LIBFABRIC"]}
        assert "holdfast.dev/pool" in leader["metadata"]["labels"]
        assert "holdfast.dev/pool" not in worker["metadata"]["labels"]
    targets = of(plan).scale_targets
    assert [(target.role, target.name) for target in targets] == [
        (Role.DECODE, "moe-p5en-decode"),
        (Role.PREFILL, "moe-p5en-prefill"),
    ]
    assert of(plan).scale_target == targets[0]
    assert of(plan).most_nodes == 3 * 2 * 2


@pytest.mark.parametrize(("kubernetes", "api"), [("1.33", "v1beta2"), ("1.34", "v1"), ("1.35", "v1")])
def test_devices_are_claimed_by_the_api_that_the_cluster_has(
    kubernetes: str, api: str, plan_of: PlanOf, render_of: RenderOf
) -> None:
    cluster = OPEN | {"kubernetesVersion": kubernetes, "nodes": "node-groups"}
    tree = render_of(plan_of((WIDE | {"dra": True},), cluster=cluster))
    template = tree["pools/wide/resource-claim-template.yaml"].object
    assert template["apiVersion"] == f"resource.k8s.io/{api}"
    (request,) = template["spec"]["spec"]["devices"]["requests"]
    assert request["exactly"]["count"] == 8
    leader, _ = group(tree, "pools/wide/leader-worker-set.yaml")
    assert leader["spec"]["resourceClaims"][0]["resourceClaimTemplateName"] == template["metadata"]["name"]
    assert server(leader)["resources"]["claims"] == [{"name": "devices"}]
    assert "nvidia.com/gpu" not in server(leader)["resources"]["limits"]


def test_the_planned_replicas_are_what_remains_without_metrics(apart: Plan, render_of: RenderOf) -> None:
    pool = replace(apart.pools[0], replicas=2)
    tree = render_of(replace(apart, pools=(pool,)))
    fallback = tree["pools/apart/scaled-object-decode.yaml"].object["spec"]["fallback"]
    assert fallback["replicas"] == 2 * 3


GPUS = [kind for kind in catalog.instance_types() if kind.resource_name == "nvidia.com/gpu" and kind.resource_count]


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(GPUS),
    tensor=st.sampled_from([1, 2, 4, 8, 12, 16, 32]),
    pipeline=st.integers(1, 4),
    replicas=st.integers(1, 20),
    both=st.none() | st.fixed_dictionaries({"prefill": st.integers(1, 4), "decode": st.integers(1, 4)}),
)
def test_the_nodes_of_a_pool_are_those_that_the_plan_pays_for(
    kind: Any, tensor: int, pipeline: int, replicas: int, both: dict[str, int] | None, plan_of: PlanOf
) -> None:
    unit = WIDE | {
        "accelerator": kind.accelerator,
        "instanceType": kind.name,
        "tensorParallel": tensor,
        "pipelineParallel": pipeline,
        "disaggregated": both,
        "maxReplicas": replicas,
    }
    try:
        found = of(plan_of((unit,), cluster=AWARE))
    except InputError as refused:
        assert tensor * pipeline > kind.resource_count
        assert "needs" in str(refused)
        return
    servers = replicas * sum(target.servers_per_replica for target in found.scale_targets)
    assert found.devices_per_pod * found.nodes_per_server == tensor * pipeline
    assert found.spans_nodes == (found.nodes_per_server > 1)
    assert found.most_nodes == pack(found.unit, kind).instances(replicas)
    pods_per_node = kind.resource_count // found.devices_per_pod
    assert servers * found.nodes_per_server <= found.most_nodes * pods_per_node
    assert found.devices_per_pod % tensor == 0 or tensor % found.devices_per_pod == 0, "a group fills nodes or one part"
    assert 0 <= found.fabric_interfaces <= kind.efa_interfaces
