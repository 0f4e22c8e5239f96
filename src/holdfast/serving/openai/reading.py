"""From the bytes of a request to its body, or to the sentence that refuses it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import pydantic

from holdfast.serving.errors import RequestError
from holdfast.serving.openai.bodies import Body

Form = TypeVar("Form", bound=pydantic.BaseModel)
_SHOWN = 60

_HARMLESS = frozenset(
    [
        "user",
        "metadata",
        "store",
        "service_tier",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "parallel_tool_calls",
        "request_id",
        "priority",
        "cache_salt",
        "moderation",
    ]
)
"""Parameters of OpenAI and vLLM that change nothing in an answer of these servers."""

_NEUTRAL: Mapping[str, Sequence[object]] = {
    "best_of": (1,),
    "echo": (False,),
    "logprobs": (False,),
    "logit_bias": ({},),
    "presence_penalty": (0, 0.0),
    "frequency_penalty": (0, 0.0),
    "repetition_penalty": (1, 1.0),
    "length_penalty": (1, 1.0),
    "min_p": (0, 0.0),
    "suffix": ("",),
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("none", "auto"),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "stop_token_ids": ([],),
    "bad_words": ([],),
    "use_beam_search": (False,),
    "add_special_tokens": (True,),
    "skip_special_tokens": (True,),
    "spaces_between_special_tokens": (True,),
    "output_format": ("png",),
    "quality": ("auto", "standard"),
    "stream": (False,),
}
"""Parameters that would change an answer, and the values at which they do not."""


def read(body: bytes, form: type[Form]) -> Form:
    """The body as what it should be. Raises RequestError 400 that names the parameter at fault."""
    try:
        return form.model_validate_json(body)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        raise _refusal(form, first) from error


def _refusal(form: type[pydantic.BaseModel], error: Any) -> RequestError:
    if error["type"] == "json_invalid":
        reason = str(error["msg"]).removeprefix("Invalid JSON: ")
        return RequestError(400, f"the body is not JSON ({reason})")
    if not error["loc"]:
        return RequestError(400, "the body must be a JSON object")
    name = str(error["loc"][0])
    if error["type"] == "extra_forbidden":
        return _unknown(form, name)
    if (error["type"] == "missing" and len(error["loc"]) == 1) or (name == "model" and error["input"] is None):
        return RequestError(400, f"{name} is missing", param=name)
    shown = repr(error["input"])
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
    return RequestError(400, f"{name} must be {form.model_fields[name].description}, not {shown}", param=name)


def require_model(name: str, models: Sequence[str]) -> None:
    """Raises RequestError 404 for a model that is not served."""
    if name not in models:
        message = f"the model {name!r} does not exist; this server has {', '.join(map(repr, models))}"
        raise RequestError(404, message, param="model", code="model_not_found")


def require_served(body: Body) -> None:
    """Raises RequestError 400 for parameters that would change the answer and are not obeyed, also misspelt ones."""
    for name, value in (body.model_extra or {}).items():
        if value is None or name in _HARMLESS:
            continue
        if name in _NEUTRAL:
            if not any(type(value) is type(neutral) and value == neutral for neutral in _NEUTRAL[name]):
                raise RequestError(400, f"{name} is not served here", param=name, code="unsupported_parameter")
            continue
        raise _unknown(type(body), name)


def _unknown(form: type[pydantic.BaseModel], name: str) -> RequestError:
    near = difflib.get_close_matches(name, form.model_fields, n=1)
    mend = f"; did you mean {near[0]}?" if near else ""
    return RequestError(400, f"the parameter {name!r} is not known here{mend}", param=name, code="unknown_parameter")
