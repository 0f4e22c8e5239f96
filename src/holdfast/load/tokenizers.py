"""Texts of an exact number of tokens.

A `Vocabulary` makes text that is n tokens long for one tokenizer and counts the tokens of any text:

    Words       common English words, about a token each for the tokenizers of the field; counts nothing
    Bytes       one byte is one token
    Trained     a Hugging Face tokenizer, exact: see below

`Trained` draws from a pool of lower-case words that the tokenizer keeps as one token at the beginning of a text and
after a blank. Where no token of the vocabulary holds a blank behind a letter, none can reach over two words, so each
word is encoded by itself and n words are n tokens: that is proven once per tokenizer (it held for Llama 2, Llama 3.1,
Qwen 3 and Gemma 3) and not paid for with every prompt. Otherwise each text is encoded, and words are taken off or
added until it fits; where there are too few such words, pieces of any kind.

No text begins or ends with a blank: chat templates strip them, and the count would be off by one.
"""

from __future__ import annotations

import functools
import re
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from holdfast.model.errors import InputError

if TYPE_CHECKING:
    import tokenizers

_WORD = re.compile("[a-z]{2,16}")
_SPANS = re.compile("[a-z] ")
_POOL = 8192
"""Words or pieces to draw from; with 6,000, two prompts share a first cache block of 16 tokens once in 10^60."""
_LEAST_POOL = 64
_REPAIRS = 64


class Vocabulary(Protocol):
    """What texts are made of.

    name:     as the user gave it: `words`, `bytes`, or a path.
    exact:    whether `text` keeps what it says, by the tokenizer that is meant.
    specials: tokens that the tokenizer puts around a text by itself (BOS, EOS).
    """

    name: str
    exact: bool
    specials: int

    def text(self, count: int, chance: np.random.Generator, beginning: str = "") -> str:
        """A text of `count` tokens, at least 1, that begins with `beginning`, itself a shorter text made here."""
        ...

    def count(self, text: str) -> int:
        """Tokens of a text, without specials; 0 where this vocabulary cannot tell."""
        ...


class Words:
    """290 common words, of which nearly every byte-pair tokenizer of the field keeps each as one token."""

    name = "words"
    exact = False
    specials = 0

    def __init__(self) -> None:
        self._words = resources.files("holdfast.load").joinpath("data/words.txt").read_text("utf-8").split()

    def text(self, count: int, chance: np.random.Generator, beginning: str = "") -> str:
        return _joined(self._words, count, chance, beginning)

    def count(self, text: str) -> int:
        return 0


class Bytes:
    """One byte of UTF-8 is one token."""

    name = "bytes"
    exact = True
    specials = 0

    def text(self, count: int, chance: np.random.Generator, beginning: str = "") -> str:
        letters = chance.integers(ord("a"), ord("z") + 1, size=count - len(beginning), dtype=np.uint8)
        return beginning + letters.tobytes().decode("ascii")

    def count(self, text: str) -> int:
        return len(text.encode())


class Trained:
    """A tokenizer of the `tokenizers` library. Raises InputError when no text can be made with it."""

    exact = True

    def __init__(self, tokenizer: tokenizers.Tokenizer, name: str = "") -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self.name = name
        self.specials: int = tokenizer.num_special_tokens_to_add(False)
        texts = self._texts()
        self._words = self._single_words(texts)
        enough = len(self._words) >= _LEAST_POOL
        self._pieces, self._glue = (self._words, " ") if enough else (self._single_pieces(texts), "")
        if not self._pieces:
            raise InputError("the tokenizer has no token that can be written as text", where=name)
        self._apart = enough and self._keeps_words_apart(texts)

    def text(self, count: int, chance: np.random.Generator, beginning: str = "") -> str:
        if self._apart:
            return _joined(self._words, count, chance, beginning)
        pieces = self._draw(count - (self.count(beginning) if beginning else 0), chance)
        for _ in range(_REPAIRS):
            text = self._glue.join([beginning, *pieces] if beginning else pieces)
            over = self.count(text) - count
            if not over:
                return text
            if over > 0:
                del pieces[max(0, len(pieces) - over) :]
            else:
                pieces += self._draw(-over, chance)
        raise InputError(
            f"no text of exactly {count} tokens was found with this tokenizer",
            where=self.name,
            mend="give --tokenizer words",
        )

    def count(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def _draw(self, count: int, chance: np.random.Generator) -> list[str]:
        return [self._pieces[i] for i in chance.integers(len(self._pieces), size=max(0, count)).tolist()]

    def _texts(self) -> list[str]:
        """What each token reads as, by its number; special tokens and parts of characters are left out."""
        numbers = sorted(self._tokenizer.get_vocab(with_added_tokens=False).values())
        added = self._tokenizer.get_added_tokens_decoder()
        texts = self._tokenizer.decode_batch([[number] for number in numbers if number not in added])
        return [text for text in texts if "\ufffd" not in text]

    def _single_words(self, texts: list[str]) -> list[str]:
        """Words that are one token at the beginning of a text and one after a blank, the common ones first."""
        words = dict.fromkeys(word for text in texts if _WORD.fullmatch(word := text.strip()))
        drawn = list(words)[: 2 * _POOL]
        pairs = self._tokenizer.encode_batch([f"{word} {word}" for word in drawn], add_special_tokens=False)
        return [word for word, pair in zip(drawn, pairs, strict=True) if len(pair.ids) == 2][:_POOL]

    def _keeps_words_apart(self, texts: list[str]) -> bool:
        """Whether no token reaches over two words; the whole pool, in both orders, is looked at beside the proof."""
        if any(_SPANS.search(text) for text in texts):
            return False
        return all(self.count(" ".join(words)) == len(words) for words in (self._words, self._words[::-1]))

    def _single_pieces(self, texts: list[str]) -> list[str]:
        """Texts, without blanks at their ends, that are one token when they stand alone."""
        drawn = [t for t in dict.fromkeys(texts) if t and t == t.strip() and t.isprintable()][: 2 * _POOL]
        alone = self._tokenizer.encode_batch(drawn, add_special_tokens=False)
        return [text for text, encoded in zip(drawn, alone, strict=True) if len(encoded.ids) == 1][:_POOL]


def _joined(words: list[str], count: int, chance: np.random.Generator, beginning: str) -> str:
    had = beginning.count(" ") + 1 if beginning else 0
    # Half the time of `chance.integers` for a short prompt, which costs as much as sending it.
    places = (chance.random(count - had) * len(words)).astype(np.intp)
    drawn = [words[i] for i in places.tolist()]
    return " ".join((beginning, *drawn)) if beginning else " ".join(drawn)


@functools.cache
def words() -> Words:
    """The words, read once."""
    return Words()


def load(name: str) -> Vocabulary:
    """`words`, `bytes`, or the tokenizer in a Hugging Face directory (or of a tokenizer.json). Raises InputError."""
    if name == "words":
        return words()
    if name == "bytes":
        return Bytes()
    file = Path(name)
    if file.is_dir():
        file /= "tokenizer.json"
    if not file.is_file():
        raise InputError(
            "there is no tokenizer.json", where=name, mend="give a directory that holds one, 'bytes' or 'words'"
        )
    try:
        import tokenizers
    except ImportError as error:
        raise InputError(
            "reading a tokenizer needs the tokenizers library",
            where="--tokenizer",
            mend="install it with: pip install 'holdfast[tokenizers]'",
        ) from error
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises the bare class
        raise InputError(f"this is no tokenizer ({error})", where=str(file), mend="mend the path") from error
    return Trained(tokenizer, name)
