"""Slots of an unmodified model say what the model says."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from torch._dynamo.testing import CompileCounter

from holdfast.model.errors import InputError
from holdfast.serving.hosted.generation.decoder import Part, PartDecoder
from holdfast.serving.hosted.generation.torch_decoder import TorchDecoder
from serving.hosted import generation_models as models

CPU = torch.device("cpu")
WINDOW = {"sliding_window": 24}
SMALL_HEADS = {"head_dim": 8, "query_pre_attn_scalar": 8}
LATENT = {
    "num_key_value_heads": 4,
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
    "n_routed_experts": 4,
    "n_group": 1,
    "topk_group": 1,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "first_k_dense_replace": 1,
}
KINDS: list[tuple[str, dict[str, Any], str]] = [
    ("Llama", {}, "sdpa"),
    ("Llama", {}, "eager"),
    ("Llama", {"num_key_value_heads": 4}, "sdpa"),
    ("Qwen2", {}, "sdpa"),
    ("Qwen2", {"use_sliding_window": True, "max_window_layers": 1, **WINDOW}, "sdpa"),
    ("Qwen3", {"head_dim": 16}, "sdpa"),
    ("Mistral", {"head_dim": 8, **WINDOW}, "sdpa"),
    ("Mistral", {"head_dim": 8, **WINDOW}, "eager"),
    ("Mixtral", {"num_local_experts": 4}, "sdpa"),
    ("GPT2", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256}, "sdpa"),
    ("GPT2", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256}, "eager"),
    ("Gemma", {"head_dim": 8}, "sdpa"),
    ("Gemma2", {**SMALL_HEADS, **WINDOW}, "eager"),
    ("Gemma3Text", {**SMALL_HEADS, **WINDOW}, "sdpa"),
    ("Phi3", {}, "sdpa"),
    ("GPTNeoX", {}, "sdpa"),
    ("OPT", {"word_embed_proj_dim": 32, "ffn_dim": 48, "init_std": 0.2}, "sdpa"),
    ("GptOss", {"head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 2, **WINDOW}, "eager"),
    ("DeepseekV3", LATENT, "sdpa"),
]


def decoder(model: Any, slots: int = 5, positions: int = 100) -> TorchDecoder:
    return TorchDecoder(model, slots=slots, positions=positions, device=CPU)


def greedy(told: TorchDecoder, prompts: list[tuple[int, ...]], tokens: int) -> list[list[int]]:
    """One prompt in each slot, all at once."""
    texts = [[int(told.prefill(slot, prompt).argmax())] for slot, prompt in enumerate(prompts)]
    for _ in range(tokens - 1):
        newest = told.decode([*(text[-1] for text in texts), *[None] * (told.slots - len(texts))]).argmax(-1).tolist()
        for text, token in zip(texts, newest, strict=False):
            text.append(token)
    return texts


@pytest.mark.parametrize(("name", "config", "attention"), KINDS)
def test_every_slot_says_what_generate_says(name: str, config: dict[str, Any], attention: str) -> None:
    model = models.made(name, attention, **config)
    prompts = models.prompts(3, 17, 40, 64, 30)
    assert greedy(decoder(model), prompts, 12) == [models.generated(model, prompt, 12) for prompt in prompts]


@pytest.mark.parametrize(
    ("name", "config"), [("Llama", {}), ("Mistral", {"head_dim": 8, **WINDOW}), ("Gemma2", SMALL_HEADS)]
)
def test_a_prompt_in_parts_leaves_what_it_leaves_whole(name: str, config: dict[str, Any]) -> None:
    model = models.made(name, "eager", torch.float64, **config)
    (prompt,) = models.prompts(70)
    whole = decoder(model).prefill(0, prompt)
    told = decoder(model)
    told.prefill_parts([Part(2, prompt[:33])])
    told.prefill_parts([Part(2, prompt[33:60], start=33), Part(0, prompt[:20])])
    parted = told.prefill_parts([Part(2, prompt[60:], start=60)])[0]
    torch.testing.assert_close(parted, whole)


def test_a_slot_that_is_taken_in_by_parts_is_not_disturbed_by_the_others_steps() -> None:
    model = models.made("Llama", dtype=torch.float64)
    long, short = models.prompts(40, 5)
    told = decoder(model)
    told.prefill(1, short)
    told.prefill_parts([Part(0, long[:20])])
    told.decode([None, 5, None, None, None])
    parted = told.prefill_parts([Part(0, long[20:], start=20)])[0]
    torch.testing.assert_close(parted, decoder(model).prefill(0, long))


def test_parts_of_one_padded_length_run_in_one_pass() -> None:
    model = models.made("Llama")
    told = decoder(model)
    passes: list[tuple[int, ...]] = []
    model.register_forward_pre_hook(
        lambda _, __, named: passes.append(tuple(named["input_ids"].shape)), with_kwargs=True
    )
    told.prefill_parts([Part(slot, tokens) for slot, tokens in enumerate(models.prompts(3, 30, 16, 31, 9))])
    assert passes == [(3, 16), (2, 32)]


def test_a_slot_can_be_filled_to_its_last_position_and_no_further() -> None:
    model = models.made("Llama")
    told = decoder(model, slots=2, positions=30)
    (prompt,) = models.prompts(25)
    texts = [[int(told.prefill(1, prompt).argmax())]]
    for _ in range(5):
        texts[0].append(int(told.decode([None, texts[0][-1]])[1].argmax()))
    assert texts[0] == models.generated(model, prompt, 6)
    with pytest.raises(ValueError, match="no position"):
        told.decode([None, texts[0][-1]])


def test_numbers_that_went_wrong_in_a_slot_do_not_reach_who_comes_next() -> None:
    model = models.made("Llama")
    told = decoder(model)
    (prompt,) = models.prompts(6)
    right = told.prefill(0, prompt)
    with torch.inference_mode():
        for layer in told._cache.layers:
            layer.values[0] = torch.nan
    torch.testing.assert_close(told.prefill(0, prompt), right)
    assert told.decode([5, None, None, None, None])[0].isfinite().all()


def test_the_cache_is_what_memory_arithmetic_says_and_does_not_grow() -> None:
    model = models.made("Llama", dtype=torch.bfloat16)
    told = decoder(model, slots=3, positions=128)
    config = model.config
    of_one_token = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * 2
    assert told.cache_bytes == 3 * 128 * of_one_token
    greedy(told, models.prompts(90, 3, 7), 30)
    assert told.cache_bytes == 3 * 128 * of_one_token


def test_bfloat16_is_served() -> None:
    model = models.made("Llama", dtype=torch.bfloat16)
    logits = decoder(model).prefill(0, models.prompts(9)[0])
    assert logits.dtype == torch.float32
    assert logits.shape == (models.VOCABULARY,)


def test_warming_up_runs_every_shape_that_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda model, **_: model)
    model = models.made("Llama")
    told = TorchDecoder(model, slots=1, positions=200, device=CPU, compiled=True)
    shapes: set[tuple[int, ...]] = set()

    def seen(_: Any, __: Any, named: Any) -> None:
        mask = named["attention_mask"]
        shapes.add((*named["input_ids"].shape, *(() if mask is None else mask.shape)))

    model.register_forward_pre_hook(seen, with_kwargs=True)
    told.warm_up(64)
    warm = set(shapes)
    for length in (1, 15, 64):
        told.prefill(0, models.prompts(length)[0])
    told.prefill_parts([Part(0, range(1, 65), start=64)])
    for _ in range(3):
        told.decode([5])
    assert shapes == warm
    assert isinstance(told, PartDecoder)


def test_compiled_steps_are_compiled_while_warming_up_and_never_again(monkeypatch: pytest.MonkeyPatch) -> None:
    counter = CompileCounter()
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=counter))
    model = models.made("Llama", num_hidden_layers=1)
    told = TorchDecoder(model, slots=3, positions=128, device=CPU, compiled=True)
    told.warm_up(64)
    assert counter.frame_count == 2  # one for each window: 64 and 128
    prompts = models.prompts(50, 9)
    assert greedy(told, prompts, 20) == [models.generated(model, prompt, 20) for prompt in prompts]
    assert counter.frame_count == 2


@pytest.mark.parametrize(
    ("name", "config", "reason"),
    [
        ("Bloom", {"n_layer": 2, "n_head": 4}, "bloom takes no positions of tokens"),
        ("Falcon", {"alibi": True}, "falcon takes no positions of tokens"),
        ("Lfm2", {"layer_types": ["conv", "full_attention"]}, "layers of conv"),
    ],
)
def test_a_model_that_slots_cannot_serve_is_refused(name: str, config: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        decoder(models.made(name, "eager", **config))


def test_a_model_whose_slots_would_say_something_else_is_refused() -> None:
    model = models.made("Llama")
    inner = model.model.rotary_emb.forward
    model.model.rotary_emb.forward = lambda states, position_ids: inner(states, position_ids=position_ids * 0)
    plain = model.forward

    def forward(past_key_values: Any = None, **named: Any) -> Any:
        model.model.rotary_emb.forward = inner if past_key_values is None else model.model.rotary_emb.forward
        return plain(past_key_values=past_key_values, **named)

    forward.__signature__ = __import__("inspect").signature(plain)  # type: ignore[attr-defined]
    model.forward = forward
    with pytest.raises(InputError, match="apart from its own"):
        decoder(model)


def test_more_positions_than_the_model_has_are_refused() -> None:
    with pytest.raises(InputError, match="257 positions are more than the 256"):
        decoder(models.made("Llama"), positions=257)
