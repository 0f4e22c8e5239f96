"""Nodes that Karpenter and Auto Mode make: pools, classes, disks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from holdfast import catalog
from holdfast.manifests import Manifest
from holdfast.model.plan import Plan
from manifests.test_manifest_schemas import CRDS, strict

RenderOf = Callable[..., dict[str, Manifest]]
PlanOf = Callable[..., Plan]

OPEN: dict[str, Any] = {"edge": {"host": "x.example.com", "authentication": {"none": True}}}

_TERMS = {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["tags"]}}
AUTO_CLASS = {
    "type": "object",
    "additionalProperties": False,
    "required": ["role", "subnetSelectorTerms", "securityGroupSelectorTerms"],
    "properties": {
        "role": {"type": "string"},
        "subnetSelectorTerms": _TERMS,
        "securityGroupSelectorTerms": _TERMS,
        "capacityReservationSelectorTerms": _TERMS,
        "networkPolicy": {"enum": ["DefaultAllow", "DefaultDeny"]},
        "tags": {"type": "object", "additionalProperties": {"type": "string"}},
        "ephemeralStorage": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "size": {"type": "string", "pattern": "^[0-9]+Gi$"},
                "iops": {"type": "integer", "minimum": 3000, "maximum": 16000},
                "throughput": {"type": "integer", "minimum": 125, "maximum": 1000},
            },
        },
    },
}
"""Of Auto Mode's NodeClass, whose definition is not published: what its documentation says of the fields used here
(docs.aws.amazon.com/eks/latest/userguide/create-node-class.html)."""


def unit(instance: str, **changes: Any) -> dict[str, Any]:
    accelerator = catalog.instance_type(instance).accelerator
    named = {"name": "u", "accelerator": accelerator, "instanceType": instance, "framework": "other"}
    return named | {"image": "registry.example/server:1.0.0", "devices": 1} | changes


def spec(tree: dict[str, Manifest], file: str) -> dict[str, Any]:
    found = tree[f"pools/u/{file}.yaml"].object["spec"]
    assert isinstance(found, dict)
    return found


def disk(tree: dict[str, Manifest]) -> dict[str, Any]:
    (mapping,) = spec(tree, "node-class")["blockDeviceMappings"]
    ebs = mapping["ebs"]
    assert isinstance(ebs, dict)
    return ebs


def test_a_node_without_instance_store_has_a_fast_disk_that_holds_what_its_devices_do(
    plan_of: PlanOf, render_of: RenderOf
) -> None:
    found = disk(render_of(plan_of((unit("inf2.48xlarge"),))))
    assert (found["throughput"], found["iops"]) == (1000, 16000)
    # 12 devices of 32 GiB, weights and compiled model, and 100 GiB of images: 868 GiB.
    assert found["volumeSize"] == "900Gi"


def test_a_node_with_instance_store_pays_for_no_fast_disk(plan_of: PlanOf, render_of: RenderOf) -> None:
    tree = render_of(plan_of((unit("p5.48xlarge"),)))
    assert "throughput" not in disk(tree)
    assert spec(tree, "node-class")["instanceStorePolicy"] == "RAID0"


@pytest.mark.parametrize(
    ("instance", "parallel"), [("g6e.xlarge", False), ("g6e.2xlarge", True), ("inf2.xlarge", False)]
)
def test_images_are_pulled_in_parallel_from_8_cpus_on(
    instance: str, parallel: bool, plan_of: PlanOf, render_of: RenderOf
) -> None:
    user_data = spec(render_of(plan_of((unit(instance),))), "node-class").get("userData")
    assert (user_data is not None) is parallel
    if user_data is not None:
        node_config = yaml.safe_load(user_data)
        assert (node_config["apiVersion"], node_config["kind"]) == ("node.eks.aws/v1alpha1", "NodeConfig")
        assert node_config["spec"] == {"featureGates": {"FastImagePull": True}}


def test_instances_cost_is_found_by_fleet_and_unit(plan_of: PlanOf, render_of: RenderOf) -> None:
    tags = spec(render_of(plan_of((unit("g5.xlarge"),))), "node-class")["tags"]
    assert tags == {"holdfast.dev/fleet": "sd21", "holdfast.dev/unit": "u"}


def test_auto_mode_has_its_own_class_and_no_label_for_the_operating_system(
    plan_of: PlanOf, render_of: RenderOf
) -> None:
    tree = render_of(plan_of((unit("g6e.2xlarge", zones=["us-west-2a"]),), cluster=OPEN | {"nodes": "auto-mode"}))
    node = spec(tree, "node-pool")["template"]["spec"]
    node_class = tree["pools/u/node-class.yaml"].object
    reference = {"group": "eks.amazonaws.com", "kind": "NodeClass", "name": node_class["metadata"]["name"]}
    assert node["nodeClassRef"] == reference
    assert node_class["apiVersion"] == "eks.amazonaws.com/v1"
    assert {requirement["key"] for requirement in node["requirements"]} == {
        "node.kubernetes.io/instance-type",
        "karpenter.sh/capacity-type",
        "kubernetes.io/arch",
        "topology.kubernetes.io/zone",
    }


def test_auto_modes_class_is_as_documented(plan_of: PlanOf, render_of: RenderOf) -> None:
    described = unit("p5.48xlarge", capacityType="reserved")
    tree = render_of(plan_of((described,), cluster=OPEN | {"nodes": "auto-mode"}))
    jsonschema.Draft202012Validator(AUTO_CLASS).validate(spec(tree, "node-class"))


def test_nvidias_software_is_left_to_auto_mode_where_it_brings_it(plan_of: PlanOf, render_of: RenderOf) -> None:
    tree = render_of(plan_of((unit("g6e.2xlarge"),), cluster=OPEN | {"nodes": "auto-mode"}))
    labels = spec(tree, "node-pool")["template"]["metadata"]["labels"]
    for part in ("driver", "container-toolkit", "device-plugin"):
        assert labels[f"nvidia.com/gpu.deploy.{part}"] == "false"


@pytest.mark.skipif(not CRDS.exists(), reason="the CRDs are not here")
@pytest.mark.parametrize("nodes", ["karpenter", "auto-mode"])
def test_pools_and_classes_are_valid(nodes: str, plan_of: PlanOf, render_of: RenderOf) -> None:
    units = tuple(
        unit(instance, name=f"u{index}", capacityType=way, zones=["us-west-2a", "us-west-2b"])
        for index, (instance, way) in enumerate(
            [("g5.xlarge", "spot"), ("p5.48xlarge", "reserved"), ("inf2.48xlarge", "on-demand")]
        )
    )
    checked = 0
    for path, manifest in render_of(plan_of(units, cluster=OPEN | {"nodes": nodes})).items():
        kind = manifest.object["kind"]
        if kind in ("NodePool", "EC2NodeClass"):
            schema(kind).validate(yaml.safe_load(manifest.text))
            checked += 1
        assert kind != "EC2NodeClass" or nodes == "karpenter", path
    assert checked == (6 if nodes == "karpenter" else 3)


def schema(kind: str) -> jsonschema.Draft202012Validator:
    group = {"NodePool": "karpenter.sh_nodepools", "EC2NodeClass": "karpenter.k8s.aws_ec2nodeclasses"}[kind]
    file: Path = CRDS / "karpenter-provider-aws" / f"{group}.yaml"
    (version,) = yaml.safe_load(file.read_text(encoding="utf-8"))["spec"]["versions"]
    return jsonschema.Draft202012Validator(strict(version["schema"]["openAPIV3Schema"]))
