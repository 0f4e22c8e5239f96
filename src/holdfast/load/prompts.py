"""Request bodies: what is asked of the server, serialised before the clock starts.

Prompts are drawn from words that the byte-pair tokenizers of the field keep as one token each, so a
prompt of n words is n tokens to within a few per cent; the server's own `usage.prompt_tokens` is recorded
beside it and a material difference is reported. Prompts of a run are drawn word by word
from 290 words, so that two share a first cache block of 16 tokens only by a freak of chance: a shared beginning would
be served from a prefix cache and flatter the server.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources

import numpy as np

from holdfast.model.fleet import Api, TokenLengths, Workload

_WORDS = resources.files("holdfast.load").joinpath("data/words.txt").read_text("utf-8").split()


@dataclass(frozen=True)
class Ask:
    """One request, ready to send: its body and the lengths that it asks for (0 for images).

    follow: of a conversation: gives the next turn, made of the answer's text, or None when it has ended.
    """

    body: bytes
    tokens_in: int
    tokens_out: int
    follow: Callable[[str], Ask | None] | None = None


def asks(workload: Workload, model: str, seed: int, *, stream: bool = True, extensions: bool = True) -> Iterator[Ask]:
    """An endless, seeded sequence of requests of this workload.

    extensions: also send `min_tokens` and `ignore_eos`, which vLLM knows and OpenAI does not.
    """
    generator = np.random.default_rng(seed)
    while True:
        if workload.api is Api.IMAGES:
            yield Ask(_images_body(model, _words(generator, 12)), 0, 0)
            continue
        assert workload.input_tokens is not None and workload.output_tokens is not None
        n_in, n_out = _length(workload.input_tokens, generator), _length(workload.output_tokens, generator)
        yield Ask(_text_body(workload.api, model, _words(generator, n_in), n_out, stream, extensions), n_in, n_out)


def _length(lengths: TokenLengths, generator: np.random.Generator) -> int:
    return max(1, round(float(generator.normal(lengths.mean, lengths.stddev))))


def _words(generator: np.random.Generator, count: int) -> str:
    return " ".join(_WORDS[i] for i in generator.integers(len(_WORDS), size=count))


def _images_body(model: str, prompt: str) -> bytes:
    return json.dumps({"model": model, "prompt": prompt, "n": 1, "response_format": "b64_json"}).encode()


def _text_body(api: Api, model: str, prompt: str, tokens_out: int, stream: bool, extensions: bool) -> bytes:
    body: dict[str, object] = {"model": model, "max_tokens": tokens_out}
    if extensions:
        body |= {"min_tokens": tokens_out, "ignore_eos": True}
    if api is Api.CHAT:
        body["messages"] = [{"role": "user", "content": prompt}]
    else:
        body["prompt"] = prompt
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(body).encode()
