"""Quantities as people write them, and the floats that the program works with.

Every quantity in a document or a flag carries its unit: `0.9s`, `105/min`, `1%`, `$1.006/h`. A bare number
is refused, because the field's published figures went wrong by 60x for want of a unit. Inside the
program the unit stands in the name instead: `dwell_s`, `rate_per_s`, `price_usd_per_h`; shares are 0..1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

_NUMBER = r"(?P<number>[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]{1,2})?)"

# Fractions, so that what is read is the float nearest to what was written, and writes back to the same text.
_DURATION = {
    "us": Fraction(1, 1_000_000),
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "min": Fraction(60),
    "m": Fraction(60),
    "h": Fraction(3600),
    "d": Fraction(86400),
}
_RATE = {"/s": Fraction(1), "/min": Fraction(1, 60), "/h": Fraction(1, 3600)}
_SHARE = {"%": Fraction(1, 100)}
_VCPUS = {"vcpu": Fraction(1), "vcpus": Fraction(1)}
_PRICE = {"$/h": Fraction(1), "usd/h": Fraction(1)}


def _read(text: object, units: Mapping[str, Fraction], kind: str, example: str) -> float:
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
    try:
        return float(Fraction(match["number"]) * units[unit])
    except OverflowError:
        raise ValueError(f"{text!r} is too large for a {kind}") from None


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
    value = _read(text, _PRICE, "price", "$1.006/h")
    if value == 0:
        raise ValueError(f"{text!r} is not above 0; what costs nothing has no cheapest mix")
    return value


def vcpus(text: object) -> int:
    """Virtual CPUs from `192 vCPU`. Raises ValueError with a sentence."""
    value = _read(text, _VCPUS, "quota", "192 vCPU")
    if value != int(value):
        raise ValueError(f"{text!r} is not a whole number of vCPUs")
    return int(value)


def _plain(value: float) -> str:
    return f"{value:.6g}"


def format_duration(seconds: float) -> str:
    """`0.25` -> `250ms`, `90` -> `90s`; reads back to the same number at 6 digits."""
    return f"{_plain(seconds * 1000)}ms" if 0 < seconds < 1 else f"{_plain(seconds)}s"


def format_share(value: float) -> str:
    """`0.8` -> `80%`."""
    return f"{_plain(value * 100)}%"


def exact(value: float, of_one: int = 1) -> str:
    """The shortest decimal that reads back to the same float, without an exponent."""
    return format(Decimal(repr(value)) * of_one, "f")
