"""Quantities as the server writes them back: `1000m` is `1`, `1024Mi` is `1Gi`, `0.5` is `500m`."""

from __future__ import annotations

import re
from decimal import Decimal

DECIMAL = ("n", "u", "m", "", "k", "M", "G", "T", "P", "E")
BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_FORM = re.compile(r"^([+-]?[0-9.]+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?$")


def canonical(text: str | int | float) -> str:
    """The largest suffix with which the number is whole. What is no quantity is given back."""
    match = _FORM.match(str(text))
    if match is None:
        return str(text)
    number, suffix = Decimal(match[1]), match[2] or ""
    if suffix.endswith("i"):
        value = number * 1024 ** BINARY.index(suffix)
        if value == value.to_integral_value():
            return _largest(value, 1024, BINARY)
    elif suffix[:1] in ("e", "E") and len(suffix) > 1:
        value = number * Decimal(10) ** int(suffix[1:])
    else:
        value = number * Decimal(1000) ** (DECIMAL.index(suffix) - 3)
    return _largest(value * 1000**3, 1000, DECIMAL)


def _largest(value: Decimal, base: int, suffixes: tuple[str, ...]) -> str:
    whole = int(value)
    step = 0
    while whole and whole % base == 0 and step + 1 < len(suffixes):
        whole, step = whole // base, step + 1
    return f"{whole}{suffixes[step] if whole else ''}"
