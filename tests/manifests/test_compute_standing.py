"""Nodes that stand: managed node groups and hybrid nodes, and the images on them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import kubernetes_validate
import pytest
import yaml

from holdfast.manifests import File, Manifest
from holdfast.model.plan import Plan

PlanOf = Callable[..., Plan]
FilesOf = Callable[[Plan], dict[str, File]]

OPEN: dict[str, Any] = {"edge": {"host": "x.example.com", "authentication": {"none": True}}}
GROUPS = "terraform/node_groups.auto.tfvars.json"
KEYS = {"instance_types", "capacity_type", "zones", "min_size", "max_size", "labels", "taints", "ami_type", "disk_gib"}


def unit(**changes: Any) -> dict[str, Any]:
    common = {"name": "u", "accelerator": "l40s", "instanceType": "g6e.12xlarge", "framework": "vllm"}
    return common | {"tensorParallel": 2, "nodes": "node-groups", "minReplicas": 3, "maxReplicas": 9} | changes


def groups(files: dict[str, File]) -> dict[str, dict[str, Any]]:
    found = json.loads(files[GROUPS].text)["node_groups"]
    assert isinstance(found, dict)
    return found


def test_a_node_group_holds_the_fewest_replicas_and_has_room_for_the_most(plan_of: PlanOf, files_of: FilesOf) -> None:
    files = files_of(plan_of((unit(zones=["us-west-2a"]),), cluster=OPEN))
    (group,) = groups(files).values()
    assert group.keys() == KEYS
    # Two replicas to a node: 3 need 2 nodes, 9 need 5, and one more is there for a rollout.
    assert (group["min_size"], group["max_size"]) == (2, 6)
    assert (group["instance_types"], group["zones"]) == (["g6e.12xlarge"], ["us-west-2a"])
    assert (group["capacity_type"], group["ami_type"]) == ("ON_DEMAND", "AL2023_x86_64_NVIDIA")
    assert group["taints"] == [{"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}]


def test_each_way_of_buying_is_a_node_group_that_the_same_pods_select(plan_of: PlanOf, files_of: FilesOf) -> None:
    described = unit(capacityType="spot", capacityTypes=["spot", "on-demand"])
    files = files_of(plan_of((described,), cluster=OPEN))
    found = groups(files)
    assert {name: group["capacity_type"] for name, group in found.items()} == {
        "inference-sd21-u": "SPOT",
        "inference-sd21-u-on-demand": "ON_DEMAND",
    }
    assert found["inference-sd21-u-on-demand"]["min_size"] == 0
    assert len({json.dumps(group["labels"]) for group in found.values()}) == 1


def test_a_group_whose_devices_are_claimed_keeps_a_node(plan_of: PlanOf, files_of: FilesOf) -> None:
    described = unit(minReplicas=0, dra=True)
    (group,) = groups(files_of(plan_of((described,), cluster=OPEN))).values()
    assert group["min_size"] == 1
    assert group["labels"]["holdfast.dev/dra"] == "true"
    assert group["labels"]["nvidia.com/gpu.deploy.device-plugin"] == "false"


def test_a_fleet_without_node_groups_tells_terraform_of_none(sd21: Plan, files_of: FilesOf) -> None:
    assert GROUPS not in files_of(sd21)


@pytest.mark.parametrize("nodes", ["node-groups", "hybrid"])
def test_nodes_that_stand_pull_the_image_before_a_replica_comes(nodes: str, plan_of: PlanOf, files_of: FilesOf) -> None:
    files = files_of(plan_of((unit(nodes=nodes),), cluster=OPEN))
    daemon_set = yaml.safe_load(files["base/pools/u/image-pull.yaml"].text)
    kubernetes_validate.validate(daemon_set, "1.33", strict=True)
    pulling = daemon_set["spec"]["template"]
    serving = yaml.safe_load(files["base/pools/u/deployment.yaml"].text)["spec"]["template"]
    assert pulling["spec"]["initContainers"][0]["image"] == serving["spec"]["containers"][0]["image"]
    assert pulling["spec"]["nodeSelector"] == serving["spec"]["nodeSelector"]
    assert pulling["spec"]["tolerations"] == serving["spec"]["tolerations"]
    service = yaml.safe_load(files["base/pools/u/service.yaml"].text)["spec"]["selector"]
    assert not service.items() <= pulling["metadata"]["labels"].items()
    assert "pools/u/image-pull.yaml" in yaml.safe_load(files["base/kustomization.yaml"].text)["resources"]


def test_nodes_that_are_made_for_a_pod_pull_no_image_ahead(sd21: Plan, files_of: FilesOf) -> None:
    assert not [path for path in files_of(sd21) if path.endswith("image-pull.yaml")]


def test_a_hybrid_machine_joins_with_a_secret_that_the_tree_does_not_have(plan_of: PlanOf, files_of: FilesOf) -> None:
    files = files_of(plan_of((unit(nodes="hybrid"),), cluster=OPEN | {"name": "prod"}))
    spec = yaml.safe_load(files["hybrid/u/node-config.yaml"].text)["spec"]
    assert spec["cluster"] == {"name": "prod", "region": "us-west-2"}
    assert set(spec["hybrid"]["ssm"].values()) == {"${ACTIVATION_CODE}", "${ACTIVATION_ID}"}
    assert "5 at most" in files["hybrid/u/README.md"].text


def test_what_is_outside_the_base_is_not_applied_with_it(plan_of: PlanOf, files_of: FilesOf) -> None:
    files = files_of(plan_of((unit(),), cluster=OPEN))
    base = files["base/kustomization.yaml"]
    assert isinstance(base, Manifest)
    assert all(f"base/{path}" in files for path in base.object["resources"])
