"""A fleet of two units that is small enough to plan by hand."""

import pytest

from holdfast.model.document import read_fleet
from holdfast.model.fleet import CapacityType, InferenceFleet
from holdfast.model.hardware import InstanceType, Offering

FLEET = """
apiVersion: holdfast.dev/v1alpha1
kind: InferenceFleet
metadata: {name: pair}
spec:
  model: {id: some/model}
  workload: {api: completions, inputTokens: {mean: 200}, outputTokens: {mean: 100}}
  slo: {latency: {p95: 2s}, errorRate: 1%}
  demand: {rate: 10/s}
  units:
    - {name: single, accelerator: a10g, instanceType: g5.xlarge, framework: vllm, maxReplicas: 10}
    - {name: quad, accelerator: a10g, instanceType: g5.48xlarge, framework: vllm, tensorParallel: 4, maxReplicas: 10}
  capacity: {utilizationTarget: 80%, survive: none}
"""


def instance(name: str, devices: int) -> InstanceType:
    return InstanceType(name, "g5", "a10g", devices, 4, 16.0, None, None, None, "nvidia.com/gpu", devices)


@pytest.fixture
def fleet() -> InferenceFleet:
    return read_fleet(FLEET, where="fleet.yaml")


@pytest.fixture
def hardware() -> dict[str, InstanceType]:
    return {"single": instance("g5.xlarge", 1), "quad": instance("g5.48xlarge", 8)}


@pytest.fixture
def offerings() -> dict[str, Offering]:
    on_demand = CapacityType.ON_DEMAND
    return {
        "single": Offering("g5.xlarge", "us-west-2", on_demand, 1.0, "price page", "2026-07-20", False),
        "quad": Offering("g5.48xlarge", "us-west-2", on_demand, 16.0, "family ratio", "2026-07-20", True),
    }
