"""The description of the API that /openapi.json gives and /docs shows."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pydantic
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

_SCHEMAS = "#/components/schemas/"
_FORMS = "x-holdfast-form"


def takes(form: type[pydantic.BaseModel], example: object, **others: object) -> dict[str, Any]:
    """What describes an endpoint that reads `form` by itself. others: further media types, with their schemas."""
    body = {"schema": {"$ref": f"{_SCHEMAS}{form.__name__}"}, "example": example}
    content = {"application/json": body} | {
        name.replace("_", "/"): {"schema": schema} for name, schema in others.items()
    }
    return {"requestBody": {"required": True, "content": content}}


def describe(app: FastAPI, forms: Sequence[type[pydantic.BaseModel]]) -> None:
    """Have the app's description contain the forms that `takes` refers to."""
    _, definitions = models_json_schema([(form, "validation") for form in forms], ref_template=f"{_SCHEMAS}{{model}}")
    described = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    document = copy.deepcopy(described)
    document.setdefault("components", {}).setdefault("schemas", {}).update(definitions.get("$defs", {}))
    app.openapi = lambda: document  # type: ignore[method-assign]


def page() -> str:
    """A page that shows the description and sends requests; it needs nothing but this server, unlike FastAPI's own, which
    loads its scripts from the Internet."""
    return Path(__file__).with_name("docs.html").read_text(encoding="utf-8")
