"""Quantities as people write them, and the floats that the program works with.

Every quantity in a document or a flag carries its unit: `0.9s`, `105/min`, `1%`, `$1.006/h`. A bare number
is refused, because the field's published figures went wrong by 60x for want of a unit. Inside the
program the unit stands in the name instead: `dwell_s`, `rate_per_s`, `price_usd_per_h`; shares are 0..1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any

import pydantic

_NUMBER = r"(?P<number>[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)"
_DURATION = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_RATE = {"/s": 1.0, "/min": 1 / 60, "/h": 1 / 3600}
_SHARE = {"%": 0.01}
_PRICE = {"$/h": 1.0, "usd/h": 1.0}


def _read(text: object, units: Mapping[str, float], kind: str, example: str) -> float:
    if isinstance(text, bool) or not isinstance(text, int | float | str):
        raise ValueError(f"a {kind} is written like {example!r}, not as a {type(text).__name__}")
    if not isinstance(text, str):
        raise ValueError(f"the number {text} has no unit; write a {kind} like {example!r}")
    compact = text.strip().lower().replace(" ", "")
    if compact.startswith("$"):
        compact = re.sub(r"^\$([0-9.e+-]+)/", r"\1$/", compact)
    match = re.fullmatch(_NUMBER + r"(?P<unit>[a-z%/$]+)?", compact)
    if match is None:
        raise ValueError(f"{text!r} is not a {kind}; write it like {example!r}")
    unit = match["unit"]
    if unit is None:
        raise ValueError(f"the number {text} has no unit; write a {kind} like {example!r}")
    if unit not in units:
        known = ", ".join(units)
        raise ValueError(f"{unit!r} is not a unit of a {kind}; known: {known}")
    value = float(match["number"]) * units[unit]
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is not a finite {kind}")
    return value


def duration_s(text: object) -> float:
    """Seconds from `900ms`, `0.9s`, `5min`, `1h`. Raises ValueError with a sentence."""
    return _read(text, _DURATION, "duration", "0.9s")


def rate_per_s(text: object) -> float:
    """Events per second from `12/s`, `105/min`, `4000/h`. Raises ValueError with a sentence."""
    return _read(text, _RATE, "rate", "12/s")


def share(text: object) -> float:
    """A fraction 0..1 from a percentage such as `1%`. Raises ValueError with a sentence."""
    value = _read(text, _SHARE, "percentage", "80%")
    if value > 1:
        raise ValueError(f"{text!r} is more than 100%")
    return value


def price_usd_per_h(text: object) -> float:
    """US dollars per hour from `$1.006/h` or `1.006 USD/h`. Raises ValueError with a sentence."""
    return _read(text, _PRICE, "price", "$1.006/h")


def _plain(value: float) -> str:
    return f"{value:.6g}"


def format_duration(seconds: float) -> str:
    """`0.25` -> `250ms`, `90` -> `90s`; reads back to the same number at 6 digits."""
    return f"{_plain(seconds * 1000)}ms" if 0 < seconds < 1 else f"{_plain(seconds)}s"


def format_rate(per_s: float) -> str:
    """`1.5` -> `1.5/s`."""
    return f"{_plain(per_s)}/s"


def format_share(value: float) -> str:
    """`0.8` -> `80%`."""
    return f"{_plain(value * 100)}%"


def format_price(usd_per_h: float) -> str:
    """`1.006` -> `$1.006/h`."""
    return f"${_plain(usd_per_h)}/h"


def _annotated(read: Any, write: Any, pattern: str, example: str) -> Any:
    return (
        pydantic.BeforeValidator(read),
        pydantic.PlainSerializer(write, return_type=str),
        pydantic.WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]}),
    )


_N = r"^ *[0-9]+(\.[0-9]+)? *"
Duration = Annotated[float, *_annotated(duration_s, format_duration, _N + "(us|ms|s|min|m|h|d)$", "0.9s")]
Rate = Annotated[float, *_annotated(rate_per_s, format_rate, _N + "/(s|min|h)$", "12/s")]
Share = Annotated[float, *_annotated(share, format_share, _N + "%$", "80%")]
Price = Annotated[
    float,
    *_annotated(price_usd_per_h, format_price, r"^(\$ *[0-9]+(\.[0-9]+)?/h|[0-9]+(\.[0-9]+)? *USD/h)$", "$1.006/h"),
]
