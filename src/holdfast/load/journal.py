"""The journal of a run: every request that ended, readable wherever the file was cut off.

    requests.journal   a header, then a row of 80 bytes per request, in the order in which they ended
    chunks.journal     float32 seconds: the chunk times of those requests, one after the other

Rows of one size need no index, no footer and no framing: what is there is whole up to the last whole row. The chunk
times of a row are written before the row is, so a row that is there has its times. A column is read by itself, piece by
piece, so that a level of a million requests can be measured without a million rows in memory; and neither pyarrow nor
its 30 MB are needed while load is sent. Arrow's IPC stream would be as safe, but gives no single column of a file that
was cut off, and a reader of ours has to know where it ends either way.

A chunk time is counted from the first output event of its request; in float32 it is exact to 6e-8 of itself, which is
4 us after a minute.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from holdfast.model.records import COLUMNS, MOMENTS, TYPES, Bools, Column, Floats32, Ints, RequestTable

ROWS_FILE = "requests.journal"
TIMES_FILE = "chunks.journal"

_HEADER = b"holdfast rows 2\n"
_MARK = 0xA7
_FLOATS = ("intended_s", "sent_s", "first_byte_s", "first_token_s", "end_s", "itl_s")
_INTS = ("chunks", "tokens_in", "tokens_out", "tokens_in_asked", "tokens_out_asked")

ROW = np.dtype(
    [(name, TYPES[name]) for name in (*_FLOATS, *_INTS)]
    + [("events", "<i4"), ("stage", TYPES["stage"]), ("status", TYPES["status"]), ("outcome", TYPES["outcome"])]
    + [("mark", "u1"), ("unused", "V2")]
)
"""A row: the columns of a RequestTable, how many chunk times the request has, and a mark that no hole in a file has."""

_PACKED = struct.Struct("<6d6i2hbB2x")
assert _PACKED.size == ROW.itemsize

PIECE = 16_384
"""Rows read at a time: 1.3 MB."""
_MOST_TIMES = 1 << 18
"""Chunk times held at a time, unless one request has more: 1 MB."""


def pack(*values: float) -> bytes:
    """A row from its values in the order of ROW, without the mark.

    Whole numbers beyond their column's range become its end: a server may claim any count of tokens.
    """
    try:
        return _PACKED.pack(*values, _MARK)
    except struct.error:
        floats, wide, narrow = values[:6], values[6:12], values[12:14]
        bounded = [*(_within(v, 31) for v in wide), *(_within(v, 15) for v in narrow), _within(values[14], 7)]
        return _PACKED.pack(*floats, *bounded, _MARK)


def _within(value: float, bits: int) -> int:
    return max(-(1 << bits), min(int(value), (1 << bits) - 1))


class Tape(Protocol):
    """Bytes that grow at their end."""

    def append(self, data: bytes) -> None: ...

    def read(self, offset: int, size: int) -> bytes: ...

    def __len__(self) -> int: ...


class MemoryTape:
    """A tape of a run that leaves nothing behind."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def append(self, data: bytes) -> None:
        self._bytes += data

    def read(self, offset: int, size: int) -> bytes:
        return bytes(memoryview(self._bytes)[offset : offset + size])

    def __len__(self) -> int:
        return len(self._bytes)


class FileTape:
    """A tape in a file, of which the part that a full or broken disk refused is kept in memory and tried again.

    Raises OSError when the file cannot be opened or read.
    """

    def __init__(self, path: Path, *, writes: bool = False) -> None:
        self._refusal: OSError | None = None
        self._file = os.open(path, os.O_RDWR | os.O_CREAT if writes else os.O_RDONLY, 0o644)
        self._on_disk = os.fstat(self._file).st_size
        self._refused = bytearray()

    def append(self, data: bytes) -> None:
        self._refused += data
        written = 0
        try:
            with memoryview(self._refused) as waiting:
                while written < len(waiting):
                    written += os.pwrite(self._file, waiting[written:], self._on_disk + written)
        except OSError as error:
            self._refusal = error
        self._on_disk += written
        del self._refused[:written]

    def read(self, offset: int, size: int) -> bytes:
        there = max(0, min(size, self._on_disk - offset))
        kept = max(0, offset - self._on_disk)
        return os.pread(self._file, there, offset) + bytes(self._refused[kept : kept + size - there])

    def __len__(self) -> int:
        return self._on_disk + len(self._refused)

    @property
    def trouble(self) -> OSError | None:
        """Why a part is in memory alone; None when all of it is on disk."""
        return self._refusal if self._refused else None

    def cut(self, size: int) -> None:
        """Drops what lies beyond; of a tape that has just been opened."""
        os.ftruncate(self._file, size)
        self._on_disk = size

    def lock(self) -> None:
        """Keeps others from writing until this is closed or its process ends. Raises BlockingIOError."""
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def close(self) -> None:
        os.close(self._file)


