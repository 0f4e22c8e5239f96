"""Kubernetes' quantities: `3136m`, `11304Mi`, `4`, `1e3` (k8s.io/apimachinery, pkg/api/resource)."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

_SUFFIXES = {"n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000), "": Fraction(1)}
_SUFFIXES |= {letter: Fraction(1000) ** power for power, letter in enumerate("kMGTPE", start=1)}
_SUFFIXES |= {f"{letter}i": Fraction(1024) ** power for power, letter in enumerate("KMGTPE", start=1)}
_QUANTITY = re.compile(r"([-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(?:[eE]([-+]?[0-9]{1,2})|([numkMGTPE]|[KMGTPE]i)?)")


def amount(value: Any) -> float | None:
    """The amount of a quantity: cores, bytes, devices. None when it is none, or is not there."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    match = _QUANTITY.fullmatch(str(value).strip())
    if match is None:
        return None
    scale = Fraction(10) ** int(match[2]) if match[2] else _SUFFIXES[match[3] or ""]
    return float(Fraction(match[1]) * scale)


_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|[smh]))+")
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def duration_s(value: Any) -> float | None:
    """Seconds of a duration as Go writes it, `1h30m`; None when it is none."""
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        return None
    return sum(float(count) * _UNITS_S[unit] for count, unit in re.findall(r"([0-9.]+)(ms|[smh])", value))
