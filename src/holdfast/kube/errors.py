"""What may come back instead of an answer.

KubeError
  UnavailableError  nobody answered, or not now: no connection, a time-out, 429, 5xx; the same request may succeed later
  ConflictError     409: the object has moved on, or is there already; see it anew
  GoneError         410: the server no longer knows that resource version; list anew
  NotFoundError     404
  RefusedError      any other 4xx: the request itself is wrong, or we may not; it will not succeed by itself
"""

from __future__ import annotations

from typing import Any


class KubeError(Exception):
    """The API server did not do as asked.

    status: of HTTP, 0 where there was no answer. reason: as the server words it for machines, e.g. `Forbidden`.
    """

    def __init__(self, message: str, *, status: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class UnavailableError(KubeError):
    """Not now.

    retry_after_s: what the server asked for; None where it said nothing. acted: False where it surely did not act.
    """

    def __init__(
        self, message: str, *, status: int = 0, reason: str = "", retry_after_s: float | None = None, acted: bool = True
    ) -> None:
        super().__init__(message, status=status, reason=reason)
        self.retry_after_s = retry_after_s
        self.acted = acted


class ConflictError(KubeError):
    """409."""


class GoneError(KubeError):
    """410."""


class NotFoundError(KubeError):
    """404."""


class RefusedError(KubeError):
    """Any other 4xx."""


def of_status(status: dict[str, Any], *, http_status: int = 0, doing: str, retry_after: str | None = None) -> KubeError:
    """The error that a Status object tells, as an answer or within a watch.

    http_status: for answers whose body is no Status. doing: what was asked, for the text. retry_after: the header;
    a date, which is allowed there, counts as not said.
    """
    code = status.get("code") or http_status
    reason = str(status.get("reason") or "")
    message = f"{doing}: {status.get('message') or 'no reason was given'} ({code}{' ' + reason if reason else ''})"
    kind = {404: NotFoundError, 409: ConflictError, 410: GoneError}.get(code)
    if kind is not None:
        return kind(message, status=code, reason=reason)
    if code in (408, 429) or code >= 500:
        asked = (status.get("details") or {}).get("retryAfterSeconds") or retry_after
        wait_s = float(asked) if asked is not None and str(asked).isdecimal() else None
        return UnavailableError(message, status=code, reason=reason, retry_after_s=wait_s, acted=code != 429)
    return RefusedError(message, status=code, reason=reason)
