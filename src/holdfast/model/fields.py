"""Quantities as fields of a document: read and written with their units, and described so in its JSON schema.

How they are read is in `quantities`, which needs no pydantic: flags are read with it, and `--help` waits for nothing.
"""

from __future__ import annotations

from typing import Annotated, Any

import pydantic

from holdfast.model.quantities import duration_s, exact, price_usd_per_h, rate_per_s, share, vcpus


def _annotated(read: Any, written: str, pattern: str, example: str, of_one: int = 1) -> Any:
    return (
        pydantic.BeforeValidator(read),
        # Documents and plans are written exactly, in the base unit; the `format_` functions are for people.
        pydantic.PlainSerializer(lambda value: written.format(exact(value, of_one)), return_type=str),
        pydantic.WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]}),
    )


_N = r"^ *[0-9]+(\.[0-9]+)? *"
Duration = Annotated[float, *_annotated(duration_s, "{}s", _N + "(us|ms|s|min|m|h|d)$", "0.9s")]
Rate = Annotated[float, *_annotated(rate_per_s, "{}/s", _N + "/(s|min|h)$", "12/s")]
Share = Annotated[float, *_annotated(share, "{}%", _N + "%$", "80%", 100)]
Vcpus = Annotated[int, *_annotated(vcpus, "{} vCPU", r"^ *[0-9]+ *vCPUs?$", "192 vCPU")]
Price = Annotated[
    float,
    *_annotated(price_usd_per_h, "${}/h", r"^(\$ *[0-9]+(\.[0-9]+)?/h|[0-9]+(\.[0-9]+)? *USD/h)$", "$1.006/h"),
]
