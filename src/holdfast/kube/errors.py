"""What may come back instead of an answer.

KubeError
  UnavailableError  nobody answered, or not now: no connection, a time-out, 429, 5xx; the same request may succeed later
  ConflictError     409: the object has moved on, or is there already; see it anew
  GoneError         410: the server no longer knows that resource version; list anew
  NotFoundError     404
  RefusedError      any other 4xx: the request itself is wrong, or we may not; it will not succeed by itself
"""

from __future__ import annotations


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
