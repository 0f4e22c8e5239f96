"""The bytes of answers with text: server-sent events, and whole bodies."""

from __future__ import annotations

import json
import time
from typing import Any

from holdfast.serving.errors import RequestError

DONE = b"data: [DONE]\n\n"


def usage(prompt_tokens: int, completion_tokens: int) -> dict[str, int]:
    total = prompt_tokens + completion_tokens
    return {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, "total_tokens": total}


class Wording:
    """The form of the answer to one request of `model`; its id ends in `key`."""

    def __init__(self, *, chat: bool, model: str, key: object) -> None:
        self._chat = chat
        self._model = model
        self._id = f"{'chatcmpl' if chat else 'cmpl'}-{key}"
        self._created = int(time.time())

    def opening(self) -> bytes:
        """What a stream begins with: the event that names the role in a chat."""
        if not self._chat:
            return b""
        delta = {"role": "assistant", "content": ""}
        return self._event([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}])

    def event(self, text: str, finish_reason: str | None = None) -> bytes:
        """The event that adds `text` to the answer; the last says why it ends."""
        content = {"delta": {"content": text}} if self._chat else {"text": text}
        return self._event([{"index": 0, **content, "logprobs": None, "finish_reason": finish_reason}])

    def usage_event(self, prompt_tokens: int, completion_tokens: int) -> bytes:
        return self._event([], usage=usage(prompt_tokens, completion_tokens))

    def body(self, text: str, finish_reason: str, prompt_tokens: int, completion_tokens: int) -> bytes:
        """The whole answer as one JSON object."""
        content = {"message": {"role": "assistant", "content": text}} if self._chat else {"text": text}
        choice = {"index": 0, **content, "logprobs": None, "finish_reason": finish_reason}
        head = self._head("chat.completion" if self._chat else "text_completion")
        return json.dumps({**head, "choices": [choice], "usage": usage(prompt_tokens, completion_tokens)}).encode()

    def _event(self, choices: list[dict[str, Any]], **rest: object) -> bytes:
        head = self._head("chat.completion.chunk" if self._chat else "text_completion")
        return f"data: {json.dumps({**head, 'choices': choices, **rest}, separators=(',', ':'))}\n\n".encode()

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self._id, "object": kind, "created": self._created, "model": self._model}


def error_event(error: RequestError) -> bytes:
    """What a stream ends with that cannot go on."""
    return f"data: {json.dumps(error.body(), separators=(',', ':'))}\n\n".encode() + DONE
