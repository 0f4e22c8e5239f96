"""Requests for text: how long a prompt is and what its answer may be, whatever tokens are here."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from holdfast.serving.errors import RequestError
from holdfast.serving.openai import reading
from holdfast.serving.openai.bodies import ChatBody, CompletionBody, Message

_COMPLETION_MAX_TOKENS = 16  # OpenAI's default for /v1/completions, and vLLM's
_TEMPERATURE = 1.0  # OpenAI's default, and vLLM's where the model has none


@dataclass(frozen=True)
class Served:
    """What a server answers for: its models by all their names, its longest context in tokens, and what a token is.

    obeys_all: refuse parameters that would change the answer and are not known, instead of ignoring them.
    """

    models: tuple[str, ...]
    max_model_len: int
    tokens: Callable[[str], Sequence[Hashable]]
    chat_tokens: Callable[[Sequence[Message]], Sequence[Hashable]]
    obeys_all: bool


@dataclass(frozen=True)
class Generation:
    """A request for text. prompt: its tokens; temperature 0 is greedy, top_k 0 and top_p 1 leave all tokens in."""

    chat: bool
    model: str
    prompt: Sequence[Hashable]
    max_tokens: int
    min_tokens: int
    ignore_eos: bool
    stream: bool
    include_usage: bool
    stop: tuple[str, ...]
    temperature: float
    top_p: float
    top_k: int
    seed: int | None

    @property
    def prompt_tokens(self) -> int:
        return len(self.prompt)


def read(body: bytes, served: Served, *, chat: bool) -> Generation:
    """The request in `body`, for /v1/chat/completions or /v1/completions. Raises RequestError."""
    asked = reading.read(body, ChatBody) if chat else reading.read(body, CompletionBody)
    reading.require_model(asked.model, served.models)
    if served.obeys_all:
        reading.require_served(asked)
    prompt = served.chat_tokens(asked.messages) if isinstance(asked, ChatBody) else _prompt(asked, served)
    limit = _token_limit(asked, served, len(prompt))
    least = asked.min_tokens or 0
    if least > limit:
        message = f"min_tokens must be a whole number from 0 to {limit}, not {least}"
        raise RequestError(400, message, param="min_tokens")
    stops = [asked.stop] if isinstance(asked.stop, str) else asked.stop or []
    return Generation(
        chat=chat,
        model=asked.model,
        prompt=prompt,
        max_tokens=limit,
        min_tokens=least,
        ignore_eos=bool(asked.ignore_eos),
        stream=bool(asked.stream),
        include_usage=bool(asked.stream and asked.stream_options and asked.stream_options.include_usage),
        stop=tuple(stops),
        temperature=_TEMPERATURE if asked.temperature is None else asked.temperature,
        top_p=1.0 if asked.top_p is None else asked.top_p,
        top_k=max(0, asked.top_k or 0),
        seed=asked.seed,
    )


def _prompt(asked: CompletionBody, served: Served) -> Sequence[Hashable]:
    prompt = asked.only_prompt()
    return served.tokens(prompt) if isinstance(prompt, str) else prompt


def _token_limit(asked: ChatBody | CompletionBody, served: Served, prompt_tokens: int) -> int:
    chat = isinstance(asked, ChatBody)
    room = served.max_model_len - prompt_tokens
    if room < 1:
        message = (
            f"the prompt has {prompt_tokens} tokens and the context ends at {served.max_model_len} with the answer"
        )
        raise RequestError(400, message, param="messages" if chat else "prompt", code="context_length_exceeded")
    newer = asked.max_completion_tokens if isinstance(asked, ChatBody) else None
    name, limit = ("max_tokens", asked.max_tokens) if newer is None else ("max_completion_tokens", newer)
    if limit is None:
        return room if chat else min(room, _COMPLETION_MAX_TOKENS)
    if limit > room:
        raise RequestError(400, f"{name} must be a whole number from 1 to {room}, not {limit}", param=name)
    return limit
