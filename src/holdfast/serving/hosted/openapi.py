"""The description of the API that /openapi.json gives and /docs shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pydantic
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

_SCHEMAS = "#/components/schemas/"
_TEXT = {"type": "string"}
_TEXT_OR_NOT = {"type": ["string", "null"]}
_ERROR = {
    "type": "object",
    "properties": {"message": _TEXT, "type": _TEXT, "param": _TEXT_OR_NOT, "code": _TEXT_OR_NOT},
    "required": ["message", "type", "param", "code"],
}
_REFUSAL = {"type": "object", "properties": {"error": _ERROR}, "required": ["error"]}
_REFUSED = {
    "description": "A refusal: 400 what was asked, 401 the key, 404 the model or the path, 408 and 413 the body, "
    "415 its type, 429 too many wait, 503 not ready.",
    "content": {"application/json": {"schema": {"$ref": f"{_SCHEMAS}Refusal"}}},
}


def takes(form: type[pydantic.BaseModel], example: object, files: Sequence[str] = ()) -> dict[str, Any]:
    """What describes an endpoint that reads `form` by itself. files: media types that it takes instead, as they are."""
    body = {"schema": {"$ref": f"{_SCHEMAS}{form.__name__}"}, "example": example}
    file = {"schema": {"type": "string", "format": "binary"}}
    return {"requestBody": {"required": True, "content": {"application/json": body} | dict.fromkeys(files, file)}}


def describe(app: FastAPI, forms: Sequence[type[pydantic.BaseModel]]) -> None:
    """Have the app's description contain the forms that `takes` refers to."""
    _, definitions = models_json_schema([(form, "validation") for form in forms], ref_template=f"{_SCHEMAS}{{model}}")
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    document.setdefault("components", {}).setdefault("schemas", {}).update(definitions["$defs"] | {"Refusal": _REFUSAL})
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)  # FastAPI's own form, which nothing here answers with
            operation["responses"]["default"] = _REFUSED
    app.openapi = lambda: document  # type: ignore[method-assign]


def page() -> str:
    """A page that shows the description and sends requests. It needs nothing but this server; FastAPI's own loads its
    scripts from the Internet."""
    return Path(__file__).with_name("docs.html").read_text(encoding="utf-8")
