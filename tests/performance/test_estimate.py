"""Estimates obey Little's law and the peaks, and say what they rest on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast import catalog
from holdfast.catalog import models
from holdfast.model.architecture import Dtype, FixedWork, ModelArchitecture
from holdfast.model.errors import InputError
from holdfast.model.hardware import Accelerator
from holdfast.performance import coefficients, roofline
from holdfast.performance.estimate import Estimate, estimate

LLAMA = models.architecture("meta-llama/Llama-3.1-8B")
MODELS = st.sampled_from(
    [LLAMA, *(models.architecture(name) for name in ("openai/gpt-oss-20b", "Qwen/Qwen3-0.6B", "Qwen/Qwen3-30B-A3B"))]
)
DEVICES = st.sampled_from([catalog.accelerator(name) for name in ("a10g", "l4", "h100", "a100-80gb", "inferentia2")])
IMAGE = FixedWork(
    name="image", parameters=1e9, flops=40e12, steps=50, activation_bytes=1e9, weight_dtype=Dtype.FP16, source="by hand"
)  # fmt: skip


def llama(device: str = "h100", tensor_parallel: int = 1, **asked: int) -> Estimate:
    lengths = {"input_tokens": 200, "output_tokens": 100} | asked
    return estimate(LLAMA, catalog.accelerator(device), tensor_parallel=tensor_parallel, **lengths)  # type: ignore[arg-type]


@given(
    MODELS, DEVICES, st.sampled_from([1, 2, 4]), st.sampled_from([1, 2, 4]),
    st.integers(min_value=1, max_value=20000), st.integers(min_value=1, max_value=4000),
)  # fmt: skip
@settings(max_examples=150)
def test_every_point_keeps_littles_law_and_stays_below_the_physical_limit(
    model: ModelArchitecture | FixedWork,
    device: Accelerator,
    ranks: int,
    stages: int,
    input_tokens: int,
    output_tokens: int,
) -> None:
    found = estimate(
        model, device, tensor_parallel=ranks, pipeline_parallel=stages,
        input_tokens=input_tokens, output_tokens=output_tokens,
    )  # fmt: skip

    assert bool(found.points) == found.fit.fits
    for point in found.points:
        assert point.concurrency == pytest.approx(point.rate_per_s * point.latency_s, rel=1e-12)
        assert point.output_tokens_per_s <= found.physical_limit_tokens_per_s
        assert point.latency_s == pytest.approx(point.ttft_s + (point.itl_s or 0.0) * (output_tokens - 1))
    for before, after in zip(found.points, found.points[1:], strict=False):
        assert before.concurrency < after.concurrency <= found.fit.sequences
        assert before.rate_per_s <= after.rate_per_s * (1 + 1e-12)
        assert before.latency_s <= after.latency_s


def test_one_request_alone_is_a_prefill_and_its_steps() -> None:
    found = llama(output_tokens=101)
    placed = roofline.Placement(LLAMA, found.accelerator, 1, 1, coefficients.of(found.accelerator))  # type: ignore[arg-type]

    alone = found.points[0]
    assert alone.ttft_s == pytest.approx(placed.prefill(200).total_s)
    assert alone.itl_s == pytest.approx(placed.decode(1, 250.5).total_s)


def test_the_points_end_at_the_batch_limit_and_at_what_memory_holds() -> None:
    assert [point.concurrency for point in llama(max_num_seqs=48).points] == [1, 2, 4, 8, 16, 32, 48]
    full = llama("a10g", input_tokens=8000)
    assert full.points[-1].concurrency == full.fit.sequences < 256


def test_what_binds_changes_from_memory_as_the_batch_grows() -> None:
    found = llama(input_tokens=4000)

    assert found.points[0].binds == "memory"
    assert found.points[-1].binds != "memory"


def test_a_model_that_does_not_fit_has_no_points_and_says_why() -> None:
    found = llama("t4", input_tokens=20000, output_tokens=20000)

    assert found.points == () and found.physical_limit_tokens_per_s == 0 and "GiB" in found.fit.why


def test_a_request_of_one_token_is_its_prefill() -> None:
    alone = llama(output_tokens=1).points[0]

    assert alone.itl_s is None and alone.latency_s == alone.ttft_s


def test_an_image_takes_its_arithmetic_or_its_reading_whichever_is_longer() -> None:
    device = catalog.accelerator("a10g")
    found = estimate(IMAGE, device, tensor_parallel=1, input_tokens=1, output_tokens=1)
    given_here = coefficients.of(device)

    arithmetic_s, reading_s = 40e12 / (70e12 * given_here.compute), 50 * 2e9 / (600e9 * given_here.memory)
    first, second = found.points[0], found.points[1]
    assert first.latency_s == pytest.approx(max(arithmetic_s, reading_s))
    assert second.rate_per_s == first.rate_per_s and second.latency_s == 2 * first.latency_s
    assert first.binds == "compute" and first.output_tokens_per_s == 0 and first.itl_s is None
    assert first.rate_per_s < found.physical_limit_per_s == pytest.approx(70 / 40)


@pytest.mark.parametrize(
    "asked", [{"input_tokens": 0}, {"output_tokens": 0}, {"max_num_seqs": 0}, {"max_num_seqs": -1}]
)
def test_nonsense_is_refused(asked: dict[str, int]) -> None:
    with pytest.raises(InputError):
        llama("h100", **asked)


def test_a_neuron_rank_is_a_core() -> None:
    two_cores = llama("inferentia2", tensor_parallel=2).points[0].terms.weights_s
    device = catalog.accelerator("inferentia2")
    share = coefficients.of(device).memory

    assert isinstance(LLAMA, ModelArchitecture)
    reading_s = roofline.read_bytes(LLAMA, 1) / (880.5e9 * share)
    assert two_cores == pytest.approx(100 * reading_s, rel=0.02)  # 99 steps, and the prefill, at the rate of one device


def test_over_instances_whose_network_nobody_states_there_is_no_estimate() -> None:
    p5 = catalog.instance_type("p5.48xlarge")
    asked = {"tensor_parallel": 8, "pipeline_parallel": 2, "input_tokens": 200, "output_tokens": 100}

    with pytest.raises(InputError, match=r"on 2 p5\.48xlarge, and no source states their network"):
        estimate(LLAMA, catalog.accelerator("h100"), instance=replace(p5, network_gbps=None), **asked)  # type: ignore[arg-type]
    assert estimate(LLAMA, catalog.accelerator("h100"), instance=p5, **asked).instances == 2  # type: ignore[arg-type]
