"""What a crew and its workers tell each other, and how it is framed.

    crew   -> worker   Job, then one Hold a level, and End if it is to be given up; the end of the pipe says: stop
    worker -> crew     Ready or Refused, then for each Hold: Rows and Counts (one a second or two), and Held

A frame is four bytes of length and a pickle. Both ends are this program, on one machine, over a pipe that nobody
else can write to, which is when a pickle is safe.
"""

from __future__ import annotations

import asyncio
import pickle
import struct
from dataclasses import dataclass
from typing import Any

from holdfast.load.pacers import Pacer
from holdfast.load.shards import Shard
from holdfast.load.subject import Subject
from holdfast.model.errors import InputError, UnreachableError
from holdfast.model.fleet import Slo
from holdfast.model.stages import Level, Stage

_LENGTH = struct.Struct("!I")


@dataclass(frozen=True)
class Job:
    """What a worker measures, and which part of it; see bench.Bench.

    zero_s: of its rows, on `time.perf_counter`. judged: the bounds by which a level may be given up; None: to its end.
    """

    subject: Subject
    seed: int
    shard: Shard
    part: int
    zero_s: float
    judged: Slo | None = None


@dataclass(frozen=True)
class Ready:
    """The target answers this worker."""


@dataclass(frozen=True)
class Refused:
    """The target cannot be measured: the parts of an InputError."""

    what: str
    where: str
    mend: str
    unreachable: bool

    @classmethod
    def of(cls, error: InputError) -> Refused:
        return cls(error.what, error.where, error.mend, isinstance(error, UnreachableError))

    @property
    def error(self) -> InputError:
        kind = UnreachableError if self.unreachable else InputError
        return kind(self.what, where=self.where, mend=self.mend)


@dataclass(frozen=True)
class Hold:
    """Send your part of this level; it starts at `start_s` on `time.perf_counter`."""

    level: Level
    index: int
    pacer: Pacer | None
    start_s: float


@dataclass(frozen=True)
class End:
    """Give this level up: another worker has seen that it is lost."""

    index: int


@dataclass(frozen=True)
class Rows:
    """Requests that have ended since the last of these, as a journal keeps them."""

    rows: bytes
    times: bytes


@dataclass(frozen=True)
class Counts:
    """Of the requests of this worker: how many it has sent so far, and how many of them wait for their answer."""

    sent: int
    in_flight: int


@dataclass(frozen=True)
class Held:
    """The level is over; `stage` is what this worker alone saw of it. lost: it gave the level up; see bench.Bench."""

    stage: Stage
    lost: bool = False


Answer = Ready | Refused | Held


def frame(message: object) -> bytes:
    """The bytes of one message."""
    content = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(content)) + content


async def receive(reader: asyncio.StreamReader) -> Any:
    """The next message. Raises EOFError when the other end is gone."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        return pickle.loads(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise EOFError("the other end of the pipe is gone") from error
