"""What must hold between the objects of a tree, for any plan."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast import catalog
from holdfast.manifests import Manifest
from holdfast.model.fleet import DataPlane
from holdfast.model.hardware import InstanceType
from holdfast.model.plan import Plan

RenderOf = Callable[..., dict[str, Manifest]]
PlanOf = Callable[..., Plan]

ALNUM = "abcdefghijklmnopqrstuvwxyz0123456789"
NAMES = st.builds("{}{}{}".format, st.sampled_from(ALNUM), st.text(ALNUM + "-.", max_size=51), st.sampled_from(ALNUM))
"""Any name that a fleet or a unit may have."""


@st.composite
def units(draw: st.DrawFn) -> tuple[dict[str, Any], ...]:
    """One to five units on any instance type of the catalogue, each with devices that fit it."""
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    return tuple(draw(unit(name)) for name in names)


@st.composite
def unit(draw: st.DrawFn, name: str) -> dict[str, Any]:
    kind = draw(st.sampled_from(catalog.instance_types()))
    low = draw(st.integers(0, 5))
    return {
        "name": name,
        "accelerator": kind.accelerator,
        "instanceType": kind.name,
        "framework": draw(st.sampled_from(["vllm", "vllm-neuron", "other"])),
        "image": "registry.example/server@sha256:0f",
        "tensorParallel": draw(st.sampled_from([1, 2, 8])),
        "devices": draw(devices(kind)),
        "capacityType": draw(st.sampled_from(["on-demand", "spot", "reserved"])),
        "minReplicas": low,
        "maxReplicas": draw(st.integers(max(low, 1), 50)),
    }


def devices(kind: InstanceType) -> st.SearchStrategy[int]:
    """Devices that one replica may have; of a torus of 16 Trainium devices only some numbers."""
    torus = kind.family in ("trn1", "trn1n") and kind.resource_count == 16
    return st.sampled_from([1, 4, 8, 16]) if torus else st.integers(1, kind.resource_count)


def shares(count: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Weights of that many pools that sum to 100."""
    cuts = st.lists(st.integers(0, 100), min_size=count - 1, max_size=count - 1).map(sorted)
    return cuts.map(lambda inner: tuple(b - a for a, b in zip([0, *inner], [*inner, 100], strict=True)))


def of_kind(tree: dict[str, Manifest], kind: str) -> dict[str, dict[str, Any]]:
    """The objects of that kind by the folder that they lie in."""
    return {
        path.rpartition("/")[0]: manifest.object for path, manifest in tree.items() if manifest.object["kind"] == kind
    }


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_parts_of_a_tree_fit_each_other(data: st.DataObject, plan_of: PlanOf, render_of: RenderOf) -> None:
    described = data.draw(units())
    weights = data.draw(shares(len(described)))
    plane = data.draw(st.sampled_from([DataPlane.ALB, DataPlane.GATEWAY_API]))
    plan = plan_of(described, weights=weights, data_plane=plane, name=data.draw(NAMES))
    tree = render_of(plan)
    for folder, deployment in of_kind(tree, "Deployment").items():
        selected_by_all(tree, folder, deployment)
        scheduled_on_its_nodes(tree, folder, deployment)
        fits_the_instance(tree, folder, deployment, plan)
        drains_before_it_ends(deployment)
        scaled_within_bounds(tree, folder, deployment, plan)
    weighted_as_planned(tree, plan, plane)
    listed_by_kustomize(tree)
    named_as_kubernetes_allows(tree)


def selected_by_all(tree: dict[str, Manifest], folder: str, deployment: dict[str, Any]) -> None:
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    selectors = [
        deployment["spec"]["selector"]["matchLabels"],
        of_kind(tree, "Service")[folder]["spec"]["selector"],
        of_kind(tree, "PodDisruptionBudget")[folder]["spec"]["selector"]["matchLabels"],
        of_kind(tree, "PodMonitor")[folder]["spec"]["selector"]["matchLabels"],
    ]
    for selector in selectors:
        assert selector.items() <= labels.items()
    others = [other for place, other in of_kind(tree, "Deployment").items() if place != folder]
    for other in others:
        assert not selectors[0].items() <= other["spec"]["template"]["metadata"]["labels"].items()


