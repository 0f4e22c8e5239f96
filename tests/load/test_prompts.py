"""What is asked: bodies by API, lengths, prefixes, conversations, prompts from files."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.load import dialogues, lengths, prompts, tokenizers
from holdfast.load.prompts import Ask
from holdfast.load.recipes import Recipe
from holdfast.load.tokenizers import Bytes
from holdfast.model.errors import InputError
from holdfast.model.fleet import Api, TokenLengths, Workload

BYTES = Bytes()
TEXT = Workload(api=Api.COMPLETIONS, input_tokens=TokenLengths(mean=40), output_tokens=TokenLengths(mean=9))
CHAT = TEXT.model_copy(update={"api": Api.CHAT})
IMAGES = Workload(api=Api.IMAGES)
EMBEDDINGS = Workload(api=Api.EMBEDDINGS, input_tokens=TokenLengths(mean=40))
POST = Workload(
    api=Api.POST,
    path="/genimage",
    body={"prompt": "{prompt}", "model": "{model}", "n": "{max_tokens}", "seed": "{seed}"},
    input_tokens=TokenLengths(mean=40),
    output_tokens=TokenLengths(mean=9),
)


class WithSpecials(Bytes):
    specials = 2


def asked(workload: Workload, count: int = 1, recipe: Recipe | None = None, seed: int = 0, **more: Any) -> list[Ask]:
    return list(itertools.islice(prompts.asks(workload, "m", seed, recipe=recipe or Recipe(BYTES), **more), count))


def body(ask: Ask) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(ask.body)
    return read


def test_a_completion_asks_its_length_in_every_way_that_engines_know() -> None:
    (ask,) = asked(TEXT)
    assert (ask.tokens_in, ask.tokens_out) == (40, 9)
    sent = body(ask)
    assert len(sent.pop("prompt")) == 40
    assert sent == {
        "model": "m", "max_tokens": 9, "min_tokens": 9, "ignore_eos": True, "stream": True,
        "stream_options": {"include_usage": True},
    }  # fmt: skip


def test_extensions_and_streaming_can_be_left_out() -> None:
    assert set(body(asked(TEXT, stream=False, extensions=False)[0])) == {"model", "max_tokens", "prompt"}


def test_a_chat_asks_in_a_message() -> None:
    (message,) = body(asked(CHAT)[0])["messages"]
    assert (message["role"], len(message["content"])) == ("user", 40)


def test_an_embedding_asks_no_output() -> None:
    (ask,) = asked(EMBEDDINGS, stream=False)
    assert (ask.tokens_in, ask.tokens_out, set(body(ask))) == (40, 0, {"model", "input"})


def test_images_have_a_size_where_one_is_given_and_no_tokens() -> None:
    plain, sized = asked(IMAGES)[0], asked(IMAGES, recipe=Recipe(BYTES, image_size="512x256"))[0]
    assert "size" not in body(plain)
    assert body(sized)["size"] == "512x256"
    assert (sized.tokens_in, sized.tokens_out) == (0, 0)


def test_a_post_fills_its_template_and_every_request_has_another_seed() -> None:
    one, two = asked(POST, 2)
    assert (one.tokens_in, one.tokens_out) == (40, 9)
    assert (body(one)["model"], body(one)["n"], len(body(one)["prompt"])) == ("m", 9, 40)
    assert body(one)["seed"] != body(two)["seed"]


def test_the_length_of_a_post_is_unknown_where_the_template_adds_to_the_prompt() -> None:
    assert asked(POST.model_copy(update={"body": {"text": "Draw: {prompt}"}}))[0].tokens_in == 0


@pytest.mark.parametrize(("workload", "text"), [(TEXT, 38), (EMBEDDINGS, 38), (CHAT, 40)])
def test_what_the_tokenizer_adds_is_counted_except_in_a_chat_whose_template_adds_its_own(
    workload: Workload, text: int
) -> None:
    (ask,) = asked(workload, recipe=Recipe(WithSpecials()))
    sent = body(ask)
    prompt = sent.get("prompt") or sent.get("input") or sent["messages"][0]["content"]
    assert (ask.tokens_in, len(prompt)) == (40, text)


@given(mean=st.floats(1, 500), stddev=st.floats(0, 300), low=st.integers(1, 500), high=st.integers(1, 500))
def test_lengths_stay_between_min_and_max(mean: float, stddev: float, low: int, high: int) -> None:
    wanted = TokenLengths(mean=mean, stddev=stddev, min=min(low, int(mean)), max=max(high, int(mean) + 1))
    drawn = list(itertools.islice(lengths.draws(wanted, np.random.default_rng(0)), 300))
    assert wanted.min is not None and wanted.max is not None
    assert all(wanted.min <= n <= wanted.max for n in drawn)


def test_lengths_have_the_mean_and_deviation_that_were_asked_for() -> None:
    wide = TokenLengths(mean=200, stddev=20)
    drawn = list(itertools.islice(lengths.draws(wide, np.random.default_rng(0)), 20_000))
    assert np.mean(drawn) == pytest.approx(200, abs=0.5)
    assert np.std(drawn) == pytest.approx(20, rel=0.02)
    cut = TokenLengths(mean=200, stddev=20, min=190, max=210)
    counts = Counter(itertools.islice(lengths.draws(cut, np.random.default_rng(0)), 21_000))
    assert set(counts) == set(range(190, 211))
    assert max(counts.values()) < 1.5 * min(counts.values())  # no heap at the ends


def test_prompts_of_a_run_share_no_beginning() -> None:
    for vocabulary in (BYTES, tokenizers.words()):
        sent = [body(ask)["prompt"] for ask in asked(TEXT, 200, Recipe(vocabulary))]
        assert len({text[:16] for text in sent}) == 200


def test_prompts_share_prefixes_from_a_pool_within_their_length() -> None:
    sent = [body(ask)["prompt"] for ask in asked(TEXT, 90, Recipe(BYTES, prefix_tokens=30, prefix_pool=3))]
    assert {len(text) for text in sent} == {40}
    shares = Counter(text[:30] for text in sent)
    assert len(shares) == 3
    assert min(shares.values()) > 10
    assert len({text[30:] for text in sent}) == 90


def test_sequences_with_one_prefix_seed_share_their_prefixes_and_nothing_else() -> None:
    recipe = Recipe(BYTES, prefix_tokens=30, prefix_pool=2)
    texts = [[body(ask)["prompt"] for ask in asked(TEXT, 20, recipe, seed, prefix_seed=7)] for seed in (1, 2)]
    pools = [{text[:30] for text in some} for some in texts]
    assert pools[0] == pools[1]
    assert len(pools[0]) == 2
    assert len({text for some in texts for text in some}) == 40


def test_a_traces_lengths_replace_the_workloads_and_end_the_sequence() -> None:
    traced: Iterator[tuple[int, int]] = iter([(7, 3), (11, 5)])
    sent = asked(TEXT, 9, traced=traced)
    assert [(ask.tokens_in, ask.tokens_out, len(body(ask)["prompt"])) for ask in sent] == [(7, 3, 7), (11, 5, 11)]


def test_a_chat_goes_on_with_the_servers_own_answers() -> None:
    (first,) = asked(CHAT, recipe=Recipe(BYTES, turns=3))
    assert first.follow is not None
    second = first.follow("Yes.")
    assert second is not None and second.follow is not None
    third = second.follow("No.")
    assert third is not None and third.follow is None
    said = body(third)["messages"]
    assert [message["role"] for message in said] == ["user", "assistant", "user", "assistant", "user"]
    assert said[:3] == body(second)["messages"]
    assert (said[1]["content"], said[3]["content"]) == ("Yes.", "No.")
    assert (first.tokens_in, second.tokens_in, third.tokens_in) == (40, 84, 127)


def test_completions_go_on_behind_the_text_so_far() -> None:
    (first,) = asked(TEXT, recipe=Recipe(WithSpecials(), turns=2))
    assert first.follow is not None
    second = first.follow(" Yes.")
    assert second is not None
    assert body(second)["prompt"].startswith(f"{body(first)['prompt']} Yes.\n")
    assert second.tokens_in == len(body(second)["prompt"]) + 2
    assert second.follow is None


def test_the_length_of_a_history_is_unknown_to_words() -> None:
    (first,) = asked(CHAT, recipe=Recipe(turns=2))
    assert first.follow is not None
    second = first.follow("Yes.")
    assert second is not None and second.tokens_in == 0


FILE = dialogues.read('{"prompt": "a", "max_tokens": 5}\n{"text": "bb"}\n{"prompt": "ccc"}\n', where="p.jsonl")


def test_prompts_of_a_file_are_shuffled_by_the_seed_and_cycled() -> None:
    runs = {
        seed: [body(ask)["prompt"] for ask in asked(TEXT, 6, Recipe(BYTES, dialogues=FILE), seed)] for seed in (1, 2, 3)
    }
    for sent in runs.values():
        assert sorted(sent[:3]) == ["a", "bb", "ccc"]
        assert sent[:3] == sent[3:]
    assert len({tuple(sent) for sent in runs.values()}) > 1


def test_a_files_lengths_come_before_the_workloads() -> None:
    sent = {body(ask)["prompt"]: ask for ask in asked(TEXT, 3, Recipe(BYTES, dialogues=FILE))}
    assert (sent["a"].tokens_in, sent["a"].tokens_out) == (1, 5)
    assert (sent["bb"].tokens_in, sent["bb"].tokens_out) == (2, 9)
    assert asked(TEXT, recipe=Recipe(dialogues=FILE))[0].tokens_in == 0  # words cannot count


SHARED = dialogues.read(
    '[{"conversations": [{"from": "system", "value": "S"}, {"from": "human", "value": "one"}, '
    '{"from": "gpt", "value": "four"}, {"from": "human", "value": "three"}, {"from": "gpt", "value": "!"}]}]',
    where="s.json",
)


def test_a_shared_conversation_is_asked_turn_by_turn_for_answers_as_long_as_the_recorded() -> None:
    (first,) = asked(CHAT, recipe=Recipe(BYTES, dialogues=SHARED, turns=9))
    assert (first.tokens_in, first.tokens_out) == (4, 4)
    assert first.follow is not None
    second = first.follow("4our")
    assert second is not None
    assert [message["content"] for message in body(second)["messages"]] == ["S", "one", "4our", "three"]
    assert (second.tokens_in, second.tokens_out, second.follow) == (13, 1, None)


@pytest.mark.parametrize(
    ("workload", "recipe", "said"),
    [
        (IMAGES, Recipe(turns=2), "--turns: the images API has no conversations"),
        (EMBEDDINGS, Recipe(turns=2), "--turns: the embeddings API has no conversations"),
        (TEXT, Recipe(image_size="1x1"), "--image-size: the completions API makes no images"),
        (TEXT, Recipe(prefix_tokens=40), "the prefix of 40 tokens leaves no room in a prompt of 40"),
        (TEXT, Recipe(WithSpecials(), prefix_tokens=38), "the prefix of 38 tokens leaves no room"),
        (IMAGES, Recipe(prefix_tokens=4), "--prefix-tokens: the images API asks no length"),
        (TEXT, Recipe(prefix_tokens=4, dialogues=FILE), "prompts from a file have no prefix added"),
        (TEXT, Recipe(dialogues=FILE, turns=2, source="p"), "p: the file has no conversation of several turns"),
        (TEXT, Recipe(dialogues=SHARED, source="p"), "p: the file has messages, which are of the chat API"),
    ],
)
def test_what_does_not_go_together_is_one_sentence(workload: Workload, recipe: Recipe, said: str) -> None:
    with pytest.raises(InputError) as caught:
        recipe.check(workload)
    assert said in str(caught.value)


def test_a_recipe_is_described_for_the_record_of_a_run() -> None:
    assert Recipe().described() == {"tokenizer": "words"}
    told = Recipe(BYTES, prefix_tokens=30, turns=2, dialogues=FILE, source="p.jsonl").described()
    assert told == {"tokenizer": "bytes", "prefixTokens": 30, "prefixPool": 1, "turns": 2, "prompts": "p.jsonl"}
