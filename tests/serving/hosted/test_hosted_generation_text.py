"""Pieces of text that come with the tokens are together the text of all tokens."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, normalizers
from tokenizers.models import BPE, WordPiece

from holdfast.serving.hosted.generation.text import Detokeniser, Stops
from serving.hosted import generation_models as models

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def pieces() -> Any:
    """As Llama 2 and Mistral have: words with their space, and bytes for what is no word."""
    words = ["<s>", "</s>", "<unk>", *BYTES, "▁", "▁a", "▁be", "a", "b", "▁▁", "é", "€", ".", "'t", "�"]
    tokenizer = Tokenizer(BPE({word: number for number, word in enumerate(words)}, [], byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return models.fast(tokenizer)


def metaspace() -> Any:
    words = ["<s>", "</s>", "<unk>", "▁", "▁a", "▁be", "a", "▁▁", "é", "."]
    tokenizer = Tokenizer(BPE({word: number for number, word in enumerate(words)}, []))
    tokenizer.decoder = decoders.Metaspace()
    return models.fast(tokenizer)


def word_pieces() -> Any:
    words = ["<s>", "</s>", "<unk>", "a", "##b", "be", "##.", "."]
    tokenizer = Tokenizer(WordPiece({word: number for number, word in enumerate(words)}))
    tokenizer.decoder = decoders.WordPiece(cleanup=False)
    return models.fast(tokenizer)


@functools.cache
def tokenizer(kind: str) -> Any:
    return {"bytes": models.byte_level, "pieces": pieces, "metaspace": metaspace, "words": word_pieces}[kind]()


def streamed(kind: str, tokens: list[int]) -> list[str]:
    detokeniser = Detokeniser(tokenizer(kind))
    return [*(detokeniser.push(token) for token in tokens), detokeniser.finish()]


def whole(kind: str, tokens: list[int]) -> str:
    text: str = tokenizer(kind).decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text


SCRIPTS = ["", "a", "é", "€", "🦑", " a be", "日本", "�", "\n", "  ", "don't."]


@st.composite
def answers(draw: st.DrawFn) -> tuple[str, list[int]]:
    """Texts and random tokens in turn, so that characters are whole, cut and impossible."""
    kind = draw(st.sampled_from(["bytes", "pieces", "metaspace", "words"]))
    told = tokenizer(kind)
    parts = st.one_of(
        st.sampled_from(SCRIPTS if kind in ("bytes", "pieces") else [""]).map(
            lambda text: told.encode(text, add_special_tokens=False)
        ),
        st.lists(st.integers(0, len(told) - 1), max_size=4),
    )
    return kind, [token for part in draw(st.lists(parts, max_size=8)) for token in part]


@settings(max_examples=300, deadline=None)
@given(answer=answers())
def test_pieces_together_are_the_whole(answer: tuple[str, list[int]]) -> None:
    kind, tokens = answer
    assert "".join(streamed(kind, tokens)) == whole(kind, tokens)


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("bytes", "a€b", ["a", "€", "b"]),
        ("bytes", "é", ["é"]),
        ("pieces", "a€ a", ["a", "€", " ", "a"]),
        ("pieces", "a🦑a", ["a", "🦑a"]),
    ],
)
def test_a_character_is_told_when_it_is_complete(kind: str, text: str, expected: list[str]) -> None:
    told = tokenizer(kind)
    tokens = told.encode(text, add_special_tokens=False)
    got = streamed(kind, tokens)
    assert "".join(got) == text
    assert [piece for piece in got if piece] == expected


@pytest.mark.parametrize("letter", ["Ģ", "â", "</s>"])  # a byte within a character, a byte that begins one, no text
def test_an_answer_without_a_character_costs_each_token_the_same(letter: str) -> None:
    asked: list[int] = []

    class Asked:
        convert_ids_to_tokens = staticmethod(tokenizer("bytes").convert_ids_to_tokens)

        def decode(self, tokens: list[int], **more: bool) -> str:
            asked.append(len(tokens))
            text: str = tokenizer("bytes").decode(tokens, **more)
            return text

    detokeniser = Detokeniser(Asked())
    tokens = [tokenizer("bytes").convert_tokens_to_ids(letter)] * 100
    told = [*(detokeniser.push(token) for token in tokens), detokeniser.finish()]
    assert "".join(told) == whole("bytes", tokens)
    assert max(asked) < 10


def test_the_end_of_an_answer_has_no_text() -> None:
    assert streamed("bytes", [4, models.EOS]) == [whole("bytes", [4]), "", ""]


def test_bytes_that_are_no_character_are_told_at_the_end() -> None:
    tokens = [tokenizer("pieces").convert_tokens_to_ids(word) for word in ("▁a", "<0xE2>", "<0x82>")]
    assert streamed("pieces", tokens) == ["a", "", "", "��"]


def cut(text: str, stops: list[str]) -> tuple[str, bool]:
    """Letter by letter, the plain way."""
    for end in range(len(text) + 1):
        for stop in sorted(stops, key=len, reverse=True):
            if stop and text[:end].endswith(stop):
                return text[: end - len(stop)], True
    return text, False


TEXTS = st.lists(st.text("ab\n", max_size=4), max_size=8)


@settings(max_examples=300, deadline=None)
@given(pieces=TEXTS, stops=st.lists(st.text("ab\n", max_size=4), max_size=3))
def test_a_stop_cuts_wherever_the_borders_of_tokens_are(pieces: list[str], stops: list[str]) -> None:
    watching = Stops(stops)
    told = "".join([*(watching.push(piece) for piece in pieces), watching.finish()])
    assert (told, watching.met) == cut("".join(pieces), stops)


def test_only_what_may_begin_a_stop_is_held_back() -> None:
    watching = Stops(["\n\n", "END"])
    assert [watching.push(piece) for piece in ("a", "\n", "b", "E", "N", "x", "END", "y")] == [
        "a", "", "\nb", "", "", "ENx", "", "",
    ]  # fmt: skip
    assert watching.met
