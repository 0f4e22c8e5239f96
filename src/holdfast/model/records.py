"""What happened to each request: the one table that load writes, limits judge and reports draw.

Times are seconds on the run's monotonic clock, counted from the run's own zero. Latency is counted from
the *intended* start, so that a client that was late hides nothing (no coordinated omission).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Outcome(enum.IntEnum):
    """How one request ended. OK is a success, CANCELLED says nothing, each other one is a different thing to mend."""

    OK = 0
    HTTP_ERROR = 1  # answered with a status other than 2xx
    REJECTED = 2  # 429: the server shed load
    CONNECT = 3  # no connection: refused, unreachable, unresolved
    RESET = 4  # the connection closed before the answer began
    TRUNCATED = 5  # the answer began and did not end
    TIMEOUT = 6  # no complete answer within the client's limit
    MALFORMED = 7  # answered, but not as the API says
    EXHAUSTED = 9  # this machine had no file descriptor or port left to connect with
    CANCELLED = 8  # the client stopped waiting because its level was decided: late, but no failure of the server


@dataclass(frozen=True)
class RequestRecord:
    """One request.

    stage:         index of the load level it belongs to.
    intended_s:    when it should have been sent.
    sent_s:        when the client set about sending it; a connection that has to be opened first comes after.
    first_byte_s:  first byte of the response; NaN when none came.
    first_token_s: first event that carries output; equals `end_s` for unary answers; NaN when none came.
    end_s:         last byte, or the moment of failure.
    itl_s:         mean gap between consecutive output events; NaN below two events.
    chunks:        output events counted by the client.
    tokens_in, tokens_out:     as the server reported in `usage`; -1 when it reported nothing.
    tokens_in_asked, tokens_out_asked: what the client asked for; 0 for images.
    status:        HTTP status, 0 when none came.
    """

    stage: int
    intended_s: float
    sent_s: float
    first_byte_s: float
    first_token_s: float
    end_s: float
    itl_s: float
    chunks: int
    tokens_in: int
    tokens_out: int
    tokens_in_asked: int
    tokens_out_asked: int
    status: int
    outcome: Outcome


@dataclass(frozen=True)
class RequestTable:
    """Many RequestRecords as columns of shape (n,); the fields mean what they mean there."""

    stage: Ints
    intended_s: Floats
    sent_s: Floats
    first_byte_s: Floats
    first_token_s: Floats
    end_s: Floats
    itl_s: Floats
    chunks: Ints
    tokens_in: Ints
    tokens_out: Ints
    tokens_in_asked: Ints
    tokens_out_asked: Ints
    status: Ints
    outcome: Ints

    def __post_init__(self) -> None:
        lengths = {len(getattr(self, field.name)) for field in fields(self)}
        if len(lengths) > 1:
            raise ValueError(f"the columns of a request table have different lengths: {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.intended_s)

    @classmethod
    def of(cls, records: Sequence[RequestRecord]) -> RequestTable:
        """The table of these records, in their order."""
        integers = {"stage", "chunks", "status", "outcome"} | {name for name in COLUMNS if name.startswith("tokens")}
        return cls(
            **{
                name: np.array([getattr(record, name) for record in records], dtype=int if name in integers else float)
                for name in COLUMNS
            }
        )

    def where(self, keep: npt.NDArray[np.bool_]) -> RequestTable:
        """The rows for which `keep`, of shape (n,), is true."""
        return RequestTable(**{name: getattr(self, name)[keep] for name in COLUMNS})

    def take(self, order: npt.NDArray[np.intp]) -> RequestTable:
        """The rows at these positions, in this order."""
        return RequestTable(**{name: getattr(self, name)[order] for name in COLUMNS})

    def shifted(self, zero_s: float, scale: float = 1.0) -> RequestTable:
        """The same rows with times counted from `zero_s` and multiplied by `scale`."""
        moments = ("intended_s", "sent_s", "first_byte_s", "first_token_s", "end_s")
        times = {name: (getattr(self, name) - zero_s) * scale for name in moments}
        return replace(self, **times, itl_s=self.itl_s * scale)

    @property
    def ok(self) -> npt.NDArray[np.bool_]:
        return np.equal(self.outcome, Outcome.OK)

    @property
    def failed(self) -> npt.NDArray[np.bool_]:
        """Failures of the server or of the way to it; what the client cancelled is none."""
        return np.not_equal(self.outcome, Outcome.OK) & np.not_equal(self.outcome, Outcome.CANCELLED)

    @property
    def latency_s(self) -> Floats:
        """End to end from the intended start, also of failed requests."""
        return self.end_s - self.intended_s

    @property
    def ttft_s(self) -> Floats:
        """Time to the first output event, from the intended start."""
        return self.first_token_s - self.intended_s

    @property
    def lag_s(self) -> Floats:
        """How late the client itself sent."""
        return self.sent_s - self.intended_s


COLUMNS = tuple(field.name for field in fields(RequestTable))
