"""Moments as Kubernetes writes them: RFC 3339 text, and Unix seconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

from holdfast.model.errors import InputError

_LAST_S = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()

_WRITTEN = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def rfc3339(at_s: float) -> str:
    """Unix seconds from 1970 to 9999 as text in UTC, with as many decimals as it takes to read the same float again.

    Raises InputError outside of those years.
    """
    if not 0 <= at_s <= _LAST_S:
        raise InputError(f"{at_s} is no moment between 1970 and 9999", mend="give Unix seconds")
    whole = int(at_s)
    decimals = format(Decimal(repr(float(at_s))), "f").partition(".")[2].rstrip("0")
    moment = datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}{'.' if decimals else ''}{decimals}Z"


def unix_s(text: str) -> float:
    """The Unix seconds of RFC 3339 text, to the nearest float. Raises InputError for what is no such text."""
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise _unreadable(text)
    day, clock, decimals, zone = found.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone in 'Zz' else zone}")
    except ValueError as error:
        raise _unreadable(text) from error
    return float(int(moment.timestamp()) + Decimal(decimals or 0))


def _unreadable(text: str) -> InputError:
    return InputError(f"{text!r} is no moment", mend="write it as RFC 3339 does, e.g. 2026-11-21T20:30:00Z")
