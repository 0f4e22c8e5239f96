"""What fits: properties that hold for every model and device, and facts that others have published."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import catalog
from holdfast.catalog import configs, models
from holdfast.model.architecture import FixedWork, ModelArchitecture
from holdfast.model.errors import InputError
from holdfast.model.hardware import Accelerator
from holdfast.performance import engines, memory

GIB = 2**30
TEXT_MODELS = tuple(found for entry in models.entries() if isinstance(found := entry.architecture(), ModelArchitecture))
DEVICES = catalog.accelerators()
any_model = st.sampled_from(TEXT_MODELS)
any_device = st.sampled_from(DEVICES)
powers = st.sampled_from([1, 2, 4, 8, 16])
lengths = st.integers(1, 2048)


def text_model(name: str) -> ModelArchitecture:
    found = models.architecture(name)
    assert isinstance(found, ModelArchitecture)
    return found


def fits(model: str, device: str, tensor: int, *, tokens: int, pipeline: int = 1) -> memory.Fit:
    return memory.fit(
        text_model(model),
        catalog.accelerator(device),
        tensor_parallel=tensor,
        pipeline_parallel=pipeline,
        sequence_tokens=tokens,
    )


def held(fit: memory.Fit) -> tuple[float, float, float]:
    return fit.weights_gib, fit.kv_gib_per_sequence, fit.activations_gib


@given(any_model, any_device, powers, lengths)
def test_more_tensor_parallelism_never_needs_more_memory_per_rank(
    model: ModelArchitecture, device: Accelerator, tensor: int, tokens: int
) -> None:
    wider = 2 * tensor
    if model.heads % wider or (not model.latent_kv and model.kv_heads % wider and wider % model.kv_heads):
        return
    one = memory.fit(model, device, tensor_parallel=tensor, sequence_tokens=tokens)
    two = memory.fit(model, device, tensor_parallel=wider, sequence_tokens=tokens)
    assert all(after <= before for before, after in zip(held(one), held(two), strict=True))
    # The engine's own part grows once, where ranks begin to talk to each other.
    assert two.overhead_gib == one.overhead_gib or tensor == 1


@given(any_model, any_device, st.sampled_from([1, 2, 4, 8]), lengths)
def test_more_stages_never_need_more_weights_or_cache_per_rank(
    model: ModelArchitecture, device: Accelerator, pipeline: int, tokens: int
) -> None:
    one = memory.fit(model, device, tensor_parallel=1, pipeline_parallel=pipeline, sequence_tokens=tokens)
    two = memory.fit(model, device, tensor_parallel=1, pipeline_parallel=2 * pipeline, sequence_tokens=tokens)
    assert two.weights_gib <= one.weights_gib
    assert two.kv_gib_per_sequence <= one.kv_gib_per_sequence


@given(any_model, any_device, lengths, lengths)
def test_longer_sequences_never_allow_more_of_them(
    model: ModelArchitecture, device: Accelerator, some: int, others: int
) -> None:
    short, long = sorted((some, others))
    assert (
        memory.fit(model, device, tensor_parallel=1, sequence_tokens=short).sequences
        >= memory.fit(model, device, tensor_parallel=1, sequence_tokens=long).sequences
    )


@given(any_model, any_device, lengths, st.integers(1, 64), st.sampled_from([1, 2, 4, 8, 16]))
def test_the_smallest_fit_holds_and_nothing_smaller_does(
    model: ModelArchitecture, device: Accelerator, tokens: int, sequences: int, devices: int
) -> None:
    found = memory.smallest(model, device, sequence_tokens=tokens, sequences=sequences, most_devices=devices)
    ranks = devices * device.ranks_per_device
    least = found.ranks if found else 2 * ranks + 1
    assert found is None or (found.sequences >= sequences and found.ranks <= ranks)
    for tensor in (1, 2, 4, 8, 16, 32, 64, 128):
        for pipeline in (1, 2, 4, 8, 16, 32, 64):
            if tensor * pipeline >= least or tensor * pipeline > ranks or pipeline > model.layers:
                continue
            try:
                smaller = memory.fit(
                    model, device, tensor_parallel=tensor, pipeline_parallel=pipeline, sequence_tokens=tokens
                )
            except InputError:
                continue
            assert smaller.sequences < sequences


@given(any_model, any_device, lengths)
def test_all_that_is_counted_stays_within_the_engines_share(
    model: ModelArchitecture, device: Accelerator, tokens: int
) -> None:
    fit = memory.fit(model, device, tensor_parallel=1, sequence_tokens=tokens)
    used = sum(held(fit)) - fit.kv_gib_per_sequence + fit.overhead_gib + fit.sequences * fit.kv_gib_per_sequence
    assert not fit.fits or used <= engines.engine(device).share * fit.memory_gib * (1 + 1e-9)


def test_all_ranks_together_hold_the_whole_model() -> None:
    for model in TEXT_MODELS:
        each = memory.fit(model, catalog.accelerator("h200"), tensor_parallel=4, sequence_tokens=1).weights_gib
        repeated = 3 * model.replicated_bytes
        assert 4 * each * GIB == pytest.approx(model.weight_bytes + repeated)


def test_llama_8b_fits_one_a10g_with_little_room() -> None:
    # 16.1e9 bytes of 22.35 GiB x 0.92: some 4 GiB of cache at 128 KiB per token, two sequences of 16,000 tokens.
    fit = fits("meta-llama/Llama-3.1-8B", "a10g", 1, tokens=16_000)
    assert fit.weights_gib == pytest.approx(14.96, abs=0.01)
    assert 1 <= fit.sequences <= 3


def test_gpt_oss_20b_fits_one_a10g() -> None:
    assert fits("openai/gpt-oss-20b", "a10g", 1, tokens=4096).sequences >= 32


def test_llama_70b_needs_two_h100_to_start_and_four_for_a_real_batch() -> None:
    # 141e9 bytes are 131.4 GiB: more than one device; 65.7 of each of two, which leaves under 6 GiB, some 16 sequences
    # of 2,048 tokens at 160 KiB per token and rank; 32.9 of each of four.
    assert not fits("meta-llama/Llama-3.3-70B-Instruct", "h100", 1, tokens=2048).fits
    assert 8 <= fits("meta-llama/Llama-3.3-70B-Instruct", "h100", 2, tokens=2048).sequences <= 20
    found = memory.smallest(
        text_model("meta-llama/Llama-3.3-70B-Instruct"),
        catalog.accelerator("h100"),
        sequence_tokens=4096,
        sequences=32,
        most_devices=8,
    )
    assert found is not None
    assert (found.tensor_parallel, found.pipeline_parallel) == (4, 1)


def test_qwen_32b_starts_on_one_h100_in_bf16_and_holds_a_batch_only_in_fp8() -> None:
    # 65.5e9 bytes are 61.0 GiB of 73.6; what is left holds a few sequences of 4,096 tokens, 1 GiB each.
    assert fits("Qwen/Qwen3-32B", "h100", 1, tokens=4096).sequences < 16
    assert fits("Qwen/Qwen3-32B-FP8", "h100", 1, tokens=4096).sequences >= 32


def test_deepseek_v3_needs_eight_h200_and_does_not_fit_eight_h100() -> None:
    # 673e9 bytes / 8 = 78.4 GiB, and what tensor parallelism does not divide: more than the 73.6 GiB of an H100.
    assert not fits("deepseek-ai/DeepSeek-V3", "h100", 8, tokens=4096).fits
    assert not fits("deepseek-ai/DeepSeek-V3", "h200", 4, tokens=4096).fits
    assert fits("deepseek-ai/DeepSeek-V3", "h200", 8, tokens=4096).fits


def test_a_stage_of_a_mixture_may_have_experts_in_all_its_layers() -> None:
    # 61 layers in two stages of DeepSeek-V3: one has 31, and experts in all of them, of which there are 58.
    model = text_model("deepseek-ai/DeepSeek-V3")
    fit = fits("deepseek-ai/DeepSeek-V3", "h200", 8, pipeline=2, tokens=4096)
    assert fit.weights_gib * GIB >= model.expert_parameters * 31 / 58 / 8


def test_kv_heads_are_repeated_where_there_are_fewer_than_ranks() -> None:
    eight = fits("meta-llama/Llama-3.1-8B", "h100", 8, tokens=1000).kv_gib_per_sequence
    assert fits("meta-llama/Llama-3.1-8B", "h100", 16, tokens=1000).kv_gib_per_sequence == eight
    assert fits("meta-llama/Llama-3.1-8B", "h100", 4, tokens=1000).kv_gib_per_sequence == 2 * eight


def test_a_latent_is_whole_on_every_rank() -> None:
    one = fits("deepseek-ai/DeepSeek-V3", "h200", 1, tokens=1000).kv_gib_per_sequence
    assert fits("deepseek-ai/DeepSeek-V3", "h200", 8, tokens=1000).kv_gib_per_sequence == one


def test_a_rank_on_neuron_is_a_core() -> None:
    fit = fits("meta-llama/Llama-3.1-8B", "inferentia2", 2, tokens=1000)
    assert fit.memory_gib == 16
    assert not fits("meta-llama/Llama-3.1-8B", "inferentia2", 1, tokens=1000).fits
    found = memory.smallest(
        text_model("meta-llama/Llama-3.1-8B"),
        catalog.accelerator("inferentia2"),
        sequence_tokens=1000,
        sequences=1,
        most_devices=1,
    )
    assert found is not None
    assert found.tensor_parallel == 2


def test_a_sequence_longer_than_the_model_takes_does_not_fit_and_says_so() -> None:
    fit = fits("meta-llama/Llama-2-70b-hf", "h100", 8, tokens=4097)
    assert not fit.fits
    assert "4,096" in fit.why


def test_the_images_in_a_batch_are_limited_by_what_each_holds() -> None:
    diffusion = models.architecture("stabilityai/stable-diffusion-2-1-base")
    assert isinstance(diffusion, FixedWork)
    device = catalog.accelerator("inferentia2")
    fit = memory.fit(diffusion, device, tensor_parallel=1, sequence_tokens=1)
    larger = dataclasses.replace(diffusion, activation_bytes=4 * diffusion.activation_bytes)
    assert fit.fits
    assert memory.fit(larger, device, tensor_parallel=1, sequence_tokens=1).sequences <= fit.sequences // 4
    assert memory.smallest(diffusion, device, sequence_tokens=1, sequences=1, most_devices=1) == fit


@pytest.mark.parametrize(
    ("model", "tensor", "pipeline", "named"),
    [
        ("meta-llama/Llama-3.1-8B", 3, 1, "32 attention heads"),
        ("meta-llama/Llama-3.1-8B", 0, 1, "cannot be"),
        ("meta-llama/Llama-3.1-8B", -2, 1, "cannot be"),
        ("meta-llama/Llama-3.1-8B", 1, 0, "cannot be"),
        ("meta-llama/Llama-3.1-8B", 1, 33, "32 layers"),
        # 28 heads divide by 7, but 4 KV heads neither divide by 7 nor are they repeated evenly.
        ("Qwen/Qwen2-7B", 7, 1, "4 KV heads"),
        ("stabilityai/stable-diffusion-2-1-base", 2, 1, "whole on one device"),
    ],
)
def test_a_parallelism_that_cannot_be_is_refused(model: str, tensor: int, pipeline: int, named: str) -> None:
    with pytest.raises(InputError, match=named):
        memory.fit(
            models.architecture(model),
            catalog.accelerator("h100"),
            tensor_parallel=tensor,
            pipeline_parallel=pipeline,
            sequence_tokens=100,
        )


@pytest.mark.parametrize(("tokens", "sequences", "devices"), [(0, 1, 1), (-5, 1, 1), (100, 0, 1), (100, 1, 0)])
def test_questions_about_nothing_are_refused(tokens: int, sequences: int, devices: int) -> None:
    with pytest.raises(InputError):
        memory.smallest(
            text_model("Qwen/Qwen3-0.6B"),
            catalog.accelerator("l4"),
            sequence_tokens=tokens,
            sequences=sequences,
            most_devices=devices,
        )


def qwen25(hidden: int, layers: int, intermediate: int) -> ModelArchitecture:
    values = {
        "model_type": "qwen2",
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": 40,
        "num_key_value_heads": 8,
        "intermediate_size": intermediate,
        "vocab_size": 152064,
        "max_position_embeddings": 32768,
        "torch_dtype": "bfloat16",
    }
    return configs.read(values, name="Qwen2.5", where="a test", source="its config.json")


@pytest.mark.parametrize(
    ("model", "tensor", "weights_gib"),
    [
        # "Loading model weights took" in vLLM's start-up logs, with the issue or pull request that shows them. The
        # allocator rounds tensors up, hence 1.5 %.
        (text_model("meta-llama/Meta-Llama-3-8B"), 1, 14.96),  # 10511, 12330
        (text_model("meta-llama/Meta-Llama-3-8B"), 2, 7.48),  # 10511
        (qwen25(5120, 64, 27648), 2, 30.71),  # 15815: Qwen2.5-32B
        (qwen25(5120, 48, 13824), 2, 13.95),  # 13061: DeepSeek-R1-Distill-Qwen-14B
    ],
)
def test_weights_per_rank_are_those_that_vllm_logs(model: ModelArchitecture, tensor: int, weights_gib: float) -> None:
    fit = memory.fit(model, catalog.accelerator("h100"), tensor_parallel=tensor, sequence_tokens=1)
    assert fit.weights_gib == pytest.approx(weights_gib, rel=0.015)


def test_cache_per_token_is_that_of_a_vllm_log() -> None:
    # Issue 21348: Qwen3-235B-A22B-FP8 on four H100, 8.11 GiB hold 178,880 tokens.
    per_token = fits("Qwen/Qwen3-235B-A22B-FP8", "h100", 4, tokens=1000).kv_gib_per_sequence / 1000
    assert per_token * 178_880 == pytest.approx(8.11, rel=0.015)


@pytest.mark.parametrize(
    ("model", "tokens"), [("meta-llama/Llama-3.1-8B", 542_960), ("Qwen/Qwen3-8B", 478_560), ("Qwen/Qwen3-32B", 81_648)]
)
def test_a_device_holds_as_many_tokens_as_vllm_said(model: str, tokens: int) -> None:
    # Capacities of an H100 NVL (93.1 GiB) at 1,024 sequences and 4,096 tokens at a time, as a public set-up lists them
    # for 2025. It does not say the share of the memory: 0.9, the default of that time, with graphs outside of it.
    nvl = dataclasses.replace(catalog.accelerator("h100"), memory_gib=93.1)
    then = dataclasses.replace(engines.VLLM_LARGE, share=0.9, batched_tokens=4096, own_gib=0.1)
    fit = memory.fit(text_model(model), nvl, tensor_parallel=1, sequence_tokens=1, engine=then)
    assert fit.sequences == pytest.approx(tokens, rel=0.02)
