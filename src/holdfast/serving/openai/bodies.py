"""The bodies of OpenAI's requests that are understood.

A field's description completes "NAME must be …": it is the page's documentation and the sentence of a refusal. What a
body has beyond its fields is kept as `model_extra`, for `reading.require_served` to judge.
"""

from __future__ import annotations

from typing import Annotated, Any

import pydantic
from pydantic import Field

MAX_IMAGES = 10
MAX_INPUTS = 2048
_MAX_STOPS = 16
_SEEDS = 2**63 - 1

Tokens = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
NotEmpty = Annotated[str, Field(min_length=1)]
Flag = Annotated[bool | None, Field(description="true or false")]
Seed = Annotated[int | None, Field(ge=0, le=_SEEDS, description=f"a whole number from 0 to {_SEEDS}")]
Count = Annotated[int | None, Field(ge=1, description="a whole number of at least 1")]


class Body(pydantic.BaseModel):
    """What every body has. Numbers and flags are taken as they are: "9" is no number and 1 is not true."""

    model_config = pydantic.ConfigDict(strict=True, extra="allow", frozen=True, allow_inf_nan=False)

    model: Annotated[str, Field(description="the name of a model that is served here")]


class StreamOptions(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True, frozen=True)

    include_usage: bool | None = None


class _TextBody(Body):
    """What completions and chats have in common."""

    n: Annotated[int | None, Field(ge=1, le=1, description="1")] = None
    max_tokens: Count = None
    min_tokens: Annotated[int | None, Field(ge=0, description="a whole number of at least 0")] = None
    ignore_eos: Flag = None
    stream: Flag = None
    stream_options: Annotated[
        StreamOptions | None, Field(description="an object whose include_usage is true or false")
    ] = None
    stop: Annotated[
        NotEmpty | Annotated[list[NotEmpty], Field(max_length=_MAX_STOPS)] | None,
        Field(description=f"a text or a list of at most {_MAX_STOPS} texts, none of them empty"),
    ] = None
    temperature: Annotated[float | None, Field(ge=0, le=2, description="a number from 0 to 2")] = None
    top_p: Annotated[float | None, Field(gt=0, le=1, description="a number above 0 and at most 1")] = None
    top_k: Annotated[int | None, Field(ge=-1, description="a whole number of at least -1")] = None
    seed: Seed = None


class CompletionBody(_TextBody):
    """POST /v1/completions."""

    prompt: Annotated[
        NotEmpty | Tokens | Annotated[list[NotEmpty | Tokens], Field(min_length=1, max_length=1)],
        Field(description="one text or one list of token ids, and not empty"),
    ]

    def only_prompt(self) -> str | list[int]:
        """The text or the token ids, also where they are in a list of their own."""
        if isinstance(self.prompt, str):
            return self.prompt
        first = self.prompt[0]
        return [token for token in self.prompt if isinstance(token, int)] if isinstance(first, int) else first


class Part(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True, extra="allow", frozen=True)

    type: str = "text"
    text: str


class Message(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True, extra="allow", frozen=True)

    role: str
    content: str | list[Part]

    def texts(self) -> list[str]:
        return [self.content] if isinstance(self.content, str) else [part.text for part in self.content]


class ChatBody(_TextBody):
    """POST /v1/chat/completions."""

    messages: Annotated[
        list[Message],
        Field(
            min_length=1,
            description="a list of messages, each an object with a role and a content of text or text parts; not empty",
        ),
    ]
    max_completion_tokens: Count = None


_INPUT = "a text or a list of token ids, or a list of such, none of them empty"
Inputs = Annotated[
    NotEmpty | Tokens | Annotated[list[NotEmpty] | list[Tokens], Field(min_length=1, max_length=MAX_INPUTS)],
    Field(description=f"{_INPUT}, and at most {MAX_INPUTS}"),
]


class InputsBody(Body):
    """POST /classify."""

    input: Inputs

    def inputs(self) -> list[str | tuple[int, ...]]:
        """Each input by itself."""
        if isinstance(self.input, str):
            return [self.input]
        if all(isinstance(item, int) for item in self.input):
            return [_ids(self.input)]
        return [item if isinstance(item, str) else _ids(item) for item in self.input]


def _ids(tokens: Any) -> tuple[int, ...]:
    return tuple(tokens)


class EmbeddingsBody(InputsBody):
    """POST /v1/embeddings."""

    encoding_format: Annotated[str | None, Field(pattern="^(float|base64)$", description="float or base64")] = None


class ImagesBody(Body):
    """POST /v1/images/generations. The fields from `negative_prompt` on are not OpenAI's."""

    prompt: Annotated[str, Field(pattern=r"\S", description="a text that is not empty")]
    n: Annotated[int | None, Field(ge=1, le=MAX_IMAGES, description=f"a whole number from 1 to {MAX_IMAGES}")] = None
    size: Annotated[
        str | None, Field(pattern=r"^(auto|[1-9]\d{0,4}x[1-9]\d{0,4})$", description="a size such as 512x512, or auto")
    ] = None
    response_format: Annotated[
        str | None, Field(pattern="^b64_json$", description="b64_json; there are no URLs here")
    ] = None
    negative_prompt: Annotated[str | None, Field(description="a text")] = None
    steps: Count = None
    guidance: Annotated[float | None, Field(ge=0, le=100, description="a number from 0 to 100")] = None
    seed: Seed = None

    def sides(self) -> tuple[int, int] | tuple[None, None]:
        """Width and height in pixels; None for the model's own."""
        if self.size in (None, "auto"):
            return None, None
        width, _, height = str(self.size).partition("x")
        return int(width), int(height)
