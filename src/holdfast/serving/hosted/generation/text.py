"""Tokens into text while they come, so that the pieces together are what the tokenizer makes of the whole.

Three things stand in the way, and each is met by waiting. A character may be made of several tokens: what ends in a
replacement character is not told before more tokens come, as long as these could complete it. A run of byte tokens
(`<0x0A>`, as sentencepiece models have) is characters only if all of it is, so it is not told before it ends. And
tokenizers drop the space at the beginning of a text, so the last pieces are decoded again together with the new ones,
and only what is new is told.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_REPLACEMENT = "\ufffd"
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_MOST_BEGUN = 3
"""Tokens that may have begun a character which another completes: UTF-8 takes at most four bytes."""


class Detokeniser:
    """Of one answer; tokenizer: of transformers. Special tokens have no text, and spaces stay as they were made."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._told: list[int] = []  # the last tokens that are told, as many as it takes to have a text
        self._waiting: list[int] = []
        self._in_bytes = False

    def push(self, token: int) -> str:
        """The text that is certain with one more token."""
        self._waiting.append(token)
        if _BYTE.fullmatch(self._tokenizer.convert_ids_to_tokens(token) or ""):
            self._in_bytes = True
        elif self._decode([token]):  # a token without text, such as a special one, does not end a run of bytes
            self._in_bytes = False
        if self._in_bytes:
            return ""
        whole = self._decode(self._told + self._waiting)
        return self._settled(whole) if whole.endswith(_REPLACEMENT) else self._tell(whole)

    def finish(self) -> str:
        """The text that was waited with, as no more tokens come."""
        return self._tell(self._decode(self._told + self._waiting)) if self._waiting else ""

    def _settled(self, whole: str) -> str:
        """What is before the tokens that may have begun a character: of bytes that are none there may be any number.
        Where these are decoded apart to the same text, no character lies across."""
        for begun in range(1, min(_MOST_BEGUN, len(self._waiting) - 1) + 1):
            before, last = self._waiting[:-begun], self._waiting[-begun:]
            ended, rest = self._decode(self._told + before), self._decode(last)
            if rest.endswith(_REPLACEMENT) and ended + rest == whole:
                self._waiting = before
                new = self._tell(ended)
                self._waiting = last
                return new
        return ""

    def _tell(self, whole: str) -> str:
        new = whole[len(self._decode(self._told)) :]
        # Tokens that have a text now have one also in front of others: nothing of theirs is at the beginning of a text.
        if self._decode(self._waiting):
            self._told = []
        # Special tokens may come without an end, and one of each says as little as all.
        self._told += self._waiting if new else [token for token in self._waiting if token not in self._told]
        self._waiting = []
        return new

    def _decode(self, tokens: list[int]) -> str:
        text: str = self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text


class Stops:
    """Texts before which an answer ends. Which one ends it does not depend on how the text comes in pieces: the one
    that is complete first, of those the longest."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.met = False

    def push(self, text: str) -> str:
        """What of the text so far, and not yet told, cannot be part of a stop; after a stop, nothing. Sets `met`."""
        if self.met:
            return ""
        text = self._held + text
        found = [(place + len(stop), place) for stop in self._stops if (place := text.find(stop)) >= 0]
        if found:
            self.met, self._held = True, ""
            return text[: min(found)[1]]
        kept = max((self._begun(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - kept :]
        return text[: len(text) - kept]

    def finish(self) -> str:
        """What was held back, as no more text comes."""
        held, self._held = self._held, ""
        return held

    @staticmethod
    def _begun(text: str, stop: str) -> int:
        """Characters at the end of the text that a stop may begin with."""
        lengths = range(min(len(stop) - 1, len(text)), 0, -1)
        return next((length for length in lengths if text.endswith(stop[:length])), 0)
