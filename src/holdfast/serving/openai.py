"""The OpenAI-shaped requests that are understood, and the bytes of the answers.

Prompt tokens are counted as words between white space, because no tokenizer is loaded: right for prompts that
a load generator made of one-token words, and too low for prose. A prompt given as token ids is counted exactly.
Output text is one word per token. Sampling parameters and stop strings are accepted and change nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.serving.errors import RequestError

_COMPLETION_MAX_TOKENS = 16  # OpenAI's default for /v1/completions, and vLLM's
_MAX_IMAGES = 10
_WORD = " kelp"
# The smallest PNG: one grey pixel.
_PNG_B64 = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNoAAAAggCB2kUIOwAAAABJRU5ErkJggg=="


@dataclass(frozen=True)
class Served:
    """What the server answers for: its models by all their names, and its longest context in tokens.

    answer_tokens: where an unbounded answer ends.
    """

    models: tuple[str, ...]
    max_model_len: int
    answer_tokens: int


@dataclass(frozen=True)
class Generation:
    """A request for text. `outputs` is the number of tokens that it will get, and `finish_reason` why no more.

    prompt: its tokens, words or ids.
    """

    chat: bool
    model: str
    prompt: Sequence[Hashable]
    outputs: int
    finish_reason: str
    stream: bool
    include_usage: bool

    @property
    def prompt_tokens(self) -> int:
        return len(self.prompt)

    def tokens(self) -> list[Hashable]:
        """All that will be in the KV cache: a chat that goes on with the answer begins with the same."""
        return [*self.prompt, *[_WORD.strip()] * self.outputs]


def read_generation(body: bytes, served: Served, *, chat: bool) -> Generation:
    """The request in `body`, for /v1/chat/completions or /v1/completions. Raises RequestError.

    An answer has max_tokens with `ignore_eos`; otherwise it ends at the profile's answer_tokens where that is
    less, but not before min_tokens.
    """
    fields = _fields(body, served.models)
    _whole(fields, "n", 1, low=1, high=1)
    prompt = _chat_words(fields) if chat else _prompt_words(fields)
    limit = _token_limit(fields, served, len(prompt), chat=chat)
    least = _whole(fields, "min_tokens", 0, low=0, high=limit)
    outputs = limit if _flag(fields, "ignore_eos") else min(limit, max(least, served.answer_tokens))
    stream = _flag(fields, "stream")
    return Generation(
        chat=chat,
        model=fields["model"],
        prompt=prompt,
        outputs=outputs,
        finish_reason="length" if outputs == limit else "stop",
        stream=stream,
        include_usage=stream and _include_usage(fields),
    )


def read_images(body: bytes, models: tuple[str, ...]) -> int:
    """How many images the request in `body` asks for. Raises RequestError. Their size changes nothing."""
    fields = _fields(body, models)
    prompt = fields.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise RequestError(400, "prompt must be a text that is not empty", param="prompt")
    if fields.get("response_format", "b64_json") != "b64_json":
        raise RequestError(400, "response_format must be b64_json; there are no URLs here", param="response_format")
    return _whole(fields, "n", 1, low=1, high=_MAX_IMAGES)


def images_body(count: int) -> bytes:
    """The answer to /v1/images/generations."""
    return json.dumps({"created": int(time.time()), "data": [{"b64_json": _PNG_B64}] * count}).encode()


def _fields(body: bytes, models: tuple[str, ...]) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RequestError(400, f"the body is not JSON ({error})") from error
    if not isinstance(fields, dict):
        raise RequestError(400, "the body must be a JSON object")
    if fields.get("model") is None:
        raise RequestError(400, "model is missing", param="model")
    if fields["model"] not in models:
        message = f"the model {fields['model']!r} does not exist; this server has {', '.join(map(repr, models))}"
        raise RequestError(404, message, param="model", code="model_not_found")
    return fields


def _whole(fields: Mapping[str, Any], name: str, default: int, *, low: int, high: int) -> int:
    value = fields.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        bounds = f"{low}" if low == high else f"a whole number from {low} to {high}"
        raise RequestError(400, f"{name} must be {bounds}, not {value!r}", param=name)
    return value


def _flag(fields: Mapping[str, Any], name: str) -> bool:
    value = fields.get(name)
    if value is not None and not isinstance(value, bool):
        raise RequestError(400, f"{name} must be true or false, not {value!r}", param=name)
    return bool(value)


def _include_usage(fields: Mapping[str, Any]) -> bool:
    options = fields.get("stream_options")
    if options is None:
        return False
    if not isinstance(options, dict):
        raise RequestError(400, "stream_options must be an object", param="stream_options")
    return _flag(options, "include_usage")


def _token_limit(fields: Mapping[str, Any], served: Served, prompt_tokens: int, *, chat: bool) -> int:
    room = served.max_model_len - prompt_tokens
    if room < 1:
        message = (
            f"the prompt has {prompt_tokens} tokens and the context ends at {served.max_model_len} with the answer"
        )
        raise RequestError(400, message, param="messages" if chat else "prompt", code="context_length_exceeded")
    newer = chat and fields.get("max_completion_tokens") is not None
    name = "max_completion_tokens" if newer else "max_tokens"
    return _whole(fields, name, room if chat else min(room, _COMPLETION_MAX_TOKENS), low=1, high=room)


def _words(text: str) -> list[str]:
    return text.split() or [text]


def _prompt_words(fields: Mapping[str, Any]) -> Sequence[Hashable]:
    prompt = fields.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str | list):
        prompt = prompt[0]
    if isinstance(prompt, str) and prompt:
        return _words(prompt)
    if isinstance(prompt, list) and prompt and all(type(token) is int and token >= 0 for token in prompt):
        return prompt
    message = "prompt must be one text or one list of token ids, and not empty"
    raise RequestError(400, message, param="prompt")


def _chat_words(fields: Mapping[str, Any]) -> Sequence[Hashable]:
    messages = fields.get("messages")
    if not isinstance(messages, list) or not messages:
        raise RequestError(400, "messages must be a list that is not empty", param="messages")
    return [word for message in messages for word in _message_words(message)]


def _message_words(message: object) -> list[str]:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise RequestError(400, "each message must be an object with a role", param="messages")
    content = message.get("content")
    parts = [{"text": content}] if isinstance(content, str) else content
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise RequestError(400, "the content of a message must be a text or a list of text parts", param="messages")
    texts = [part.get("text") for part in parts]
    if not all(isinstance(text, str) for text in texts):
        raise RequestError(400, "only text parts are served here", param="messages")
    return [word for text in texts for word in _words(text)]


class Wording:
    """The bytes of the answer to one Generation, made before they are due.

    A stream has one event per token; the first of a chat also brings the event that names the role.
    """

    def __init__(self, request: Generation, key: int) -> None:
        self._request = request
        self._id = f"{'chatcmpl' if request.chat else 'cmpl'}-{key}"
        self._created = int(time.time())
        self._token = self._event([self._choice(None)])

    def events(self, seen: int, produced: int) -> bytes:
        """The events of the tokens after number `seen` up to number `produced`."""
        opening = self._opening() if seen == 0 else b""
        if produced < self._request.outputs:
            return opening + self._token * (produced - seen)
        last = self._event([self._choice(self._request.finish_reason)])
        usage = self._event([], usage=self._usage()) if self._request.include_usage else b""
        return b"".join((opening, self._token * (produced - seen - 1), last, usage, b"data: [DONE]\n\n"))

    def body(self) -> bytes:
        """The whole answer as one JSON object."""
        text = _WORD * self._request.outputs
        content = {"message": {"role": "assistant", "content": text}} if self._request.chat else {"text": text}
        choice = {"index": 0, **content, "logprobs": None, "finish_reason": self._request.finish_reason}
        kind = "chat.completion" if self._request.chat else "text_completion"
        return json.dumps({**self._head(kind), "choices": [choice], "usage": self._usage()}).encode()

    def _opening(self) -> bytes:
        if not self._request.chat:
            return b""
        delta = {"role": "assistant", "content": ""}
        return self._event([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}])

    def _choice(self, finish_reason: str | None) -> dict[str, Any]:
        content = {"delta": {"content": _WORD}} if self._request.chat else {"text": _WORD}
        return {"index": 0, **content, "logprobs": None, "finish_reason": finish_reason}

    def _event(self, choices: list[dict[str, Any]], **rest: object) -> bytes:
        kind = "chat.completion.chunk" if self._request.chat else "text_completion"
        text = json.dumps({**self._head(kind), "choices": choices, **rest}, separators=(",", ":"))
        return f"data: {text}\n\n".encode()

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self._id, "object": kind, "created": self._created, "model": self._request.model}

    def _usage(self) -> dict[str, int]:
        prompt, output = self._request.prompt_tokens, self._request.outputs
        return {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}
