"""The JSON that each API takes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property

from holdfast.load.dialogues import Message
from holdfast.model.fleet import Api, Workload
from holdfast.model.template import Template


@dataclass(frozen=True)
class Form:
    """Writes bodies for one workload and model.

    stream:     ask for server-sent events, with usage at the end.
    extensions: also send `min_tokens` and `ignore_eos`, which vLLM knows and OpenAI does not.
    image_size: of the images API, such as `512x512`; empty leaves it to the server.
    """

    workload: Workload
    model: str
    stream: bool = True
    extensions: bool = True
    image_size: str = ""

    @cached_property
    def template(self) -> Template:
        """Of the post API."""
        return Template.of(self.workload.body)

    @cached_property
    def asks_a_seed(self) -> bool:
        """Whether a body has a seed in it."""
        return self.workload.api is Api.POST and "seed" in self.template.names

    def body(self, prompt: str, tokens_out: int, seed: int, before: tuple[Message, ...] = ()) -> bytes:
        """The body that asks `prompt` and an answer of `tokens_out` tokens; `before` are earlier messages of a chat."""
        api = self.workload.api
        if api is Api.POST:
            return self.template.fill(prompt=prompt, model=self.model, max_tokens=tokens_out, seed=seed)
        if api is Api.IMAGES:
            size = {"size": self.image_size} if self.image_size else {}
            asked = {"model": self.model, "prompt": prompt, "n": 1, "response_format": "b64_json"} | size
            return json.dumps(asked).encode()
        if api is Api.EMBEDDINGS:
            return json.dumps({"model": self.model, "input": prompt}).encode()
        return json.dumps(self._text(prompt, tokens_out, before)).encode()

    def _text(self, prompt: str, tokens_out: int, before: tuple[Message, ...]) -> dict[str, object]:
        body: dict[str, object] = {"model": self.model, "max_tokens": tokens_out}
        if self.extensions:
            body |= {"min_tokens": tokens_out, "ignore_eos": True}
        if self.workload.api is Api.CHAT:
            body["messages"] = [*before, {"role": "user", "content": prompt}]
        else:
            body["prompt"] = prompt
        if self.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return body
