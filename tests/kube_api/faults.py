"""What may go wrong with a request, as a test decides it for each one."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from kube_api.requests import Refusal, Request


class Loss(Enum):
    BEFORE = "before"
    """The connection breaks; nothing was done."""
    AFTER = "after"
    """It was done, and the answer is lost."""


class StreamEnd(Enum):
    """How a watch stops short."""

    CLOSED = "closed"
    """In good order."""
    BROKEN = "broken"
    """In the middle of it."""
    GONE = "gone"
    """With an error event of 410."""
    SILENT = "silent"
    """Nothing comes any more, and the connection stands."""


@dataclass(frozen=True)
class Fault:
    """status: answered instead of acting (403, 429, 500, 503; 0: none). retry_after_s: said with it.

    delay_s: the server takes that long before it begins. stream_end: of a watch, after `events` lines.
    """

    status: int = 0
    retry_after_s: int | None = None
    loss: Loss | None = None
    delay_s: float = 0.0
    stream_end: StreamEnd | None = None
    events: int = 0

    @property
    def refusal(self) -> Refusal:
        reason, message = {
            403: ("Forbidden", "the service account may not do that"),
            429: ("TooManyRequests", "Too many requests, please try again later."),
            500: ("InternalError", "Internal error occurred: etcdserver: request timed out"),
            503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
        }[self.status]
        headers = {} if self.retry_after_s is None else {"retry-after": str(self.retry_after_s)}
        details = {} if self.retry_after_s is None else {"retryAfterSeconds": self.retry_after_s}
        return Refusal(self.status, reason, message, details, headers)


Faults = Callable[[Request], Fault | None]


def none(request: Request) -> Fault | None:
    return None


ANSWERS = (
    Fault(status=429, retry_after_s=1),
    Fault(status=429),
    Fault(status=500),
    Fault(status=503),
    Fault(loss=Loss.BEFORE),
    Fault(loss=Loss.AFTER),
    Fault(delay_s=3.0),
    Fault(delay_s=30.0),
)
"""What may meet any request."""
STREAMS = tuple(Fault(stream_end=end, events=n) for end in StreamEnd for n in (0, 1, 5))


class Seeded:
    """Each request fails with probability `share`, in one of the ways above; equal seeds, equal faults."""

    def __init__(self, seed: int, share: float) -> None:
        self._chance = random.Random(seed)
        self._share = share
        self.count = 0

    def __call__(self, request: Request) -> Fault | None:
        if self._chance.random() >= self._share:
            return None
        self.count += 1
        return self._chance.choice((*ANSWERS, *STREAMS) if request.watches else ANSWERS)
