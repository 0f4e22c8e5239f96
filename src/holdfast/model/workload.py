"""What is served, and the shape of one request."""

from __future__ import annotations

import enum
import math
from typing import Annotated, Literal, Self

import pydantic
from pydantic import Field
from pydantic.alias_generators import to_camel

from holdfast.model import quantities
from holdfast.model.declaration import Document, Name
from holdfast.model.fields import Share
from holdfast.model.template import Template


class Api(enum.Enum):
    """The HTTP interface that a request uses. POST is any other: a path and a JSON body of the user's."""

    COMPLETIONS = "completions"
    CHAT = "chat"
    EMBEDDINGS = "embeddings"
    IMAGES = "images"
    POST = "post"

    @property
    def path(self) -> str:
        """Where it is served, below the base of a URL; empty for POST, whose workload says where."""
        return _PATHS.get(self, "")

    @property
    def makes_tokens(self) -> bool:
        """Whether its answers are text, which can stream and has a length."""
        return self in (Api.COMPLETIONS, Api.CHAT)

    @property
    def takes_tokens(self) -> bool:
        """Whether the length of what is asked is known in tokens."""
        return self.makes_tokens or self is Api.EMBEDDINGS


_PATHS = {
    Api.COMPLETIONS: "/v1/completions",
    Api.CHAT: "/v1/chat/completions",
    Api.EMBEDDINGS: "/v1/embeddings",
    Api.IMAGES: "/v1/images/generations",
}


class ModelFiles(Document):
    """Where a replica in a cluster gets the model's files from; from Hugging Face, all of them, when absent.

    s3:           `s3://bucket/prefix` that holds them; sha256: of the file SHA256SUMS there, which lists theirs.
    revision:     commit on Hugging Face.
    files:        patterns of the files that are needed, e.g. `*.safetensors`; all when empty.
    token_secret: Secret of the fleet's namespace whose key `token` has a Hugging Face token.
    """

    s3: Annotated[str, Field(pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^\s]+)?$")] | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    files: tuple[str, ...] = ()
    token_secret: Name | None = None

    @pydantic.model_validator(mode="after")
    def _are_from_one_place(self) -> Self:
        if (self.s3 is None) != (self.sha256 is None):
            raise ValueError("s3 and sha256 go together: files from a bucket are verified")
        if self.s3 is not None and (self.revision is not None or self.token_secret is not None):
            raise ValueError("revision and tokenSecret are of Hugging Face; remove them, or s3")
        return self


class ServedModel(Document):
    """What is served: a Hugging Face id (or any name the server answers to) and its task.

    id:     the model's name there.
    task:   what it makes.
    source: where its files are; on Hugging Face when absent.
    """

    id: Annotated[str, Field(min_length=1)]
    task: Literal["text-generation", "text-to-image"] = "text-generation"
    source: ModelFiles = ModelFiles()


class TokenLengths(Document):
    """A token count per request: a normal distribution in tokens, cut at `min` and `max`.

    mean:         tokens of a request in the mean.
    stddev:       standard deviation in tokens; 0 is a fixed length.
    min, max:     where the distribution is cut; nowhere when absent.
    """

    mean: Annotated[float, Field(gt=0, le=10_000_000)]
    stddev: Annotated[float, Field(ge=0, le=10_000_000)] = 0.0
    min: Annotated[int | None, Field(ge=1, le=10_000_000)] = None
    max: Annotated[int | None, Field(ge=1, le=10_000_000)] = None

    @pydantic.model_validator(mode="after")
    def _mean_is_between(self) -> Self:
        low, high = self.min if self.min is not None else 0, self.max if self.max is not None else math.inf
        if low > high:
            raise ValueError(f"the min of {low} tokens is above the max of {high}")
        if not low <= self.mean <= high:
            raise ValueError(f"the mean of {self.mean:g} tokens is not between min and max ({low} and {high:g})")
        return self