def scheduled_on_its_nodes(tree: dict[str, Manifest], folder: str, deployment: dict[str, Any]) -> None:
    pod = deployment["spec"]["template"]["spec"]
    node_pool = of_kind(tree, "NodePool")[folder]
    assert pod["nodeSelector"] == {"karpenter.sh/nodepool": node_pool["metadata"]["name"]}
    tolerated = {(toleration["key"], toleration["effect"]) for toleration in pod["tolerations"]}
    node = node_pool["spec"]["template"]
    assert {(taint["key"], taint["effect"]) for taint in node["spec"]["taints"]} == tolerated
    assert node["spec"]["nodeClassRef"]["name"] == of_kind(tree, "EC2NodeClass")[folder]["metadata"]["name"]
    assert not any("kubernetes.io/" in label for label in node["metadata"]["labels"])


def fits_the_instance(tree: dict[str, Manifest], folder: str, deployment: dict[str, Any], plan: Plan) -> None:
    described = plan.fleet.unit(deployment["metadata"]["labels"]["holdfast.dev/unit"])
    kind = catalog.instance_type(described.instance_type)
    requests = deployment["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]
    asked = int(requests[kind.resource_name])
    per_node = kind.resource_count // asked
    assert per_node >= 1
    assert kind.allocatable_cpu is not None
    assert kind.allocatable_memory_gib is not None
    assert 0 < per_node * int(requests["cpu"].removesuffix("m")) < kind.allocatable_cpu * 1000
    assert 0 < per_node * int(requests["memory"].removesuffix("Mi")) < kind.allocatable_memory_gib * 1024
    limits = of_kind(tree, "NodePool")[folder]["spec"]["limits"]
    nodes = int(limits[kind.resource_name]) // kind.resource_count
    assert nodes * per_node > described.max_replicas
    assert int(limits["cpu"]) == nodes * kind.vcpus


def drains_before_it_ends(deployment: dict[str, Any]) -> None:
    pod = deployment["spec"]["template"]["spec"]
    slept_s = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert 30 < slept_s < pod["terminationGracePeriodSeconds"]


def scaled_within_bounds(tree: dict[str, Manifest], folder: str, deployment: dict[str, Any], plan: Plan) -> None:
    scaled = of_kind(tree, "ScaledObject")[folder]["spec"]
    pool = plan.pool(deployment["metadata"]["labels"]["holdfast.dev/unit"])
    assert scaled["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert "replicas" not in deployment["spec"]
    assert scaled["maxReplicaCount"] == pool.autoscaling.max_replicas
    assert scaled["minReplicaCount"] >= pool.autoscaling.min_replicas
    assert scaled["minReplicaCount"] <= scaled["fallback"]["replicas"] <= scaled["maxReplicaCount"]
    assert scaled["minReplicaCount"] > 0 or pool.weight == 0
    assert all(isinstance(value, str) for value in scaled["triggers"][0]["metadata"].values())


def weighted_as_planned(tree: dict[str, Manifest], plan: Plan, plane: DataPlane) -> None:
    if plane is DataPlane.ALB:
        annotations = tree["ingress.yaml"].object["metadata"]["annotations"]
        action = json.loads(annotations["alb.ingress.kubernetes.io/actions.weighted-pools"])
        groups = action["forwardConfig"]["targetGroups"]
        found = {group["serviceName"]: group["weight"] for group in groups}
    else:
        backends = tree["http-route.yaml"].object["spec"]["rules"][0]["backendRefs"]
        found = {backend["name"]: backend["weight"] for backend in backends}
    services = of_kind(tree, "Service")
    assert found == {services[f"pools/{pool.unit}"]["metadata"]["name"]: pool.weight for pool in plan.pools}
    assert sum(found.values()) == sum(pool.weight for pool in plan.pools) == 100


def listed_by_kustomize(tree: dict[str, Manifest]) -> None:
    assert set(tree["kustomization.yaml"].object["resources"]) == tree.keys() - {"kustomization.yaml"}


def named_as_kubernetes_allows(tree: dict[str, Manifest]) -> None:
    for path, manifest in tree.items():
        if path != "kustomization.yaml":
            name = manifest.object["metadata"]["name"]
            assert len(name) <= 63
            assert name[0].isalpha()
            assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
            assert not name.endswith("-")
