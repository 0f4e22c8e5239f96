"""Devices of replicas whose ranks are cores."""

import pytest

from holdfast import catalog
from holdfast.model.document import read_declared
from holdfast.model.fleet import DeploymentUnit
from holdfast.planning import cores

TEXT = """
apiVersion: holdfast.dev/v1alpha1
kind: InferenceFleet
metadata: {name: cores}
spec:
  model: {id: Qwen/Qwen3-32B}
  workload: {api: completions, inputTokens: {mean: 200}, outputTokens: {mean: 100}}
  slo: {latency: {p95: 9s}}
  demand: {rate: 1/s}
  units:
    - {name: unit, accelerator: %s, instanceType: %s, framework: vllm-neuron, %s}
"""


def settled(accelerator: str, instance_type: str, shape: str) -> tuple[DeploymentUnit, list[str]]:
    declared = read_declared(TEXT % (accelerator, instance_type, shape), where="fleet.yaml")
    equipment = catalog.equipment_of(declared.fleet)
    fleet, found = cores.with_devices(declared.fleet, equipment, declared.auto)
    return fleet.unit("unit"), [finding.message for finding in found]


@pytest.mark.parametrize(
    "accelerator, instance_type, shape, devices",
    [
        ("inferentia2", "inf2.48xlarge", "tensorParallel: 8", 4),  # two cores each
        ("inferentia2", "inf2.48xlarge", "tensorParallel: 3", 2),
        ("inferentia2", "inf2.48xlarge", "tensorParallel: 4, disaggregated: {prefill: 1, decode: 2}", 6),
        ("trainium2", "trn2.48xlarge", "tensorParallel: 8", 2),  # four logical cores each
        ("inferentia2", "inf2.48xlarge", "tensorParallel: 8, devices: 6", 6),  # stated: it stands
        ("inferentia2", "inf2.48xlarge", "tensorParallel: 1", 1),
        ("inferentia2", "inf2.48xlarge", "tensorParallel: auto", 1),  # the TP rule settles both
        ("a10g", "g5.12xlarge", "tensorParallel: 4", 4),
    ],
)
def test_ranks_that_are_cores_share_devices(accelerator: str, instance_type: str, shape: str, devices: int) -> None:
    unit, _ = settled(accelerator, instance_type, shape)

    assert unit.devices_per_replica == devices


def test_devices_that_nobody_stated_are_told() -> None:
    _, (message,) = settled("inferentia2", "inf2.48xlarge", "tensorParallel: 8")

    assert message == "Unit 'unit' states no devices; its 8 ranks take 4 devices of inferentia2, 2 ranks each."


def test_a_gpu_is_a_rank() -> None:
    assert settled("a10g", "g5.12xlarge", "tensorParallel: 4")[1] == []
