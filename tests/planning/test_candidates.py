"""Which instances hold a model, and with how many of their devices."""

from __future__ import annotations

import pytest

from holdfast import catalog
from holdfast.catalog import models
from holdfast.model.fleet import CapacityType
from holdfast.model.hardware import Offering
from holdfast.planning import candidates
from holdfast.planning.candidates import Candidate, Holder, Load, Market

OFFERED = ("inf2.48xlarge", "trn1.32xlarge", "trn2.48xlarge")
MARKET = Market(
    tuple(Offering(kind, "here", CapacityType.ON_DEMAND, 10.0, "a test", "2026-11-01", False) for kind in OFFERED),
    {kind.name: kind for kind in catalog.instance_types()},
    {device.name: device for device in catalog.accelerators()},
)


def shape(found: Candidate) -> tuple[int, int, int, Holder]:
    return (found.fit.tensor_parallel, found.devices, found.replicas, found.holder)


@pytest.mark.parametrize(
    "model, accelerator, expected",
    [
        # 61 GiB of weights: 15.3 of 24 GiB on each of four ranks, 7.6 of 16 GiB on each of eight.
        ("Qwen/Qwen3-32B", "trainium2", (4, 1, 16, Holder.DEVICE)),
        ("Qwen/Qwen3-32B", "inferentia2", (8, 4, 3, Holder.NODE)),
        ("meta-llama/Llama-3.3-70B-Instruct", "trainium2", (8, 2, 8, Holder.NODE)),
        ("meta-llama/Llama-3.3-70B-Instruct", "trainium", (16, 8, 2, Holder.NODE)),
    ],
)
def test_ranks_of_neuron_are_counted_in_devices(
    model: str, accelerator: str, expected: tuple[int, int, int, Holder]
) -> None:
    (found,) = candidates.in_a_node(models.architecture(model), MARKET, {accelerator}, Load(4096, 8))

    assert shape(found) == expected


def test_over_nodes_tensor_parallelism_takes_the_logical_cores_of_a_node() -> None:
    (found,) = candidates.over_nodes(
        models.architecture("deepseek-ai/DeepSeek-V3"), MARKET, {"trainium2"}, Load(4096, 8)
    )

    assert (found.fit.tensor_parallel, found.devices) == (64, 16)
