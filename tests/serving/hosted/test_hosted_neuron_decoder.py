"""Text generation on NeuronCores, on a fake of the library: slots do not disturb each other."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.model.errors import InputError
from holdfast.serving.hosted.devices.neuron_decoder import NeuronDecoder
from serving.hosted.fake_neuron import FakeCausalModel, neuron_config

torch.set_num_threads(1)
SLOTS, POSITIONS, VOCABULARY = 3, 12, 29


def _llama() -> Any:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=POSITIONS, initializer_range=0.5,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).double().eval()


LLAMA = _llama()


def _alone(tokens: list[int]) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = LLAMA(torch.tensor([tokens])).logits[0, -1].float()
    return logits


def _decoder(**others: Any) -> tuple[NeuronDecoder, FakeCausalModel]:
    model = FakeCausalModel(LLAMA, neuron_config(SLOTS, POSITIONS, **others))
    return NeuronDecoder(model, eos_ids=frozenset({2}), name="tiny"), model  # type: ignore[arg-type]


token = st.integers(0, VOCABULARY - 1)
prompt = st.tuples(st.integers(0, SLOTS - 1), st.lists(token, min_size=1, max_size=6))
step = st.lists(st.one_of(st.none(), token), min_size=SLOTS, max_size=SLOTS)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(prompt, step), max_size=12))
def test_logits_are_those_of_each_slot_alone_whatever_comes_and_goes(moves: list[Any]) -> None:
    decoder, _ = _decoder()
    held: dict[int, list[int]] = {}
    for move in moves:
        if isinstance(move, tuple):
            slot, tokens = move
            held[slot] = list(tokens)
            torch.testing.assert_close(decoder.prefill(slot, tokens), _alone(tokens))
            continue
        tokens = [
            one if one is not None and slot in held and len(held[slot]) < POSITIONS else None
            for slot, one in enumerate(move)
        ]
        if not any(one is not None for one in tokens):
            continue
        logits = decoder.decode(tokens)
        assert logits.shape == (SLOTS, VOCABULARY) and logits.dtype == torch.float32
        for slot, one in enumerate(tokens):
            if one is not None:
                held[slot].append(one)
                torch.testing.assert_close(logits[slot], _alone(held[slot]))


def test_the_shapes_of_all_calls_are_two() -> None:
    decoder, model = _decoder()

    for length in range(1, POSITIONS + 1):
        decoder.prefill(0, [3] * length)
        decoder.prefill(1, [4])
        decoder.decode([None, 5, None])

    assert set(model.steps) == {(1, POSITIONS), (SLOTS, 1)}


def test_fewer_rows_than_compiled_would_write_into_the_slots_left_out() -> None:
    """Why a step always has all slots: the library's own filling up."""
    decoder, model = _decoder()
    decoder.prefill(0, [7, 8, 9])
    before = model._cache[0].clone()

    model.forward(torch.tensor([[5]]), torch.tensor([[1]]), torch.tensor([2]), torch.ones(1, 3))

    assert not torch.equal(model._cache[0], before)


def test_what_does_not_fit_is_never_cut() -> None:
    decoder, _ = _decoder()
    with pytest.raises(ValueError, match="13 tokens for 12 positions"):
        decoder.prefill(0, [1] * (POSITIONS + 1))
    with pytest.raises(ValueError, match="0 tokens"):
        decoder.prefill(0, [])

    decoder.prefill(0, [1] * POSITIONS)
    with pytest.raises(ValueError, match="full at 12 positions"):
        decoder.decode([1, None, None])
    with pytest.raises(ValueError, match="1 tokens for 3 slots"):
        decoder.decode([1])


def test_fewer_positions_than_compiled_can_be_asked_for() -> None:
    model = FakeCausalModel(LLAMA, neuron_config(SLOTS, POSITIONS))
    decoder = NeuronDecoder(model, eos_ids=frozenset(), name="tiny", max_tokens=4)  # type: ignore[arg-type]

    assert decoder.positions == 4
    with pytest.raises(ValueError, match="5 tokens for 4 positions"):
        decoder.prefill(0, [1] * 5)


@pytest.mark.parametrize(
    ("compiled", "said"),
    [
        ({"on_device_sampling": True}, "gives tokens and no logits"),
        ({"output_logits": True}, "gives tokens and no logits"),
        ({"continuous_batching": False}, "a prompt would overwrite all slots"),
        ({"max_batch_size": 8}, "steps of 3 of 8 slots"),
        ({"max_context_length": 6}, "prompts of 6 of 12 tokens"),
        ({"speculation_length": 4}, "speculative"),
    ],
)
def test_artifacts_that_cannot_serve_independent_requests_are_refused(compiled: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=f"tiny: was compiled .*{said}.*holdfast compile"):
        _decoder(**compiled)


def test_one_slot_needs_no_continuous_batching() -> None:
    model = FakeCausalModel(LLAMA, neuron_config(1, POSITIONS, continuous_batching=False))
    decoder = NeuronDecoder(model, eos_ids=frozenset(), name="tiny")  # type: ignore[arg-type]

    torch.testing.assert_close(decoder.prefill(0, [3, 4]), _alone([3, 4]))
    torch.testing.assert_close(decoder.decode([5])[0], _alone([3, 4, 5]))
