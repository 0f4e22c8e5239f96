"""Whoever else is in the slots, an answer is the one that `generate` gives to its prompt alone."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.serving.errors import RequestError
from holdfast.serving.hosted.generation.decoder import Decoder
from holdfast.serving.hosted.generation.engine import Made, Prompt, Sampling, SlotEngine
from holdfast.serving.hosted.generation.torch_decoder import TorchDecoder
from serving.hosted import generation_models as models

ENDS = (models.EOS, *range(5, 300, 6))
"""So many that answers end at them."""


@dataclass(frozen=True)
class Asked:
    prompt: Prompt
    settings: dict[str, Any]
    """The same in the words of `generate`."""


def asked() -> list[Asked]:
    warps: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({}, {}),
        ({"temperature": 1.0}, {"top_k": 0}),
        ({"temperature": 0.7, "top_k": 5}, {"temperature": 0.7, "top_k": 5}),
        ({"temperature": 1.3, "top_p": 0.8}, {"temperature": 1.3, "top_p": 0.8, "top_k": 0}),
        ({"temperature": 2.0, "top_k": 40, "top_p": 0.9}, {"temperature": 2.0, "top_k": 40, "top_p": 0.9}),
    ]
    some = []
    for number, tokens in enumerate(models.prompts(1, 5, 16, 17, 30, 48, 3, 9, 70, 21)):
        ours, theirs = warps[number % len(warps)]
        sampling = Sampling(**ours, seed=number if ours else None)
        least = 3 if number % 3 == 0 and number % 4 != 3 else 0
        some.append(
            Asked(
                Prompt(tokens, 3 + number, min_tokens=least, ignore_eos=number % 4 == 3, sampling=sampling),
                {**theirs, "do_sample": bool(ours), **({"min_new_tokens": least} if least else {})},
            )
        )
    return some


@functools.cache
def model() -> Any:
    made = models.made("Llama", dtype=torch.float64)
    made.generation_config.eos_token_id = list(ENDS)
    return made


@functools.cache
def told() -> TorchDecoder:
    return TorchDecoder(model(), slots=3, positions=100, device=torch.device("cpu"))


@functools.cache
def expected() -> list[list[int]]:
    answers = []
    for number, one in enumerate(asked()):
        torch.manual_seed(number)
        ends = () if one.prompt.ignore_eos else ENDS
        prompt = one.prompt
        answers.append(models.generated(model(), prompt.tokens, prompt.max_tokens, ends=ends, **one.settings))
    return answers


class Whole:
    """A decoder that takes prompts whole, as those on Neuron do."""

    def __init__(self, inner: TorchDecoder) -> None:
        self.slots, self.positions, self.eos_ids = inner.slots, inner.positions, inner.eos_ids
        self._inner = inner

    def prefill(self, slot: int, tokens: Sequence[int]) -> torch.Tensor:
        return self._inner.prefill(slot, tokens)

    def decode(self, tokens: Sequence[int | None]) -> torch.Tensor:
        return self._inner.decode(tokens)


@dataclass(frozen=True)
class Arrival:
    """A request: which of `asked`, after how many steps, and after how many of its tokens its client leaves."""

    number: int
    step: int
    patience: int


ARRIVALS = st.lists(
    st.builds(Arrival, st.integers(0, 9), st.integers(0, 25), st.integers(0, 40)), min_size=1, max_size=12
)


def served(engine: SlotEngine, arrivals: Sequence[Arrival]) -> list[list[Made]]:
    """What each gets, until all are done; first come, first served."""
    got: list[list[Made]] = [[] for _ in arrivals]
    queue = sorted(range(len(arrivals)), key=lambda key: arrivals[key].step)
    for step in range(400):
        while queue and engine.free and arrivals[queue[0]].step <= step:
            key = queue.pop(0)
            engine.begin(key, asked()[arrivals[key].number].prompt)
        for made in engine.step():
            got[made.key].append(made)
        for key, arrival in enumerate(arrivals):
            if len(got[key]) > arrival.patience:
                engine.leave(key)
        if not queue and engine.free == 3:
            return got
    raise AssertionError("the slots never emptied")


@settings(max_examples=40, deadline=None)
@given(arrivals=ARRIVALS, whole=st.booleans(), prefill_tokens=st.sampled_from((4, 20, 512)))
def test_every_answer_is_that_of_its_prompt_alone(arrivals: list[Arrival], whole: bool, prefill_tokens: int) -> None:
    decoder: Decoder = Whole(told()) if whole else told()
    engine = SlotEngine(decoder, prefill_tokens=prefill_tokens)
    for arrival, got in zip(arrivals, served(engine, arrivals), strict=True):
        answer = expected()[arrival.number]
        tokens = [made.token for made in got]
        assert tokens == answer[: arrival.patience + 1]
        if len(answer) == len(tokens):
            most = asked()[arrival.number].prompt.max_tokens
            assert [made.finish_reason for made in got[:-1]] == [None] * (len(got) - 1)
            assert got[-1].finish_reason == ("stop" if answer[-1] in ENDS and _ends(arrival) else "length")
            assert got[-1].finish_reason == "stop" or len(answer) == most
    assert engine.free == 3
    assert engine.tokens == 0


def _ends(arrival: Arrival) -> bool:
    return not asked()[arrival.number].prompt.ignore_eos


def test_the_cases_end_in_both_ways_and_are_all_different() -> None:
    ends = [answer[-1] in ENDS for answer in expected()]
    assert 2 < sum(ends) < 9
    assert len({tuple(answer) for answer in expected()}) == 10


def test_a_prompt_can_be_taken_in_at_once() -> None:
    engine = SlotEngine(told(), prefill_tokens=4)
    made = engine.enter(1, asked()[8].prompt)
    assert made == Made(1, expected()[8][0], None)
    assert engine.tokens == 70


def test_a_long_prompt_holds_up_nobody() -> None:
    engine = SlotEngine(told(), prefill_tokens=16)
    engine.enter(1, Prompt((5, 6), 60, ignore_eos=True))
    engine.begin(2, Prompt(models.prompts(70)[0], 5))
    keys = [[made.key for made in engine.step()] for _ in range(6)]
    assert keys == [[1], [1], [1], [1], [1, 2], [1, 2]]


def test_short_prompts_are_taken_in_together() -> None:
    engine = SlotEngine(told())
    for key in range(3):
        engine.begin(key, Prompt((key + 3,), 5))
    assert sorted(made.key for made in engine.step()) == [0, 1, 2]


def test_a_request_without_a_seed_is_drawn_anew() -> None:
    def text() -> list[int]:
        engine = SlotEngine(told())
        engine.begin(1, Prompt((5,), 20, ignore_eos=True, sampling=Sampling(temperature=2.0)))
        return [made.token for _ in range(20) for made in engine.step()]

    assert text() != text()


def test_numbers_that_are_none_end_the_request_that_they_are_of_and_no_other() -> None:
    class Overflowing(Whole):
        def decode(self, tokens: Sequence[int | None]) -> torch.Tensor:
            logits = super().decode(tokens).clone()
            logits[0] = torch.nan
            return logits

    engine = SlotEngine(Overflowing(told()))
    engine.enter(1, Prompt((5,), 9, ignore_eos=True, sampling=Sampling(temperature=1.0)))
    engine.enter(2, asked()[7].prompt)
    first, second = engine.step()
    assert (first.key, first.finish_reason) == (1, "broken")
    assert (second.key, second.finish_reason) == (2, None)
    assert engine.free == 2


def test_a_slot_too_many_and_a_text_too_long_are_refused() -> None:
    engine = SlotEngine(told())
    with pytest.raises(ValueError, match="longer than 100"):
        engine.begin(1, Prompt((5,) * 60, 41))
    with pytest.raises(ValueError, match="at least one token"):
        engine.begin(1, Prompt((), 41))
    for key in range(3):
        engine.begin(key, Prompt((5,), 1))
    with pytest.raises(ValueError, match="no slot is free"):
        engine.begin(4, Prompt((5,), 1))
    engine.leave(9)
    engine.clear()
    assert engine.free == 3


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": -1}, {"temperature": float("nan")}, {"top_p": 0}, {"top_p": 1.1}, {"top_k": -1}, {"seed": 2**64}],
)
def test_sampling_that_means_nothing_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(RequestError) as refused:
        Sampling(**wrong)
    assert refused.value.param in wrong


def test_a_temperature_next_to_nothing_is_greedy() -> None:
    engine = SlotEngine(told())
    engine.begin(1, Prompt(asked()[0].prompt.tokens, 3, sampling=Sampling(temperature=1e-30)))
    engine.begin(2, Prompt(asked()[0].prompt.tokens, 3))
    made = engine.step()
    assert made[0].token == made[1].token
