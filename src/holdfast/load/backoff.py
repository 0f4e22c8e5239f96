"""How long the user of a closed loop waits after a failure, beside his think time.

An open loop never waits: that would hide load.
"""

from __future__ import annotations

import email.utils
import math

from holdfast.load.exchange import Exchange
from holdfast.model.records import Outcome

_REFUSED_S = 0.05
"""After a connection that failed at once: it takes no time, and would make the user spin."""

_LONGEST_S = 60.0
"""Of what a server may ask for: a level must not sleep through itself."""


def pause_s(exchange: Exchange, wall_s: float) -> float:
    """Seconds to wait after this exchange, which ended at `wall_s` (since the epoch)."""
    if exchange.outcome in (Outcome.CONNECT, Outcome.RESET, Outcome.EXHAUSTED):
        return _REFUSED_S
    if exchange.outcome is Outcome.REJECTED:
        return retry_after_s(exchange.headers.get(b"retry-after", b""), wall_s)
    return 0.0


def retry_after_s(value: bytes, wall_s: float) -> float:
    """Seconds that a Retry-After header asks for, 0..60; 0 when it cannot be read (RFC 9110, section 10.2.3)."""
    text = value.decode("latin-1").strip()
    try:
        asked_s = float(text)
    except ValueError:
        date = email.utils.parsedate_tz(text)
        asked_s = email.utils.mktime_tz(date) - wall_s if date is not None else 0.0
    return min(max(asked_s, 0.0), _LONGEST_S) if math.isfinite(asked_s) else 0.0