class Journal:
    """Rows and their chunk times on two tapes. Positions count rows from the start of the run."""

    def __init__(self, rows: Tape, times: Tape) -> None:
        self._rows, self._times = rows, times
        self._count = self._whole()

    @classmethod
    def in_memory(cls) -> Journal:
        return cls(MemoryTape(), MemoryTape())

    def __len__(self) -> int:
        return self._count

    def append(self, rows: bytes, times: bytes) -> None:
        """Rows as `pack` makes them, and their chunk times as float32."""
        if not self._rows:
            self._rows.append(_HEADER)
        self._times.append(times)
        self._rows.append(rows)
        self._count += len(rows) // ROW.itemsize

    def extend(self, other: Journal, later_s: float = 0.0) -> None:
        """Appends all rows of another journal, their moments `later_s` later."""
        for first, counts, times in other.chunk_times():
            ((_, piece),) = other._pieces(first, first + len(counts))
            rows = piece.copy()
            for name in MOMENTS:
                rows[name] += later_s
            self.append(rows.tobytes(), times.tobytes())

    def column(self, name: str, first: int = 0, last: int | None = None) -> Column:
        """One column of the rows from `first` to before `last`."""
        last = len(self) if last is None else last
        values = np.empty(last - first, dtype=ROW[name])
        for at, piece in self._pieces(first, last):
            values[at : at + len(piece)] = piece[name]
        return values

    def chunk_times(
        self, first: int = 0, last: int | None = None, most_rows: int = PIECE
    ) -> Iterator[tuple[int, Ints, Floats32]]:
        """Pieces of the chunk times: position of the first row, number of times of each row, all the times."""
        last = len(self) if last is None else last
        offset = sum(self._events(0, first))
        for at, piece in self._pieces(first, last, most_rows):
            counts = piece["events"]
            for begin, end in _split(counts, _MOST_TIMES):
                size = int(counts[begin:end].sum())
                data = self._times.read(4 * offset, 4 * size)
                offset += size
                yield first + at + begin, counts[begin:end], np.frombuffer(data, dtype="<f4")

    def _pieces(self, first: int, last: int, most: int = PIECE) -> Iterator[tuple[int, Column]]:
        for at in range(first, last, most):
            size = min(most, last - at) * ROW.itemsize
            yield at - first, np.frombuffer(self._rows.read(_offset(at), size), dtype=ROW)

    def _events(self, first: int, last: int) -> Iterator[int]:
        return (int(piece["events"].sum(dtype=np.int64)) for _, piece in self._pieces(first, last))

    def _whole(self) -> int:
        """How many rows there are whose marks and chunk times are there."""
        if self._rows.read(0, len(_HEADER)) != _HEADER:
            return 0
        times = len(self._times) // 4
        last = (len(self._rows) - len(_HEADER)) // ROW.itemsize
        for at, piece in self._pieces(0, last):
            left = times - np.cumsum(piece["events"], dtype=np.int64)
            broken = np.flatnonzero((piece["mark"] != _MARK) | (piece["events"] < 0) | (left < 0))
            if len(broken):
                return at + int(broken[0])
            times = int(left[-1])
        return last


class NoJournal(Journal):
    """The journal of a run that nobody will read; it stays empty."""

    def __init__(self) -> None:
        super().__init__(MemoryTape(), MemoryTape())

    def append(self, rows: bytes, times: bytes) -> None:
        """Forgets them."""


class FileJournal(Journal):
    """The journal of a folder, as far as it is whole. Raises OSError when its files cannot be opened.

    writes: to go on with it, or to begin it; what is not whole is then cut off. BlockingIOError when another process
    does so already.
    """

    def __init__(self, folder: Path, *, writes: bool = False) -> None:
        self._files = FileTape(folder / ROWS_FILE, writes=writes), FileTape(folder / TIMES_FILE, writes=writes)
        if writes:
            self._files[0].lock()
        super().__init__(*self._files)
        if writes:
            rows, times = self._files
            rows.cut(_offset(len(self)) if len(self) else 0)
            times.cut(4 * sum(self._events(0, len(self))))

    @property
    def trouble(self) -> OSError | None:
        """Why a part is in memory alone; None when all of it is on disk."""
        return self._files[0].trouble or self._files[1].trouble

    def close(self) -> None:
        for file in self._files:
            file.close()


def is_written(folder: Path) -> bool:
    """Whether a process writes the journal of this folder now."""
    if not (folder / ROWS_FILE).exists():
        return False
    with (folder / ROWS_FILE).open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@dataclass(frozen=True)
class RecordedRows:
    """The rows of a journal from `first` to before `last`, with times counted from `zero_s`; see records.Rows."""

    journal: Journal
    first: int
    last: int
    zero_s: float = 0.0

    def __len__(self) -> int:
        return self.last - self.first

    def column(self, name: str) -> Column:
        values = self.journal.column(name, self.first, self.last)
        if self.zero_s and name in MOMENTS:
            values -= self.zero_s
        return values

    def gaps(self, keep: Bools) -> Iterator[Floats32]:
        for at, counts, times in self.journal.chunk_times(self.first, self.last):
            if len(times) > 1:
                row = at - self.first
                yield gaps_of(counts, times, keep[row : row + len(counts)])

    def table(self) -> RequestTable:
        """All columns at once."""
        return RequestTable(**{name: self.column(name) for name in COLUMNS})


def gaps_of(counts: Ints, times_s: Floats32, keep: Bools) -> Floats32:
    """Seconds between consecutive output events of the requests to keep; `counts` of `times_s` are of each request."""
    kept = np.repeat(keep, counts)[1:]
    # No gap from the last event of one request to the first of the next.
    starts = np.cumsum(counts)[:-1]
    kept[starts[(starts > 0) & (starts < len(times_s))] - 1] = False
    gaps_s: Floats32 = np.maximum(np.diff(times_s)[kept], np.float32(0))
    return gaps_s


def _offset(row: int) -> int:
    return len(_HEADER) + row * ROW.itemsize


def _split(counts: Ints, most: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows with at most `most` chunk times together, or one row."""
    ends = np.cumsum(counts, dtype=np.int64)
    begin = 0
    while begin < len(counts):
        before = int(ends[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, before + most, side="right")))
        yield begin, end
        begin = end
