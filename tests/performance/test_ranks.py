"""What one tensor-parallel rank owns: its equal share of a device, on Neuron a logical core's."""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path

import pytest

from holdfast import catalog
from holdfast.catalog import models
from holdfast.model.architecture import ModelArchitecture
from holdfast.model.hardware import Accelerator
from holdfast.performance import memory, roofline
from holdfast.performance.coefficients import PEAKS
from holdfast.performance.roofline import Placement

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "accelerators.csv"
PEAKED = [device for device in catalog.accelerators() if device.memory_gb_per_s and device.bf16_dense_tflops]


def decoder(name: str) -> ModelArchitecture:
    found = models.architecture(name)
    assert isinstance(found, ModelArchitecture)
    return found


QWEN_32B = decoder("Qwen/Qwen3-32B")


@pytest.mark.parametrize(
    "name, ranks, gib, runs_on",
    [
        ("a10g", 1, 22.35, "device"),
        ("inferentia", 4, 2, "core"),
        ("inferentia2", 2, 16, "core"),
        ("trainium", 2, 16, "core"),
        ("trainium2", 4, 24, "logical core"),  # "64 ranks per instance and approximately 24 GiB of HBM per rank"
        ("trainium3", 4, 36, "logical core"),
    ],
)
def test_a_device_carries_ranks_of_an_equal_share_of_its_memory(
    name: str, ranks: int, gib: float, runs_on: str
) -> None:
    device = catalog.accelerator(name)

    fit = memory.fit(QWEN_32B, device, tensor_parallel=1, sequence_tokens=1)

    assert (device.ranks_per_device, fit.memory_gib, device.rank_name) == (ranks, gib, runs_on)


@pytest.mark.parametrize("device", catalog.accelerators(), ids=lambda device: device.name)
def test_ranks_take_all_cores_of_a_device(device: Accelerator) -> None:
    assert device.ranks_per_device * device.cores_per_rank == device.cores_per_device


@pytest.mark.parametrize("device", PEAKED, ids=lambda device: device.name)
def test_the_ranks_of_a_device_make_up_its_peaks(device: Accelerator) -> None:
    one = roofline.rank(device, PEAKS)

    assert device.bf16_dense_tflops and device.memory_gb_per_s
    assert one.flops * device.ranks_per_device == pytest.approx(device.bf16_dense_tflops * 1e12)
    assert one.weight_bytes * device.ranks_per_device == pytest.approx(device.memory_gb_per_s * 1e9)


def test_four_ranks_read_the_weights_at_the_bandwidth_of_one_trainium2() -> None:
    step = Placement(QWEN_32B, catalog.accelerator("trainium2"), 4, 1, PEAKS).decode(1, 1)

    assert step.weights_s == pytest.approx(roofline.read_bytes(QWEN_32B, 1) / 2900e9)


def test_a_trn2_instance_has_tensor_parallelism_up_to_64() -> None:
    # Neuron's tutorial of Llama 3.1 405B: "128 Neuron cores. With LNC=2, you can set a TP degree up to 64."
    instance = catalog.instance_type("trn2.48xlarge")

    assert instance.devices * catalog.accelerator("trainium2").ranks_per_device == 64


def test_the_least_that_holds_32b_parameters_is_one_trainium2_with_all_its_ranks() -> None:
    found = memory.smallest(
        QWEN_32B, catalog.accelerator("trainium2"), sequence_tokens=4096, sequences=8, most_devices=16
    )

    assert found is not None
    assert (found.tensor_parallel, found.pipeline_parallel) == (4, 1)
    assert found.weights_gib == pytest.approx(61.0 / 4, abs=0.02)


def test_the_gathered_figures_of_cores_agree(capsys: pytest.CaptureFixture[str]) -> None:
    if not SHARED.exists():
        pytest.skip("the gathered data are not beside this repository")
    with SHARED.open(encoding="utf-8", newline="") as file:
        gathered = {row["instances"].split("/")[0]: row["neuroncores_per_device"] for row in csv.DictReader(file)}
    checked = 0
    for device in catalog.accelerators():
        stated = re.findall(r"\d+", gathered.get(device.families[0], ""))
        if device.vendor != "aws" or not stated:
            continue
        assert int(stated[0]) == device.cores_per_device
        if len(stated) == 3:  # 8 physical (LNC=2 default => 4 logical)
            assert (int(stated[1]), int(stated[2])) == (device.cores_per_rank, device.ranks_per_device)
        checked += 1
    with capsys.disabled():
        sys.stdout.write(f"\n{checked} accelerators checked against what was gathered\n")
    assert checked >= 4
