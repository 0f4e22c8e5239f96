"""What single objects say, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from holdfast import catalog
from holdfast.manifests import Manifest, names, render
from holdfast.manifests import yaml as manifest_yaml
from holdfast.manifests.serving import drain
from holdfast.model.errors import InputError
from holdfast.model.fleet import DataPlane, Slo
from holdfast.model.plan import Plan, PlanStatus

OPEN: dict[str, Any] = {"edge": {"host": "sd21.example.com", "authentication": {"none": True}}}

RenderOf = Callable[..., dict[str, Manifest]]
PlanOf = Callable[..., Plan]


def server(tree: dict[str, Manifest], unit: str) -> dict[str, Any]:
    found = tree[f"pools/{unit}/deployment.yaml"].object["spec"]["template"]["spec"]["containers"][0]
    assert isinstance(found, dict)
    return found


def unit_of(**changes: Any) -> dict[str, Any]:
    return {
        "name": "only",
        "accelerator": "a10g",
        "instanceType": "g5.xlarge",
        "framework": "vllm",
    } | changes


def test_vllm_is_told_the_units_configuration(llama: Plan, render_of: RenderOf) -> None:
    assert server(render_of(llama), "g5-tp4")["args"] == [
        "--model=stabilityai/stable-diffusion-2-1-base",
        "--served-model-name=stabilityai/stable-diffusion-2-1-base",
        "--tensor-parallel-size=4",
        "--pipeline-parallel-size=1",
        "--max-num-seqs=8",
        "--max-model-len=16896",
        "--port=8000",
    ]


def test_neuron_has_as_many_cache_blocks_as_sequences(llama: Plan, render_of: RenderOf) -> None:
    arguments = server(render_of(llama), "inf2-tp8")["args"]
    assert {"--no-enable-prefix-caching", "--num-gpu-blocks-override=8"} <= set(arguments)


def test_neuron_is_asked_for_devices_not_for_cores(llama: Plan, render_of: RenderOf) -> None:
    limits = server(render_of(llama), "inf2-tp8")["resources"]["limits"]
    assert limits["aws.amazon.com/neuron"] == "4"
    assert not any("neuroncore" in resource for resource in limits)


def test_default_images_are_pinned(llama: Plan, render_of: RenderOf) -> None:
    tree = render_of(llama)
    assert server(tree, "g5-tp4")["image"] == "vllm/vllm-openai:v0.33.0"
    assert server(tree, "inf2-tp8")["image"].endswith("vllm-neuronx:0.16.0-neuronx-py312-sdk2.31.0-ubuntu24.04")


def test_trainium2_has_the_later_neuron_image(plan_of: PlanOf, render_of: RenderOf) -> None:
    unit = unit_of(accelerator="trainium2", instanceType="trn2.48xlarge", framework="vllm-neuron")
    assert ":0.24.0.1.1.0-" in server(render_of(plan_of((unit,))), "only")["image"]


@pytest.mark.parametrize(
    ("unit", "startup", "ready"),
    [("g5-tp4", "/health", "/health"), ("inf2-tp8", "/health", "/health")],
)
def test_vllm_is_ready_when_it_is_healthy(
    unit: str, startup: str, ready: str, llama: Plan, render_of: RenderOf
) -> None:
    tree = render_of(llama)
    assert server(tree, unit)["startupProbe"]["httpGet"]["path"] == startup
    assert server(tree, unit)["readinessProbe"]["httpGet"]["path"] == ready
    annotations = tree[f"pools/{unit}/service.yaml"].object["metadata"]["annotations"]
    assert annotations["alb.ingress.kubernetes.io/healthcheck-path"] == ready


def test_other_servers_tell_ready_from_alive(sd21: Plan, render_of: RenderOf) -> None:
    found = server(render_of(sd21), "g5-triton")
    assert found["readinessProbe"]["httpGet"]["path"] == "/readiness"
    assert found["livenessProbe"]["httpGet"]["path"] == "/health"
    assert found["command"] == ["holdfast", "serve"]


def test_a_server_has_half_an_hour_to_load(sd21: Plan, render_of: RenderOf) -> None:
    probe = server(render_of(sd21), "g5-triton")["startupProbe"]
    download_s = 1255.8e6 * 2 / 250e6
    assert probe["periodSeconds"] * probe["failureThreshold"] == pytest.approx(1800 + download_s, abs=10)


def test_shared_memory_is_there_for_parallel_ranks_only(llama: Plan, sd21: Plan, render_of: RenderOf) -> None:
    mounts = {mount["mountPath"] for mount in server(render_of(llama), "g5-tp4")["volumeMounts"]}
    assert mounts == {"/tmp", "/cache", "/dev/shm"}
    mounts = {mount["mountPath"] for mount in server(render_of(sd21), "g5-triton")["volumeMounts"]}
    assert mounts == {"/tmp", "/cache"}


def test_pods_carry_no_token_and_no_rights(sd21: Plan, render_of: RenderOf) -> None:
    tree = render_of(sd21)
    pod = tree["pools/g5-triton/deployment.yaml"].object["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert tree["service-account.yaml"].object["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize("plane", [DataPlane.ALB, DataPlane.GATEWAY_API])
@pytest.mark.parametrize("certificate", [None, "arn:aws:acm:us-west-2:111122223333:certificate/example"])
def test_the_load_balancer_is_internal_and_speaks_https_unless_plain_http_is_asked_for(
    plane: DataPlane, certificate: str | None, plan_of: PlanOf, render_of: RenderOf
) -> None:
    listens = {"certificateArn": certificate} if certificate else {"plainHttp": True}
    tree = render_of(plan_of(data_plane=plane, cluster={"edge": listens | {"authentication": {"none": True}}}))
    if plane is DataPlane.ALB:
        annotations = tree["ingress.yaml"].object["metadata"]["annotations"]
        assert annotations["alb.ingress.kubernetes.io/scheme"] == "internal"
        listened = json.loads(annotations["alb.ingress.kubernetes.io/listen-ports"])
        assert annotations.get("alb.ingress.kubernetes.io/certificate-arn") == certificate
    else:
        configuration = tree["load-balancer-configuration.yaml"].object["spec"]
        assert configuration["scheme"] == "internal"
        listened = [
            {listener["protocol"]: listener["port"]} for listener in tree["gateway.yaml"].object["spec"]["listeners"]
        ]
        found = [listener["defaultCertificate"] for listener in configuration.get("listenerConfigurations", [])]
        assert found == ([certificate] if certificate else [])
    assert listened == ([{"HTTPS": 443}] if certificate else [{"HTTP": 80}])


def test_gateway_api_takes_pods_as_targets(gateway: Plan, render_of: RenderOf) -> None:
    group = render_of(gateway)["pools/g5-triton/target-group.yaml"].object["spec"]
    assert group["targetReference"]["name"] == "sd21-g5-triton"
    assert group["defaultConfiguration"]["targetType"] == "ip"


@pytest.mark.parametrize(
    ("edge", "sentence"),
    [
        ({"authentication": {"none": True}}, "no certificate"),
        ({"host": "sd21.example.com"}, "who may send requests"),
    ],
)
@pytest.mark.parametrize("plane", [DataPlane.ALB, DataPlane.GATEWAY_API])
def test_an_edge_without_tls_or_authentication_is_never_a_default(
    plane: DataPlane, edge: dict[str, Any], sentence: str, plan_of: PlanOf, render_of: RenderOf
) -> None:
    with pytest.raises(InputError, match=sentence):
        render_of(plan_of(data_plane=plane, cluster={"edge": edge}))


def test_pods_wait_for_their_load_balancer(sd21: Plan, render_of: RenderOf) -> None:
    labels = render_of(sd21)["namespace.yaml"].object["metadata"]["labels"]
    assert labels["elbv2.k8s.aws/pod-readiness-gate-inject"] == "enabled"


def test_scaling_follows_the_plans_target(plan_of: PlanOf, render_of: RenderOf) -> None:
    tree = render_of(plan_of(cluster=OPEN | {"prometheus": "http://metrics.example:9090"}))
    trigger = tree["pools/g5-triton/scaled-object.yaml"].object["spec"]["triggers"][0]
    assert trigger["metricType"] == "AverageValue"
    assert trigger["metadata"] == {
        "serverAddress": "http://metrics.example:9090",
        "query": 'sum(rate(vllm:request_success_total{job="inference/sd21-g5-triton"}[1m]))',
        "threshold": "1.4",
        "ignoreNullValues": "false",
    }


def test_nodes_are_of_the_units_kind(plan_of: PlanOf, render_of: RenderOf) -> None:
    units = (unit_of(name="inf2"), unit_of(name="g5-triton", capacityType="reserved"))
    tree = render_of(plan_of(units, cluster=OPEN | {"name": "prod"}))
    requirements = tree["pools/g5-triton/node-pool.yaml"].object["spec"]["template"]["spec"]["requirements"]
    values = {requirement["key"]: requirement["values"] for requirement in requirements}
    assert values["node.kubernetes.io/instance-type"] == ["g5.xlarge"]
    assert values["karpenter.sh/capacity-type"] == ["reserved"]
    node_class = tree["pools/g5-triton/node-class.yaml"].object["spec"]
    assert node_class["amiSelectorTerms"] == [{"alias": "al2023@v20260903"}]
    assert node_class["role"] == "KarpenterNodeRole-prod"
    assert node_class["capacityReservationSelectorTerms"] == [{"tags": {"karpenter.sh/discovery": "prod"}}]


def test_an_infeasible_plan_is_refused_with_its_reason(plan_of: PlanOf, render_of: RenderOf) -> None:
    with pytest.raises(InputError, match="infeasible \\(cheapest mix"):
        render_of(plan_of(status=PlanStatus.INFEASIBLE))


def test_a_local_fleet_is_refused(plan_of: PlanOf, render_of: RenderOf) -> None:
    with pytest.raises(InputError, match="dataPlane is local"):
        render_of(plan_of(data_plane=DataPlane.LOCAL))


@pytest.mark.parametrize("weight", [-1, 1000])
def test_a_weight_out_of_range_is_refused(weight: int, plan_of: PlanOf, render_of: RenderOf) -> None:
    with pytest.raises(InputError, match=f"weight {weight}"):
        render_of(plan_of((unit_of(),), weights=(weight,)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"framework": "triton"}, "unit only: there is no default image for framework triton on a10g; give `image:`"),
        ({"framework": "vllm-neuron"}, "no default image for framework vllm-neuron on a10g"),
        ({"image": "server"}, "'server' is not pinned"),
        ({"image": "registry.example:5000/server"}, "is not pinned"),
        ({"image": "registry.example/server:latest"}, "is not pinned"),
        (
            {"tensorParallel": 2},
            "needs 2 devices, and g5.xlarge has 1: a tensor-parallel group goes over",
        ),
        (
            {"accelerator": "inferentia2", "instanceType": "inf2.xlarge", "tensorParallel": 2},
            "one device carries 2 ranks: give `devices:`",
        ),
    ],
)
def test_a_unit_that_cannot_run_is_refused(
    changes: dict[str, Any], message: str, plan_of: PlanOf, render_of: RenderOf
) -> None:
    with pytest.raises(InputError) as refused:
        render_of(plan_of((unit_of(**changes),)))
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": "gpu_busy"}, "scales on 'gpu_busy'"),
        ({"unit": "requests/min"}, "is in 'requests/min'"),
        ({"target": 0.0}, "is 0 requests/s"),
        ({"min_replicas": 7, "max_replicas": 6}, "between 7 and 6"),
    ],
)
def test_a_target_that_the_query_does_not_measure_is_refused(
    changes: dict[str, Any], message: str, sd21: Plan, render_of: RenderOf
) -> None:
    first, *others = sd21.pools
    pool = replace(first, autoscaling=replace(first.autoscaling, **changes))
    with pytest.raises(InputError, match=message):
        render_of(replace(sd21, pools=(pool, *others)))


def test_missing_and_mistaken_hardware_is_refused(sd21: Plan) -> None:
    with pytest.raises(InputError, match="no instance type and accelerator were given for unit g5-triton"):
        render(sd21, {})
    wrong = (catalog.instance_type("g6.xlarge"), catalog.accelerator("l4"))
    with pytest.raises(InputError, match=r"runs on g5\.xlarge, but g6\.xlarge was given"):
        render(sd21, {"g5-triton": wrong, "inf2-neuron": wrong})


def test_a_pool_of_no_unit_and_a_plan_of_no_pools_are_refused(sd21: Plan, render_of: RenderOf) -> None:
    with pytest.raises(InputError, match="pool ghost that its fleet does not declare"):
        render_of(replace(sd21, pools=(replace(sd21.pools[0], unit="ghost"),)))
    with pytest.raises(InputError, match="no pools"):
        render_of(replace(sd21, pools=()))


def test_a_namespace_with_a_dot_is_refused(sd21: Plan, render_of: RenderOf) -> None:
    metadata = sd21.fleet.metadata.model_copy(update={"namespace": "a.b"})
    with pytest.raises(InputError, match=r"'a\.b' has a dot"):
        render_of(replace(sd21, fleet=sd21.fleet.model_copy(update={"metadata": metadata})))


@given(st.floats(0.001, 10_000))
def test_a_pod_outlives_the_deregistration_of_its_target(bound_s: float) -> None:
    slo = Slo.model_validate({"latency": {"p95": f"{bound_s}s"}})
    delay_s = drain.deregistration_delay_s(slo)
    assert delay_s < drain.pre_stop_s(slo) < drain.grace_period_s(slo)
    assert 30 <= delay_s <= 3600
    assert delay_s == 3600 or delay_s >= 2 * bound_s
    assert 60 <= drain.idle_timeout_s(slo) <= 4000


def test_without_a_bound_on_latency_the_load_balancers_own_delay_holds() -> None:
    slo = Slo.model_validate({"ttft": {"p95": "1s"}})
    assert drain.deregistration_delay_s(slo) == 300


ALNUM = "abcdefghijklmnopqrstuvwxyz0123456789"
PARTS = st.builds("{}{}{}".format, st.sampled_from(ALNUM), st.text(ALNUM + "-.", max_size=51), st.sampled_from(ALNUM))


@given(st.lists(PARTS, min_size=1, max_size=3))
def test_a_name_is_a_dns_label(parts: list[str]) -> None:
    label = names.label(*parts)
    assert len(label) <= 63
    assert label[0].isalpha()
    assert label[-1] != "-"
    assert label.replace("-", "").isalnum()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a.b",), ("a-b",)),
        (("7b",), ("f-7b",)),
        (("a" * 40, "b" * 40), ("a" * 40, "b" * 39)),
        (("a.b", "c"), ("a", "b-c")),
    ],
)
def test_different_parts_keep_different_names(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert names.label(*one) != names.label(*other)


@given(st.text(), st.text())
def test_any_string_is_read_back_as_itself(key: str, text: str) -> None:
    assert yaml.safe_load(manifest_yaml.dump({key: text})) == {key: text}


@pytest.mark.parametrize("text", ["1e3", "12e5", "0o17", "1_000", "80", "3.5", "+1", ".5", "on", "null", "~", "1:30"])
def test_what_looks_like_another_type_is_quoted(text: str) -> None:
    assert manifest_yaml.dump({"value": text}) == f"value: '{text}'\n"


def test_a_script_is_written_line_by_line() -> None:
    assert manifest_yaml.dump({"run": "set -e\n\necho 'a: b' # why\n"}) == "run: |\n  set -e\n\n  echo 'a: b' # why\n"
