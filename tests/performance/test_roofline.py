"""The time of a pass obeys the physics that it is made of, whatever the model and the device."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import catalog
from holdfast.catalog import models
from holdfast.model.architecture import Dtype, ModelArchitecture
from holdfast.model.errors import InputError
from holdfast.model.hardware import Accelerator
from holdfast.performance import coefficients, roofline
from holdfast.performance.coefficients import PEAKS
from holdfast.performance.roofline import HOP_S, Network, Placement, Terms


def decoder(name: str) -> ModelArchitecture:
    found = models.architecture(name)
    assert isinstance(found, ModelArchitecture)
    return found


LLAMA = decoder("meta-llama/Llama-3.1-8B")
MODELS = st.sampled_from(
    [
        LLAMA,
        decoder("openai/gpt-oss-20b"),
        decoder("mistralai/Mixtral-8x7B-v0.1"),
        decoder("deepseek-ai/DeepSeek-V3"),
        decoder("mistralai/Mistral-7B-v0.1"),
        replace(LLAMA, weight_dtype=Dtype.FP8),
    ]
)
DEVICES = st.sampled_from([d for d in catalog.accelerators() if d.memory_gb_per_s and d.bf16_dense_tflops])
BATCHES = st.floats(min_value=1, max_value=1024)
CONTEXTS = st.floats(min_value=1, max_value=131072)
RANKS = st.sampled_from([1, 2, 4, 8, 16])
STAGES = st.sampled_from([1, 2, 4])
A100 = catalog.accelerator("a100-40gb")


def test_a_decode_step_at_the_peaks_is_the_reading_of_weights_and_cache() -> None:
    step = Placement(LLAMA, A100, 1, 1, PEAKS).decode(8, 1000)

    # 8.03e9 weights less 128,256 x 4,096 of the embeddings' table, 2 bytes each, at 1,555 GB/s.
    assert step.weights_s == pytest.approx((8.03e9 - 128256 * 4096) * 2 / 1555e9, rel=1e-3)
    # 32 layers x 8 heads x 128 numbers x keys and values x 2 bytes, of 1,000 tokens of 8 sequences.
    assert step.cache_s == pytest.approx(8 * 1000 * 32 * 8 * 128 * 2 * 2 / 1555e9)
    # 2 FLOP per weight, and 4 per head, number, layer and token looked back at, at 312 TFLOP/s.
    flops = 8 * (2 * (8.03e9 - 128256 * 4096) + 4 * 32 * 128 * 32 * 1000)
    assert step.compute_s == pytest.approx(flops / 312e12, rel=1e-3)
    assert step.link_s == step.overhead_s == 0


def test_tensor_parallelism_moves_its_part_of_two_all_reduces_per_layer() -> None:
    step = Placement(LLAMA, A100, 4, 1, replace(PEAKS, all_reduce_s=1e-5)).decode(8, 1000)

    moved = 2 * 3 / 4 * 8 * 4096 * 2  # bytes of one all-reduce: 2 (TP - 1) / TP of 8 tokens of 4,096 numbers
    assert step.link_s == pytest.approx(64 * (moved / 300e9 + 1e-5))


def test_a_prefill_multiplies_every_token_and_looks_back_at_half_of_the_prompt() -> None:
    assert roofline.prefill_flops(LLAMA, 2000) == pytest.approx(
        2000 * 2 * LLAMA.active_parameters + 4 * 32 * 128 * 32 * 2000**2 / 2
    )


def test_a_sliding_window_looks_back_at_no_more_than_itself() -> None:
    windowed = replace(LLAMA, window_tokens=100, window_layers=32)

    beyond = 4 * 32 * 128 * 32 * (100 * 2000 - 100**2 / 2)
    assert roofline.prefill_flops(windowed, 2000) == pytest.approx(2000 * 2 * LLAMA.active_parameters + beyond)


def test_a_batch_touches_more_experts_the_larger_it_is_and_never_more_than_all() -> None:
    mixtral = decoder("mistralai/Mixtral-8x7B-v0.1")
    read = [roofline.read_bytes(mixtral, tokens) for tokens in (1, 2, 16, 1000)]

    assert read == sorted(read)
    assert read[0] == pytest.approx(2 * mixtral.active_parameters, rel=1e-6)
    everything = mixtral.weight_bytes - 2 * mixtral.vocabulary_size * mixtral.hidden_size
    assert read[-1] == pytest.approx(everything, rel=1e-3)


def test_what_overlaps_is_not_counted_twice() -> None:
    terms = Terms(compute_s=2.0, weights_s=3.0, cache_s=1.0, link_s=0.5, overhead_s=0.25)

    assert terms.total_s == 4.75
    assert terms.plus(terms).total_s == 9.5
    assert terms.binds == "memory"
    assert replace(terms, compute_s=9.0).binds == "compute"


@given(MODELS, DEVICES, BATCHES, CONTEXTS, STAGES, st.data())
def test_more_tensor_parallelism_never_adds_compute_or_reading(
    model: ModelArchitecture, device: Accelerator, batch: float, context: float, stages: int, data: st.DataObject
) -> None:
    fewer, more = sorted(data.draw(st.tuples(RANKS, RANKS)))
    given_here = coefficients.of(device)
    few, many = (Placement(model, device, ranks, stages, given_here) for ranks in (fewer, more))

    for before, after in (
        (few.decode(batch, context), many.decode(batch, context)),
        (few.prefill(context), many.prefill(context)),
    ):
        assert after.compute_s <= before.compute_s
        assert after.weights_s <= before.weights_s
        assert after.cache_s <= before.cache_s


@given(MODELS, DEVICES, RANKS, STAGES, st.tuples(BATCHES, BATCHES), st.tuples(CONTEXTS, CONTEXTS))
def test_a_larger_batch_or_a_longer_context_never_takes_less_time(
    model: ModelArchitecture, device: Accelerator, ranks: int, stages: int, batches: tuple[float, float],
    contexts: tuple[float, float],
) -> None:  # fmt: skip
    placed = Placement(model, device, ranks, stages, coefficients.of(device))
    small, large = sorted(batches)
    short, long = sorted(contexts)

    assert placed.decode(small, short).total_s <= placed.decode(large, long).total_s * (1 + 1e-12)
    assert placed.prefill(short).total_s <= placed.prefill(long).total_s * (1 + 1e-12)


@given(MODELS, DEVICES, RANKS, BATCHES, CONTEXTS)
def test_no_term_is_shorter_than_at_the_peaks(
    model: ModelArchitecture, device: Accelerator, ranks: int, batch: float, context: float
) -> None:
    real = Placement(model, device, ranks, 1, coefficients.of(device)).decode(batch, context)
    peak = Placement(model, device, ranks, 1, PEAKS).decode(batch, context)

    assert real.compute_s >= peak.compute_s and real.weights_s >= peak.weights_s and real.cache_s >= peak.cache_s


def test_a_device_without_stated_peaks_is_refused_in_a_sentence() -> None:
    with pytest.raises(
        InputError, match=r"no source states the memory bandwidth and the FLOP/s of rtx-pro-4500; .*\.$"
    ):
        coefficients.of(catalog.accelerator("rtx-pro-4500"))


DEEPSEEK, H100 = decoder("deepseek-ai/DeepSeek-V3"), catalog.accelerator("h100")


def test_stages_on_other_instances_are_handed_over_through_the_network() -> None:
    given = replace(PEAKS, all_reduce_s=1e-6)
    together = Placement(DEEPSEEK, H100, 4, 4, given).decode(64, 1000)
    apart = Placement(DEEPSEEK, H100, 4, 4, given, Network(8, 3200)).decode(64, 1000)

    # Four stages of four devices on two instances: one of three handovers crosses, with half of 400 GB/s.
    handed = 64 / 4 * 7168 * 2
    assert apart.link_s - together.link_s == pytest.approx(handed / 200e9 + HOP_S - handed / 450e9 - 1e-6)


def test_a_group_over_instances_joins_within_each_and_then_across() -> None:
    step = Placement(DEEPSEEK, H100, 16, 1, replace(PEAKS, all_reduce_s=1e-6), Network(8, 3200)).decode(64, 1000)

    passed = 64 * 7168 * 2
    within, across = 2 * 7 / 8 * passed / 450e9 + 1e-6, 2 * 1 / 2 * passed / 400e9 + 2 * HOP_S
    assert step.link_s == pytest.approx(2 * 61 * (within + across))


@given(
    MODELS, BATCHES, CONTEXTS, st.sampled_from([(1, 16), (8, 2), (8, 4), (16, 1), (16, 2), (32, 1)]), st.floats(1, 6400)
)
def test_a_network_takes_time_and_less_the_faster_it_is(
    model: ModelArchitecture, batch: float, context: float, shape: tuple[int, int], gbps: float
) -> None:
    given = coefficients.of(H100)
    slow, fast = (Placement(model, H100, *shape, given, Network(8, g)).decode(batch, context) for g in (gbps, gbps * 2))
    local = Placement(model, H100, *shape, given).decode(batch, context)

    assert slow.link_s > fast.link_s > 0
    assert (slow.compute_s, slow.weights_s, slow.cache_s) == (local.compute_s, local.weights_s, local.cache_s)
