"""What the cluster runs beside the fleet: only what it needs, pinned, and listed alike for Helm and Argo CD."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import kubernetes_validate
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast import catalog
from holdfast.manifests import File
from holdfast.model.errors import InputError
from holdfast.model.fleet import DataPlane
from holdfast.model.plan import Plan

PlanOf = Callable[..., Plan]
FilesOf = Callable[[Plan], dict[str, File]]
Example = Callable[[str], Plan]

OPEN: dict[str, Any] = {"edge": {"host": "x.example.com", "authentication": {"none": True}}}
EXAMPLES = ["sd21-five-units", "gpt-oss-20b-g5", "llama-3.3-70b-llm-d", "pilot-auto-mode"]
ALWAYS = {"kube-prometheus-stack", "aws-load-balancer-controller", "keda"}


def unit(name: str = "u", instance: str = "g6e.12xlarge", **changes: Any) -> dict[str, Any]:
    accelerator = catalog.instance_type(instance).accelerator
    named = {"name": name, "accelerator": accelerator, "instanceType": instance, "framework": "other"}
    return named | {"image": "registry.example/server:1.0.0", "devices": 1} | changes


def read(files: dict[str, File], path: str) -> Any:
    return yaml.safe_load(files[path].text)


def releases(files: dict[str, File]) -> dict[str, dict[str, Any]]:
    return {release["name"]: release for release in read(files, "addons/helmfile.yaml")["releases"]}


def values(files: dict[str, File], name: str) -> dict[str, Any]:
    found = read(files, f"addons/values/{name}.yaml")
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("units", "cluster", "more"),
    [
        ([unit()], {}, {"karpenter", "nvidia-device-plugin", "dcgm-exporter"}),
        ([unit(nodes="auto-mode")], {}, {"gpu-operator"}),
        ([unit(nodes="hybrid")], {}, {"gpu-operator"}),
        ([unit(instance="inf2.xlarge")], {}, {"karpenter", "neuron"}),
        ([unit(instance="inf2.xlarge", nodes="auto-mode")], {}, set()),
        ([unit(nodes="node-groups")], {}, {"nvidia-device-plugin", "dcgm-exporter", "cluster-autoscaler"}),
        (
            [unit(nodes="node-groups", dra=True)],
            {},
            {"dcgm-exporter", "cluster-autoscaler", "dra-driver-nvidia-gpu"},
        ),
        (
            [unit(instance="p5.48xlarge", framework="vllm", tensorParallel=4, devices=4, disaggregated={})],
            {"kvAwareRouting": True},
            {
                "karpenter",
                "nvidia-device-plugin",
                "dcgm-exporter",
                "aws-efa-k8s-device-plugin",
                "agentgateway",
                "agentgateway-crds",
            },
        ),
    ],
)
def test_a_cluster_runs_what_its_fleet_needs_and_nothing_else(
    units: Sequence[dict[str, Any]], cluster: dict[str, Any], more: set[str], plan_of: PlanOf, files_of: FilesOf
) -> None:
    plane = DataPlane.GATEWAY_API if "kvAwareRouting" in cluster else DataPlane.ALB
    files = files_of(plan_of(tuple(units), cluster=OPEN | cluster, data_plane=plane))
    assert releases(files).keys() == ALWAYS | more


@st.composite
def gpu_pools(draw: st.DrawFn) -> tuple[dict[str, Any], ...]:
    """One to four pools of GPUs, each with nodes of any kind."""
    kinds = draw(st.lists(st.sampled_from(["karpenter", "auto-mode", "node-groups", "hybrid"]), min_size=1, max_size=4))
    return tuple(
        unit(f"u{index}", nodes=kind, dra=kind == "node-groups" and draw(st.booleans()))
        for index, kind in enumerate(kinds)
    )


@settings(max_examples=60, deadline=None)
@given(units=gpu_pools())
def test_every_gpu_node_gets_its_devices_from_exactly_one(
    units: tuple[dict[str, Any], ...], plan_of: PlanOf, files_of: FilesOf
) -> None:
    files = files_of(plan_of(units, cluster=OPEN))
    installed = releases(files)
    assert not {"nvidia-device-plugin", "gpu-operator"} <= installed.keys()
    for described in units:
        labels = labels_of(files, described)
        refused = labels.get("nvidia.com/gpu.deploy.device-plugin") == "false"
        by_operator = "gpu-operator" in installed and values(files, "gpu-operator")["devicePlugin"]["enabled"]
        advertisers = [
            described["nodes"] == "auto-mode",
            bool(by_operator) and not refused,
            "nvidia-device-plugin" in installed and labels.get("nvidia.com/gpu.present") == "true" and not refused,
            "dra-driver-nvidia-gpu" in installed and labels.get("holdfast.dev/dra") == "true",
        ]
        assert advertisers.count(True) == 1, described


def labels_of(files: dict[str, File], described: dict[str, Any]) -> dict[str, str]:
    name, kind = described["name"], described["nodes"]
    if kind == "node-groups":
        groups = read(files, "terraform/node_groups.auto.tfvars.json")["node_groups"]
        return dict(groups[f"inference-sd21-{name}"]["labels"])
    if kind == "hybrid":
        flag = read(files, f"hybrid/{name}/node-config.yaml")["spec"]["kubelet"]["flags"][0]
        return dict(pair.split("=") for pair in flag.removeprefix("--node-labels=").split(","))
    return dict(read(files, f"base/pools/{name}/node-pool.yaml")["spec"]["template"]["metadata"]["labels"])


@pytest.mark.parametrize("nodes", ["auto-mode", "hybrid"])
def test_the_gpu_operator_brings_the_driver_only_to_machines_without(
    nodes: str, plan_of: PlanOf, files_of: FilesOf
) -> None:
    found = values(files_of(plan_of((unit(nodes=nodes),), cluster=OPEN)), "gpu-operator")
    parts = {part: found[part]["enabled"] for part in ("driver", "toolkit", "devicePlugin")}
    assert parts == dict.fromkeys(parts, nodes == "hybrid")


@pytest.mark.parametrize("name", EXAMPLES)
def test_helmfile_is_whole(name: str, example: Example, files_of: FilesOf) -> None:
    files = files_of(example(name))
    listing = read(files, "addons/helmfile.yaml")
    known = {repository["name"] for repository in listing["repositories"]}
    installed: set[str] = set()
    for release in listing["releases"]:
        assert re.fullmatch(r"v?\d+\.\d+\.\d+", release["version"]), release
        assert release["chart"].startswith("oci://") or release["chart"].partition("/")[0] in known
        assert all(f"addons/{file}" in files for file in release["values"])
        assert set(release.get("needs", ())) <= installed, "what a release needs comes before it"
        installed.add(f"{release['namespace']}/{release['name']}")
    used = {release["chart"].partition("/")[0] for release in listing["releases"]}
    assert known <= used


@pytest.mark.parametrize("name", EXAMPLES)
def test_argo_cd_installs_the_same_charts_with_the_same_values(name: str, example: Example, files_of: FilesOf) -> None:
    files = files_of(example(name))
    resources = read(files, "addons/argocd/kustomization.yaml")["resources"]
    applications = [read(files, f"addons/argocd/{file}") for file in resources]
    charts = {found["metadata"]["name"]: found for found in applications if "chart" in found["spec"]["source"]}
    assert charts.keys() == releases(files).keys()
    for release in releases(files).values():
        found = charts[release["name"]]
        source = found["spec"]["source"]
        assert source["targetRevision"] == release["version"]
        assert source["chart"] == release["chart"].rpartition("/")[2]
        assert source["helm"]["valuesObject"] == read(files, f"addons/{release['values'][0]}")
        assert not source["repoURL"].startswith("oci://")
        assert found["spec"]["destination"]["namespace"] == release["namespace"]
        assert found["metadata"]["annotations"]["holdfast.dev/reason"]


def test_definitions_come_at_a_tag_and_before_the_rest(example: Example, files_of: FilesOf) -> None:
    files = files_of(example("llama-3.3-70b-llm-d"))
    resources = read(files, "addons/crds/kustomization.yaml")["resources"]
    assert [re.search(r"v\d+\.\d+\.\d+", resource) is not None for resource in resources] == [True] * 4
    waves = {
        name: int(read(files, f"addons/argocd/{name}.yaml")["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"])
        for name in ("gateway-api-crds", "inference-extension-crds", "agentgateway-crds", "agentgateway")
    }
    assert waves == {"gateway-api-crds": -1, "inference-extension-crds": -1, "agentgateway-crds": 0, "agentgateway": 1}


def test_an_alb_ingress_needs_no_gateway_definitions(sd21: Plan, files_of: FilesOf) -> None:
    assert not [path for path in files_of(sd21) if path.startswith("addons/crds/")]


def test_the_cluster_autoscaler_removes_nodes_whose_pods_had_caches(plan_of: PlanOf, files_of: FilesOf) -> None:
    found = values(files_of(plan_of((unit(nodes="node-groups"),), cluster=OPEN)), "cluster-autoscaler")
    assert found["extraArgs"]["skip-nodes-with-local-storage"] is False
    assert "enable-dynamic-resource-allocation" not in found["extraArgs"]


def test_the_cluster_autoscaler_takes_the_main_way_of_buying_first(plan_of: PlanOf, files_of: FilesOf) -> None:
    described = unit(nodes="node-groups", capacityType="spot", capacityTypes=["on-demand", "spot"])
    files = files_of(plan_of((described,), cluster=OPEN))
    found = values(files, "cluster-autoscaler")
    assert found["extraArgs"]["expander"] == "priority,least-waste"
    (first,) = found["expanderPriorities"]["20"]
    groups = read(files, "terraform/node_groups.auto.tfvars.json")["node_groups"]
    # EKS appends a UUID to the name of the group.
    preferred = [name for name in groups if re.search(first, f"eks-{name}-9ac7b1de-2f60-4f8f-8e6d-0f5ad3b1c2aa")]
    assert [groups[name]["capacity_type"] for name in preferred] == ["SPOT"]


def test_claims_of_devices_are_seen_by_the_cluster_autoscaler_and_the_exporter(
    plan_of: PlanOf, files_of: FilesOf
) -> None:
    files = files_of(plan_of((unit(nodes="node-groups", dra=True),), cluster=OPEN))
    assert values(files, "cluster-autoscaler")["extraArgs"]["enable-dynamic-resource-allocation"] is True
    assert values(files, "dcgm-exporter")["kubernetesDRA"] == {"enabled": True}
    assert values(files, "dra-driver-nvidia-gpu")["gpuResourcesEnabledOverride"] is True


@pytest.mark.parametrize(("version", "tag"), [("1.33", "v1.33."), ("1.35", "v1.35.")])
def test_what_follows_the_clusters_minor_version_does(
    version: str, tag: str, plan_of: PlanOf, files_of: FilesOf
) -> None:
    units = (unit("a", nodes="node-groups"), unit("b", "inf2.48xlarge", devices=4))
    files = files_of(plan_of(units, cluster=OPEN | {"kubernetesVersion": version}))
    assert values(files, "cluster-autoscaler")["image"]["tag"].startswith(tag)
    scheduler = values(files, "neuron")["scheduler"]["customScheduler"]
    assert scheduler["image"]["tag"].startswith(tag)
    pod = read(files, "base/pools/b/deployment.yaml")["spec"]["template"]["spec"]
    assert pod["schedulerName"] == scheduler["fullnameOverride"]


def test_a_minor_version_without_known_images_is_refused(plan_of: PlanOf, files_of: FilesOf) -> None:
    plan = plan_of((unit(nodes="node-groups"),), cluster=OPEN | {"kubernetesVersion": "1.99"})
    with pytest.raises(InputError, match=r"no version of the Cluster Autoscaler is known for Kubernetes 1\.99"):
        files_of(plan)


@pytest.mark.parametrize(
    ("prometheus", "asked"),
    [
        ("http://prometheus.example:9090", {"url": "http://prometheus.example", "port": 9090, "path": ""}),
        ("https://prometheus.example/api", {"url": "https://prometheus.example", "port": 443, "path": "/api"}),
    ],
)
def test_a_prometheus_of_the_clusters_own_is_asked_and_none_installed(
    prometheus: str, asked: dict[str, Any], plan_of: PlanOf, files_of: FilesOf
) -> None:
    files = files_of(plan_of((unit(),), cluster=OPEN | {"scaler": "hpa", "prometheus": prometheus}))
    assert "kube-prometheus-stack" not in releases(files)
    assert "keda" not in releases(files)
    assert values(files, "prometheus-adapter")["prometheus"] == asked
    assert not any("needs" in release for release in releases(files).values())


def test_controllers_find_their_vpc_without_asking_the_instance(example: Example, files_of: FilesOf) -> None:
    found = values(files_of(example("sd21-five-units")), "aws-load-balancer-controller")
    assert found["vpcTags"] == {"karpenter.sh/discovery": "inference-prod"}
    assert (found["clusterName"], found["region"]) == ("inference-prod", "us-west-2")


@pytest.mark.parametrize("name", EXAMPLES)
def test_objects_beside_the_charts_are_valid(name: str, example: Example, files_of: FilesOf) -> None:
    files = files_of(example(name))
    for path in files:
        if path.startswith("addons/objects/") and not path.endswith("kustomization.yaml"):
            found = read(files, path)
            assert found["metadata"]["annotations"]["holdfast.dev/reason"]
            if found["apiVersion"] in ("v1", "apps/v1"):
                kubernetes_validate.validate(found, "1.33", strict=True)


@pytest.mark.parametrize(("plane", "there"), [(DataPlane.ALB, False), (DataPlane.GATEWAY_API, True)])
def test_the_readme_has_the_commands_that_the_tree_needs(
    plane: DataPlane, there: bool, plan_of: PlanOf, files_of: FilesOf
) -> None:
    text = files_of(plan_of((unit(),), data_plane=plane, cluster=OPEN))["addons/README.md"].text
    assert ("-k addons/crds" in text) is there
    assert "-k addons/objects" not in text


def test_no_webhook_stands_before_the_services_of_the_other_charts(example: Example, files_of: FilesOf) -> None:
    for name in EXAMPLES:
        assert values(files_of(example(name)), "aws-load-balancer-controller")["enableServiceMutatorWebhook"] is False


def test_a_controller_that_starts_before_gateway_api_is_there_does_not_go_without(
    example: Example, files_of: FilesOf
) -> None:
    gates = values(files_of(example("gpt-oss-20b-g5")), "aws-load-balancer-controller")["controllerConfig"]
    assert gates == {"featureGates": {"ALBGatewayAPI": True, "NLBGatewayAPI": False, "GatewayListenerSet": False}}
    assert "controllerConfig" not in values(files_of(example("sd21-five-units")), "aws-load-balancer-controller")


def test_what_the_shortage_alert_counts_is_read_from_karpenter(example: Example, files_of: FilesOf) -> None:
    files = files_of(example("sd21-five-units"))
    assert "karpenter_nodeclaims_disrupted_total" in files["base/prometheus-rule.yaml"].text
    assert values(files, "karpenter")["serviceMonitor"] == {"enabled": True}
    assert releases(files)["karpenter"]["needs"] == ["monitoring/kube-prometheus-stack"]


def test_an_application_outlasts_the_definitions_that_it_waits_for(example: Example, files_of: FilesOf) -> None:
    retry = read(files_of(example("sd21-five-units")), "addons/argocd/keda.yaml")["spec"]["syncPolicy"]["retry"]
    seconds = [min(10 * retry["backoff"]["factor"] ** n, 180) for n in range(retry["limit"])]
    assert (retry["backoff"]["duration"], retry["backoff"]["maxDuration"]) == ("10s", "3m")
    assert sum(seconds) > 1200
