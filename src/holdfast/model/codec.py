"""Values to JSON and back, with the model's own types as the schema."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, TypeVar

import pydantic

from holdfast.model.errors import InputError

T = TypeVar("T")

OrNaN = Annotated[float, pydantic.BeforeValidator(lambda value: math.nan if value is None else value)]
"""A float that may be NaN (nothing was measured); null in JSON."""

OrInfinite = Annotated[float, pydantic.BeforeValidator(lambda value: math.inf if value is None else value)]
"""A float that may be infinite (no bound was found); null in JSON."""


def to_jsonable(value: object) -> Any:
    """The value as dicts, lists, strings and numbers; NaN and infinities become null, as JSON has none."""
    return _finite(pydantic.TypeAdapter(Any).dump_python(value, mode="json", by_alias=True))


def dumps(value: object) -> str:
    """The value as indented JSON with a final newline."""
    return json.dumps(to_jsonable(value), indent=2, ensure_ascii=False) + "\n"


def loads(kind: type[T], text: str, *, where: str) -> T:
    """A value of `kind` from JSON text. Raises InputError naming `where`, the key and the mend."""
    try:
        return pydantic.TypeAdapter(kind).validate_json(text, by_alias=True, by_name=False)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(
            f"{key} cannot be read as part of a {kind.__name__} ({first['msg']})",
            where=where,
            mend="write the file anew with this version of holdfast",
        ) from error


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value
