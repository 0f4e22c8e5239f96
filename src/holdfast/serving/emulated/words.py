"""What stands for text and images where no model is: prompts are counted in words, answers are one word over and over.

Prompt tokens are counted as words between white space, because no tokenizer is loaded: right for prompts that
a load generator made of one-token words, and too low for prose. A prompt given as token ids is counted exactly.
Output text is one word per token. Sampling parameters and stop strings are accepted and change nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from holdfast.serving.openai import generation, reading
from holdfast.serving.openai import wording as forms
from holdfast.serving.openai.bodies import ImagesBody, Message
from holdfast.serving.openai.generation import Generation, Served

_WORD = " kelp"
# The smallest PNG: one grey pixel.
_PNG_B64 = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNoAAAAggCB2kUIOwAAAABJRU5ErkJggg=="


@dataclass(frozen=True)
class Asked:
    """A request for text. `outputs` is the number of tokens that it will get, and `finish_reason` why no more."""

    generation: Generation
    outputs: int
    finish_reason: str

    @property
    def prompt_tokens(self) -> int:
        return self.generation.prompt_tokens

    def tokens(self) -> list[Hashable]:
        """All that will be in the KV cache: a chat that goes on with the answer begins with the same."""
        return [*self.generation.prompt, *[_WORD.strip()] * self.outputs]


def served(models: tuple[str, ...], max_model_len: int) -> Served:
    """What an emulated unit answers for: a token is a word."""
    return Served(models, max_model_len, _words, _chat_words, obeys_all=False)


def read_generation(body: bytes, served: Served, answer_tokens: int, *, chat: bool) -> Asked:
    """The request in `body`. Raises RequestError.

    An answer has max_tokens with `ignore_eos`; otherwise it ends at `answer_tokens` where that is less, but not before
    min_tokens.
    """
    asked = generation.read(body, served, chat=chat)
    limit = asked.max_tokens
    outputs = limit if asked.ignore_eos else min(limit, max(asked.min_tokens, answer_tokens))
    return Asked(asked, outputs, "length" if outputs == limit else "stop")


def read_images(body: bytes, models: tuple[str, ...]) -> int:
    """How many images the request in `body` asks for. Raises RequestError. Their size changes nothing."""
    asked = reading.read(body, ImagesBody)
    reading.require_model(asked.model, models)
    return asked.n or 1


def images_body(count: int) -> bytes:
    """The answer to /v1/images/generations."""
    return json.dumps({"created": int(time.time()), "data": [{"b64_json": _PNG_B64}] * count}).encode()


def _words(text: str) -> list[str]:
    return text.split() or [text]


def _chat_words(messages: Sequence[Message]) -> list[str]:
    return [word for message in messages for text in message.texts() for word in _words(text)]


class Wording:
    """The bytes of the answer to one request, made before they are due.

    A stream has one event per token; the first of a chat also brings the event that names the role.
    """

    def __init__(self, asked: Asked, key: int) -> None:
        self._asked = asked
        self._wording = forms.Wording(chat=asked.generation.chat, model=asked.generation.model, key=key)
        self._token = self._wording.event(_WORD)

    def events(self, seen: int, produced: int) -> bytes:
        """The events of the tokens after number `seen` up to number `produced`."""
        asked = self._asked
        opening = self._wording.opening() if seen == 0 else b""
        if produced < asked.outputs:
            return opening + self._token * (produced - seen)
        last = self._wording.event(_WORD, asked.finish_reason)
        usage = b""
        if asked.generation.include_usage:
            usage = self._wording.usage_event(asked.prompt_tokens, asked.outputs)
        return b"".join((opening, self._token * (produced - seen - 1), last, usage, forms.DONE))

    def body(self) -> bytes:
        """The whole answer as one JSON object."""
        asked = self._asked
        return self._wording.body(_WORD * asked.outputs, asked.finish_reason, asked.prompt_tokens, asked.outputs)
