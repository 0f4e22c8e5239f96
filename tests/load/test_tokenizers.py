"""Texts of exactly n tokens, by tokenizers trained here from the words that prompts are made of."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import tokenizers as library
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from holdfast.load import tokenizers
from holdfast.load.tokenizers import Bytes, Trained, Vocabulary
from holdfast.model.errors import InputError

CORPUS = [tokenizers.words().text(200, np.random.default_rng(seed)) for seed in range(100)]
ALPHABET = pre_tokenizers.ByteLevel.alphabet()


def trained(size: int, splitter: pre_tokenizers.PreTokenizer | None, decoder: decoders.Decoder) -> library.Tokenizer:
    tokenizer = library.Tokenizer(models.BPE())
    if splitter is not None:
        tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoder
    alphabet = ALPHABET if isinstance(splitter, pre_tokenizers.ByteLevel) else []
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=alphabet, special_tokens=["<s>", "</s>"], show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def byte_level(size: int) -> library.Tokenizer:
    return trained(size, pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel())


KINDS: dict[str, Vocabulary] = {
    "bytes": Bytes(),
    "byte-level BPE, as Llama 3 and Qwen": Trained(byte_level(1500)),
    "metaspace BPE, as Llama 2 and Gemma": Trained(trained(1500, pre_tokenizers.Metaspace(), decoders.Metaspace())),
    "tokens that reach over words": Trained(trained(1500, None, decoders.Fuse())),
    "hardly more than an alphabet": Trained(byte_level(275)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_length_from_1_to_500_is_met_exactly(kind: str) -> None:
    vocabulary, chance = KINDS[kind], np.random.default_rng(1)
    texts = [vocabulary.text(n, chance) for n in range(1, 501)]
    assert [vocabulary.count(text) for text in texts] == list(range(1, 501))
    assert [text for text in texts if text != text.strip()] == []  # chat templates strip


@pytest.mark.parametrize("kind", KINDS)
@given(prefix=st.integers(1, 60), own=st.integers(1, 60), seed=st.integers(0, 2**31))
def test_a_text_that_begins_with_another_is_exact_too(kind: str, prefix: int, own: int, seed: int) -> None:
    vocabulary, chance = KINDS[kind], np.random.default_rng(seed)
    beginning = vocabulary.text(prefix, chance)
    text = vocabulary.text(prefix + own, chance, beginning)
    assert text.startswith(beginning)
    assert vocabulary.count(text) == prefix + own


def test_words_are_only_trusted_to_be_tokens_where_no_token_reaches_over_two() -> None:
    # Training without a pre-tokenizer makes tokens such as "of the".
    assert KINDS["byte-level BPE, as Llama 3 and Qwen"]._apart  # type: ignore[attr-defined]
    assert not KINDS["tokens that reach over words"]._apart  # type: ignore[attr-defined]


def test_texts_are_told_apart_by_their_seed_alone() -> None:
    for vocabulary in (*KINDS.values(), tokenizers.words()):
        one, same, other = (vocabulary.text(30, np.random.default_rng(seed)) for seed in (1, 1, 2))
        assert one == same
        assert one[:20] != other[:20]


def test_words_are_as_many_as_asked_and_say_nothing_of_other_texts() -> None:
    words = tokenizers.words()
    assert len(words.text(37, np.random.default_rng(0)).split(" ")) == 37
    assert words.count("any text") == 0


def saved(folder: Path, tokenizer: library.Tokenizer) -> str:
    tokenizer.save(str(folder / "tokenizer.json"))
    return str(folder)


def test_a_directory_with_a_tokenizer_is_read_with_the_specials_that_it_adds(tmp_path: Path) -> None:
    tokenizer = byte_level(600)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tokenizer.enable_truncation(4)
    vocabulary = tokenizers.load(saved(tmp_path, tokenizer))
    assert (vocabulary.exact, vocabulary.specials) == (True, 1)
    text = vocabulary.text(100, np.random.default_rng(0))
    assert len(byte_level(600).encode(text).ids) == 100


def test_a_vocabulary_can_be_sent_to_another_process() -> None:
    for vocabulary in (*KINDS.values(), tokenizers.words()):
        copy: Vocabulary = pickle.loads(pickle.dumps(vocabulary))
        assert copy.text(30, np.random.default_rng(1)) == vocabulary.text(30, np.random.default_rng(1))


def loaded(name: str) -> Vocabulary:
    return tokenizers.load(name)


def test_a_directory_without_a_tokenizer_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no tokenizer\.json; give a directory that holds one, 'bytes' or"):
        loaded(str(tmp_path))


def test_a_file_that_is_no_tokenizer_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match="this is no tokenizer"):
        loaded(str(tmp_path))


def test_a_missing_library_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match=r"needs the tokenizers library; install it with: pip install 'holdfast\[tok"):
        loaded(str(tmp_path))


def test_a_tokenizer_without_text_is_one_sentence() -> None:
    empty = library.Tokenizer(models.WordLevel({"\n": 0}, unk_token="\n"))
    with pytest.raises(InputError, match="no token that can be written as text"):
        Trained(empty)
