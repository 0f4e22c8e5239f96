"""Plans to render: a small one to read, and any other by its parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast import catalog
from holdfast.manifests import File, Manifest, render
from holdfast.model import document
from holdfast.model.fleet import CapacityPolicy, DataPlane, DeploymentUnit, InferenceFleet
from holdfast.model.plan import Plan, PlanStatus, PoolPlan
from holdfast.planning.autoscaling import autoscaling

SD21_UNITS: tuple[dict[str, Any], ...] = (
    {
        "name": "inf2-neuron",
        "accelerator": "inferentia2",
        "instanceType": "inf2.xlarge",
        "framework": "neuronx",
        "image": "registry.example/holdfast-serve:1.0.0",
    },
    {
        "name": "g5-triton",
        "accelerator": "a10g",
        "instanceType": "g5.xlarge",
        "framework": "triton",
        "image": "registry.example/holdfast-serve:1.0.0",
        "capacityType": "spot",
    },
)
LLAMA_UNITS: tuple[dict[str, Any], ...] = (
    {
        "name": "g5-tp4",
        "accelerator": "a10g",
        "instanceType": "g5.12xlarge",
        "framework": "vllm",
        "tensorParallel": 4,
        "maxNumSeqs": 8,
        "maxModelLen": 16896,
    },
    {
        "name": "inf2-tp8",
        "accelerator": "inferentia2",
        "instanceType": "inf2.48xlarge",
        "framework": "vllm-neuron",
        "tensorParallel": 8,
        "devices": 4,
        "maxNumSeqs": 8,
        "maxModelLen": 16896,
    },
)

PlanOf = Callable[..., Plan]
RenderOf = Callable[..., dict[str, Manifest]]


OPEN: dict[str, Any] = {"edge": {"host": "sd21.example.com", "authentication": {"none": True}}}
"""A cluster with TLS by the host's certificate that lets everyone in."""


def _fleet(
    units: tuple[dict[str, Any], ...], data_plane: DataPlane, slo: dict[str, Any], name: str, cluster: dict[str, Any]
) -> InferenceFleet:
    return InferenceFleet.model_validate(
        {
            "apiVersion": "holdfast.dev/v1alpha1",
            "kind": "InferenceFleet",
            "metadata": {"name": name, "namespace": "inference"},
            "spec": {
                "model": {"id": "stabilityai/stable-diffusion-2-1-base", "task": "text-to-image"},
                "workload": {"api": "images"},
                "slo": slo,
                "demand": {"rate": "12/s", "peak": "20/s"},
                "units": list(units),
                "dataPlane": data_plane.value,
                "cluster": cluster,
            },
        }
    )


EXAMPLES = Path(__file__).parents[2] / "examples" / "deploy"


def _example(name: str) -> Plan:
    """A plan, made up, for one of the fleets in examples/deploy: equal weights, two replicas to a unit."""
    file = EXAMPLES / f"{name}.yaml"
    fleet = document.read_fleet(file.read_text(encoding="utf-8"), where=file.name)
    return _planned(fleet, _shared_out(len(fleet.spec.units)), 2)


def _shared_out(count: int) -> tuple[int, ...]:
    return (100 - (count - 1) * (100 // count), *(100 // count for _ in range(count - 1)))


def _pool(unit: DeploymentUnit, weight: int, replicas: int) -> PoolPlan:
    return PoolPlan(
        unit=unit.name,
        replicas=replicas,
        weight=weight,
        limit_per_s=1.75,
        price_usd_per_h=0.7582,
        usd_per_million_requests=120.3,
        tokens_per_usd=None,
        expected_per_s=8.0,
        utilization=0.8,
        autoscaling=autoscaling(unit, 1.75, CapacityPolicy(), latency_s=3.0),
        reason=f"{unit.name}: {weight} % of the traffic on {replicas} replicas",
        limit_source="measurements.csv, row 2",
        price_source="catalogue, 2026-07-20",
    )


def _plan(
    units: tuple[dict[str, Any], ...] = SD21_UNITS,
    *,
    weights: tuple[int, ...] | None = None,
    data_plane: DataPlane = DataPlane.ALB,
    status: PlanStatus = PlanStatus.FEASIBLE,
    slo: dict[str, Any] | None = None,
    name: str = "sd21",
    cluster: dict[str, Any] = OPEN,
) -> Plan:
    """A plan with a pool per unit; weights 60 and 40 for two units, else 100 shared out with the rest on the first."""
    fleet = _fleet(units, data_plane, slo or {"latency": {"p95": "0.9s"}}, name, cluster)
    count = len(fleet.spec.units)
    shares = weights or ((60, 40) if count == 2 else (100 - (count - 1), *(1 for _ in range(count - 1))))
    return _planned(fleet, shares, 6, status)


def _planned(
    fleet: InferenceFleet, weights: tuple[int, ...], replicas: int, status: PlanStatus = PlanStatus.FEASIBLE
) -> Plan:
    pools = tuple(_pool(unit, weight, replicas) for unit, weight in zip(fleet.spec.units, weights, strict=True))
    return Plan(
        version=1,
        fleet=fleet,
        status=status,
        cost_usd_per_h=10.5852,
        gap=0.0,
        demand_per_s=20.0,
        pools=pools,
        tables={},
        findings=(),
        reasons=("cheapest mix that holds 20/s and the loss of one pool",),
    )


def _files(plan: Plan) -> dict[str, File]:
    """All files that the plan renders, by path."""
    hardware = {
        unit.name: (catalog.instance_type(unit.instance_type), catalog.accelerator(unit.accelerator))
        for unit in plan.fleet.spec.units
    }
    return {file.path: file for file in render(plan, hardware)}


def _render(plan: Plan) -> dict[str, Manifest]:
    """The objects of the base that the plan renders, by their paths within it."""
    files = _files(plan)
    return {
        path.removeprefix("base/"): file
        for path, file in files.items()
        if isinstance(file, Manifest) and path.startswith("base/")
    }


@pytest.fixture(scope="session")
def plan_of() -> PlanOf:
    return _plan


@pytest.fixture(scope="session")
def example() -> Callable[[str], Plan]:
    return _example


@pytest.fixture(scope="session")
def files_of() -> Callable[[Plan], dict[str, File]]:
    return _files


@pytest.fixture(scope="session")
def render_of() -> RenderOf:
    return _render


@pytest.fixture(scope="session")
def sd21(plan_of: PlanOf) -> Plan:
    """Two pools of an image model behind an ALB."""
    return plan_of()


@pytest.fixture(scope="session")
def llama(plan_of: PlanOf) -> Plan:
    """Two pools of vLLM, on GPUs and on Neuron, both with tensor parallelism."""
    return plan_of(LLAMA_UNITS, name="llama")


@pytest.fixture(scope="session")
def gateway(plan_of: PlanOf) -> Plan:
    """The image model behind Gateway API, with its second pool on reserved capacity."""
    reserved = (SD21_UNITS[0], SD21_UNITS[1] | {"capacityType": "reserved"})
    return plan_of(reserved, data_plane=DataPlane.GATEWAY_API)
