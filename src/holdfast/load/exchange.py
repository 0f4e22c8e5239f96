"""One request and what came back."""

from __future__ import annotations

import math
from collections.abc import Callable

from holdfast.load.answers import Answer
from holdfast.model.records import Outcome


class Exchange:
    """One request and what came back. Times are `time.perf_counter` seconds, NaN until they happen.

    error: why it failed, in a few words, where the outcome alone does not say it.
    """

    __slots__ = (
        "answer",
        "end_s",
        "error",
        "first_byte_s",
        "headers",
        "on_end",
        "outcome",
        "payload",
        "sent_s",
        "status",
    )

    def __init__(self, payload: bytes, answer: Answer, on_end: Callable[[Exchange], None]) -> None:
        self.payload = payload
        self.answer = answer
        self.on_end = on_end
        self.sent_s = math.nan
        self.first_byte_s = math.nan
        self.end_s = math.nan
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.outcome = Outcome.OK
        self.error = ""

    def complete(self, now_s: float) -> None:
        """Ends with what a whole response is, by its status and body."""
        self.answer.finish(now_s)
        self.outcome = self._settled()
        self.end_s = now_s
        self.on_end(self)

    def fail(self, outcome: Outcome, now_s: float, error: str) -> None:
        """Ends without a whole response."""
        self.answer.cut()
        self.outcome = outcome
        self.error = error
        self.end_s = now_s
        self.on_end(self)

    def _settled(self) -> Outcome:
        if self.status == 429:
            return Outcome.REJECTED
        if not 200 <= self.status < 300:
            return Outcome.HTTP_ERROR
        if self.answer.body_ok:
            return Outcome.OK
        # A stream that ended in order at the HTTP level but without its last event was cut short upstream.
        return Outcome.TRUNCATED if self.answer.chunks else Outcome.MALFORMED