class RequestSize(Document):
    """Requests of one size: their share of all, and the tokens of one of them.

    share:         of all requests.
    input_tokens:  of the prompt.
    output_tokens: of the answer.
    """

    share: Share
    input_tokens: Annotated[float, Field(gt=0, le=10_000_000)]
    output_tokens: Annotated[float, Field(gt=0, le=10_000_000)]


class Workload(Document):
    """The shape of one request.

    api:           the HTTP interface that clients use.
    input_tokens:  due for `completions`, `chat` and `embeddings`; for `post`, of what `{prompt}` stands for.
    output_tokens: due for `completions` and `chat`; for `post`, what `{max_tokens}` stands for.
    path, body:    of `post`: where it goes, below the base of the URL, and its JSON (see model.template).
    sizes:         what the requests are made of where one mean does not describe them; for planning only. Shares add up
                   to 100%.
    """

    api: Api
    input_tokens: TokenLengths | None = None
    output_tokens: TokenLengths | None = None
    path: Annotated[str | None, Field(max_length=2000)] = None
    body: pydantic.JsonValue = None
    sizes: Annotated[tuple[RequestSize, ...], Field(max_length=100)] = ()

    @pydantic.model_validator(mode="after")
    def _sizes_are_whole(self) -> Self:
        if self.sizes and not (self.input_tokens and self.output_tokens):
            raise ValueError("sizes are in tokens; they need inputTokens and outputTokens, the means over all sizes")
        if self.sizes and not math.isclose(math.fsum(size.share for size in self.sizes), 1.0, abs_tol=1e-6):
            total = quantities.format_share(math.fsum(size.share for size in self.sizes))
            raise ValueError(f"the shares of the sizes add up to {total}; make them 100%")
        for kind, lengths in (("input_tokens", self.input_tokens), ("output_tokens", self.output_tokens)):
            mean = math.fsum(size.share * getattr(size, kind) for size in self.sizes)
            if self.sizes and lengths and not math.isclose(mean, lengths.mean, rel_tol=0.05):
                key = to_camel(kind)
                raise ValueError(f"the sizes have {mean:g} {key} on average, and {key} has a mean of {lengths.mean:g}")
        return self

    @pydantic.model_validator(mode="after")
    def _fits_api(self) -> Self:
        if self.api is Api.POST:
            self._check_post()
            return self
        name = self.api.value
        if self.path is not None or self.body is not None:
            raise ValueError(f"the {name} API has its own path and body; remove path and body, or use the post API")
        if self.api.makes_tokens and (self.input_tokens is None or self.output_tokens is None):
            raise ValueError(f"the {name} API needs inputTokens and outputTokens, e.g. {{mean: 200}}")
        if self.api.takes_tokens and self.input_tokens is None:
            raise ValueError(f"the {name} API needs inputTokens, e.g. {{mean: 200}}")
        if not self.api.takes_tokens and (self.input_tokens or self.output_tokens):
            raise ValueError(f"the {name} API has no inputTokens or outputTokens; remove them")
        if not self.api.makes_tokens and self.output_tokens:
            raise ValueError(f"the {name} API has no outputTokens; remove them")
        return self

    def _check_post(self) -> None:
        if self.path is None or self.body is None:
            raise ValueError("the post API needs a path and a body, e.g. path: /generate, body: {prompt: '{prompt}'}")
        if not self.path.startswith("/") or not self.path.isascii() or not self.path.isprintable() or " " in self.path:
            raise ValueError(f"{self.path!r} is not a path; it begins with / and has no blank")
        names = Template.of(self.body).names
        for placeholder, lengths, key in (
            ("prompt", self.input_tokens, "inputTokens"),
            ("max_tokens", self.output_tokens, "outputTokens"),
        ):
            if placeholder in names and lengths is None:
                raise ValueError(f"the body has {{{placeholder}}}, and {key} does not say how long it is")

    @property
    def request_path(self) -> str:
        """Where requests of this workload go, below the base of a URL."""
        return self.path or self.api.path
