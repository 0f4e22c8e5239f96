"""Moments as the API writes them (RFC 3339), and as we count them (Unix seconds)."""

from __future__ import annotations

import datetime


def unix_s(text: str) -> float:
    """The moment in Unix seconds. Kubernetes' Time has whole seconds, its MicroTime microseconds, both in UTC.

    Raises ValueError for text that is no moment, which no API server sends in a field of either type.
    """
    moment = datetime.datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


def known_s(text: object) -> float | None:
    """The same of a field that may be absent or null."""
    return unix_s(text) if isinstance(text, str) and text else None
