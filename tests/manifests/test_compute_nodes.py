"""Who brings a pool's nodes, how its pods find them, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast import catalog
from holdfast.manifests import File, Manifest
from holdfast.model.cluster import Nodes
from holdfast.model.errors import InputError
from holdfast.model.plan import Plan

PlanOf = Callable[..., Plan]
FilesOf = Callable[[Plan], dict[str, File]]

OPEN: dict[str, Any] = {"edge": {"host": "x.example.com", "authentication": {"none": True}}}
IMAGE = "registry.example/server:1.0.0"
GROUPS = "terraform/node_groups.auto.tfvars.json"


def unit(instance: str = "g6e.12xlarge", **changes: Any) -> dict[str, Any]:
    accelerator = catalog.instance_type(instance).accelerator
    framework = "vllm" if catalog.accelerator(accelerator).vendor == "nvidia" else "vllm-neuron"
    described = {"name": "u", "accelerator": accelerator, "instanceType": instance, "framework": framework}
    return described | {"image": IMAGE, "devices": 1} | changes


def described(files: dict[str, File], path: str) -> dict[str, Any]:
    file = files[path]
    assert isinstance(file, Manifest)
    return file.object


def pod(files: dict[str, File]) -> dict[str, Any]:
    found = described(files, "base/pools/u/deployment.yaml")["spec"]["template"]["spec"]
    assert isinstance(found, dict)
    return found


def node_labels(files: dict[str, File], nodes: Nodes) -> dict[str, str]:
    """The labels that the pool's nodes have, by whoever brings them, with those that EKS gives by itself."""
    if nodes is Nodes.NODE_GROUPS:
        (group,) = json.loads(files[GROUPS].text)["node_groups"].values()
        return dict(group["labels"])
    if nodes is Nodes.HYBRID:
        (flag,) = (flag for flag in hybrid_flags(files) if flag.startswith("--node-labels="))
        pairs = dict(pair.split("=") for pair in flag.removeprefix("--node-labels=").split(","))
        return pairs | {"eks.amazonaws.com/compute-type": "hybrid"}
    pool = described(files, "base/pools/u/node-pool.yaml")
    labels: dict[str, str] = pool["spec"]["template"]["metadata"]["labels"]
    return labels | {"karpenter.sh/nodepool": pool["metadata"]["name"]}


def node_taints(files: dict[str, File], nodes: Nodes) -> set[tuple[str, str]]:
    if nodes is Nodes.NODE_GROUPS:
        (group,) = json.loads(files[GROUPS].text)["node_groups"].values()
        return {(taint["key"], {"NO_SCHEDULE": "NoSchedule"}[taint["effect"]]) for taint in group["taints"]}
    if nodes is Nodes.HYBRID:
        (flag,) = (flag for flag in hybrid_flags(files) if flag.startswith("--register-with-taints="))
        taints = flag.removeprefix("--register-with-taints=").split(",")
        return {(taint.partition("=")[0], taint.rpartition(":")[2]) for taint in taints}
    taints = described(files, "base/pools/u/node-pool.yaml")["spec"]["template"]["spec"]["taints"]
    return {(taint["key"], taint["effect"]) for taint in taints}


def hybrid_flags(files: dict[str, File]) -> list[str]:
    flags = yaml.safe_load(files["hybrid/u/node-config.yaml"].text)["spec"]["kubelet"]["flags"]
    assert isinstance(flags, list)
    return flags


@settings(max_examples=40, deadline=None)
@given(
    nodes=st.sampled_from(Nodes),
    instance=st.sampled_from(["g5.xlarge", "g6e.12xlarge", "p5.48xlarge", "inf2.xlarge", "trn2.48xlarge"]),
    dra=st.booleans(),
)
def test_pods_select_nodes_that_exist_and_tolerate_their_taints_or_the_fleet_is_refused(
    nodes: Nodes, instance: str, dra: bool, plan_of: PlanOf, files_of: FilesOf
) -> None:
    plan = plan_of((unit(instance, nodes=nodes.value, dra=dra),), cluster=OPEN)
    try:
        files = files_of(plan)
    except InputError as refused:
        assert refused.mend
        assert dra or nodes is Nodes.HYBRID
        return
    spec = pod(files)
    assert spec["nodeSelector"].items() <= node_labels(files, nodes).items()
    assert {(found["key"], found["effect"]) for found in spec["tolerations"]} == node_taints(files, nodes)
    assert not [key for key in node_labels(files, nodes) if key.partition("/")[0].endswith("kubernetes.io")]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dra": True}, "unit u: nodes of karpenter cannot have devices that are claimed by DRA"),
        ({"dra": True, "nodes": "auto-mode"}, "nodes of auto-mode cannot have devices that are claimed by DRA"),
        ({"dra": True, "nodes": "hybrid"}, "nodes of hybrid cannot have devices that are claimed by DRA"),
        ({"instance": "inf2.xlarge", "dra": True, "nodes": "node-groups"}, "dra is rendered for NVIDIA GPUs only"),
        ({"instance": "inf2.xlarge", "nodes": "hybrid"}, "inferentia2 devices exist in AWS only"),
        ({"nodes": "hybrid", "capacityType": "spot"}, "machines of your own are neither spot nor reserved"),
        ({"instance": "trn1.32xlarge", "devices": 2}, "trn1.32xlarge gives a container 1, 4, 8, 16 devices"),
        ({"instance": "inf2.48xlarge", "devices": 2, "nodes": "auto-mode"}, "2 of 12 Neuron devices need AWS's"),
    ],
)
def test_nodes_that_cannot_carry_a_unit_are_refused(
    changes: dict[str, Any], message: str, plan_of: PlanOf, files_of: FilesOf
) -> None:
    with pytest.raises(InputError) as refused:
        files_of(plan_of((unit(**changes),), cluster=OPEN))
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("instance", "devices", "scheduler"),
    [
        ("inf2.48xlarge", 1, None),
        ("inf2.48xlarge", 4, "neuron-scheduler"),  # neighbours of a ring
        ("inf2.48xlarge", 12, None),  # all of a node are neighbours
        ("trn1.32xlarge", 8, "neuron-scheduler"),
        ("g6e.12xlarge", 2, None),
    ],
)
def test_pods_with_some_of_a_nodes_neuron_devices_ask_the_scheduler_that_finds_neighbours(
    instance: str, devices: int, scheduler: str | None, plan_of: PlanOf, files_of: FilesOf
) -> None:
    files = files_of(plan_of((unit(instance, devices=devices),), cluster=OPEN))
    assert pod(files).get("schedulerName") == scheduler


def test_a_unit_may_have_other_nodes_than_its_fleet(plan_of: PlanOf, files_of: FilesOf) -> None:
    units = (unit(name="cloud"), unit(name="own", nodes="hybrid"))
    files = files_of(plan_of(units, cluster=OPEN))
    assert described(files, "base/pools/cloud/node-pool.yaml")["spec"]
    assert "base/pools/own/node-pool.yaml" not in files
    assert "hybrid/own/README.md" in files
