"""What happened to each request: the one table that load writes, limits judge and reports draw.

Times are seconds on the run's monotonic clock, counted from the run's own zero. Latency is counted from
the *intended* start, so that a client that was late hides nothing (no coordinated omission).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.signedinteger[Any]]
Bools = npt.NDArray[np.bool_]
Column = npt.NDArray[Any]


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
        return cls(
            **{name: np.array([getattr(record, name) for record in records], dtype=TYPES[name]) for name in COLUMNS}
        )

    def column(self, name: str) -> Column:
        """The column of that name."""
        values: Column = getattr(self, name)
        return values

    def gaps(self, keep: Bools) -> Iterable[Floats32]:
        """None: the chunk times stay in the run's files."""
        return ()

    def where(self, keep: Bools) -> RequestTable:
        """The rows for which `keep`, of shape (n,), is true."""
        return RequestTable(**{name: getattr(self, name)[keep] for name in COLUMNS})

    def take(self, order: npt.NDArray[np.intp]) -> RequestTable:
        """The rows at these positions, in this order."""
        return RequestTable(**{name: getattr(self, name)[order] for name in COLUMNS})

    def shifted(self, zero_s: float, scale: float = 1.0) -> RequestTable:
        """The same rows with times counted from `zero_s` and multiplied by `scale`."""
        times = {name: (getattr(self, name) - zero_s) * scale for name in MOMENTS}
        return replace(self, **times, itl_s=self.itl_s * scale)

    @property
    def ok(self) -> Bools:
        return np.equal(self.outcome, Outcome.OK)

    @property
    def failed(self) -> Bools:
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


class Rows(Protocol):
    """Requests of which one column at a time is wanted, so that a million of them need not be in memory at once."""

    def __len__(self) -> int: ...

    def column(self, name: str) -> Column:
        """The column of a RequestTable of that name."""
        ...

    def gaps(self, keep: Bools) -> Iterable[Floats32]:
        """Seconds between consecutive output events of each row for which `keep` is true, in pieces, row by row."""
        ...


COLUMNS = tuple(field.name for field in fields(RequestTable))
MOMENTS = ("intended_s", "sent_s", "first_byte_s", "first_token_s", "end_s")
"""The columns that are points in time, and not lengths of it."""
TYPES = {name: np.dtype("<f8" if name.endswith("_s") else "<i4") for name in COLUMNS} | {
    "stage": np.dtype("<i2"),
    "status": np.dtype("<i2"),
    "outcome": np.dtype("i1"),
}
"""How wide each column is kept: 73 bytes a request."""
