"""The flags that say which API is called and how."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.cli import flags
from holdfast.cli.sections import option
from holdfast.model.errors import InputError

if TYPE_CHECKING:
    from holdfast.model.fleet import Api, TokenLengths, Workload

_API, _PROMPTS = "API", "Prompts"
_OWN_HEADERS = ("connection", "content-length", "content-type", "host", "transfer-encoding", "user-agent")

OPTIONS = (
    option(_API, "--api", type=flags.API, default="completions", show_default=True, help="post: any, by --body."),
    option(_API, "--model", default="", help="The model name that the server answers to."),
    option(_API, "--path", help="Of --api post, e.g. /generate."),
    option(
        _API,
        "--body",
        metavar="JSON|@FILE",
        help='Of --api post, e.g. \'{"prompt": "{prompt}"}\'; also {model}, {max_tokens} and {seed}.',
    ),
    option(_API, "--header", "header", multiple=True, metavar="'NAME: VALUE'", help="Sent along. May be repeated."),
    option(_API, "--token-from", metavar="VARIABLE", help="Send a bearer token from this environment variable."),
    option(_API, "--stream/--no-stream", default=True, show_default=True, help="Ask for server-sent events."),
    option(
        _PROMPTS,
        "--input-tokens",
        type=flags.TOKENS,
        default="200",
        show_default=True,
        help="200, or 200±20 (mean and deviation), or 200±20,100..400 (cut).",
    ),
    option(_PROMPTS, "--output-tokens", type=flags.TOKENS, default="100", show_default=True, help="As above."),
)


@dataclass(frozen=True)
class Call:
    """What is called: the workload, the model's name, and the headers, which no file of a run may hold."""

    workload: Workload
    model: str
    headers: tuple[tuple[str, str], ...]
    stream: bool


def call(
    *,
    api: str,
    model: str,
    path: str | None,
    body: str | None,
    header: tuple[str, ...],
    token_from: str | None,
    stream: bool,
    input_tokens: TokenLengths,
    output_tokens: TokenLengths,
) -> Call:
    """The call that the flags describe. Raises InputError."""
    from holdfast.model.fleet import Api
    from holdfast.model.template import Template

    workload = _workload(Api(api), path, body, input_tokens, output_tokens)
    names_model = workload.api is not Api.POST or "model" in Template.of(workload.body).names
    if not model.isprintable() or (not model.strip() and (model or names_model)):
        wrong = "the model name has characters that cannot be sent" if model.strip() else "there is no model name"
        raise InputError(wrong, where="--model", mend="give the name that the server answers to")
    headers = tuple(_header(line) for line in header)
    twice = {name.lower() for name, _ in headers} & {"authorization"} if token_from else set()
    if twice:
        raise InputError("authorization is given twice", where="--header", mend="leave out one of it and --token-from")
    return Call(workload, model, _authorization(token_from) + headers, stream)


def _workload(
    api: Api, path: str | None, body: str | None, input_tokens: TokenLengths, output_tokens: TokenLengths
) -> Workload:
    """The workload of the flags; lengths that mean nothing to the API are left out."""
    import pydantic

    from holdfast.model.fleet import Api, Workload

    if api is not Api.POST:
        if path is not None or body is not None:
            raise InputError("--path and --body are of --api post", mend="give that, or leave them out")
        return Workload(
            api=api,
            input_tokens=input_tokens if api.takes_tokens else None,
            output_tokens=output_tokens if api.makes_tokens else None,
        )
    if path is None or body is None:
        raise InputError("--api post needs --path and --body")
    try:
        template = json.loads(flags.read_text(Path(body[1:])) if body.startswith("@") else body)
    except (ValueError, RecursionError) as error:
        raise InputError(f"this is not JSON ({error})", where="--body") from error
    try:
        return Workload(api=api, path=path, body=template, input_tokens=input_tokens, output_tokens=output_tokens)
    except pydantic.ValidationError as error:
        raise InputError(error.errors()[0]["msg"].removeprefix("Value error, "), where="--path and --body") from error


def _header(line: str) -> tuple[str, str]:
    """Name and value of a header. The value may be a secret, so it is not repeated in an error."""
    name, colon, value = line.partition(":")
    name, value = name.strip(), value.strip()
    if not colon or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
        raise InputError("a header is not written like 'Name: value'", where="--header")
    if not value.isascii() or not value.isprintable():
        raise InputError(f"the value of {name} has characters that a header cannot carry", where="--header")
    if name.lower() in _OWN_HEADERS:
        raise InputError(f"{name} is set by holdfast itself", where="--header", mend="leave it out")
    return name, value


def _authorization(variable: str | None) -> tuple[tuple[str, str], ...]:
    if variable is None:
        return ()
    token = os.environ.get(variable)
    if not token:
        raise InputError(f"the environment variable {variable!r} is empty", where="--token-from", mend="set it")
    if not token.isascii() or not token.isprintable():
        raise InputError(f"the token in {variable!r} has characters that a header cannot carry", where="--token-from")
    return (("authorization", f"Bearer {token}"),)
