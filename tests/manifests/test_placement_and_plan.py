"""What a plan can be made of can be rendered: both place servers by model.packing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast import catalog
from holdfast.manifests.placement import Placement, placements
from holdfast.model.errors import InputError
from holdfast.model.hardware import InstanceType
from holdfast.model.packing import Packing
from holdfast.model.plan import Plan
from holdfast.model.unit import DeploymentUnit
from holdfast.planning import prices

PlanOf = Callable[..., Plan]

OPEN: dict[str, Any] = {"edge": {"host": "x.example.com", "authentication": {"none": True}}}
KINDS = [kind for kind in catalog.instance_types() if kind.devices]


def planned(unit: DeploymentUnit, kind: InstanceType) -> Packing | None:
    try:
        return prices.packing(unit, kind)
    except InputError:
        return None


def rendered(plan: Plan) -> Placement | None:
    try:
        (found,) = placements(plan, catalog.equipment_of(plan.fleet))
    except InputError:
        return None
    return found


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    framework=st.sampled_from(["vllm", "triton", "vllm-neuron"]),
    tensor=st.sampled_from([1, 2, 3, 4, 6, 8, 12, 16, 32]),
    stages=st.integers(1, 6),
    devices=st.none() | st.integers(1, 40),
    replicas=st.integers(1, 9),
)
def test_planning_and_rendering_refuse_the_same_layouts_and_count_the_same_nodes(
    kind: InstanceType,
    framework: str,
    tensor: int,
    stages: int,
    devices: int | None,
    replicas: int,
    plan_of: PlanOf,
) -> None:
    unit = {"name": "u", "accelerator": kind.accelerator, "instanceType": kind.name, "framework": framework}
    shape = {"tensorParallel": tensor, "pipelineParallel": stages, "devices": devices, "maxReplicas": replicas}
    plan = plan_of((unit | shape | {"image": "registry.example/server:1.0.0"},), cluster=OPEN)
    packed, placed = planned(plan.fleet.unit("u"), kind), rendered(plan)

    assert (packed is None) == (placed is None)
    if packed is not None and placed is not None:
        assert placed.nodes_for(replicas) == packed.instances(replicas)
        assert placed.spans_nodes == packed.spans
        assert placed.devices_per_pod * placed.nodes_per_server == placed.unit.devices_per_server
