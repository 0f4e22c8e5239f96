"""Recorded traffic to replay: when each request came, and how long it and its answer were.

Two published formats are read by their columns; any CSV with a timestamp, input and output tokens will do:

    TIMESTAMP,ContextTokens,GeneratedTokens                                             Azure LLM inference trace
    Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type                BurstGPT 1 and 2
    Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,...          BurstGPT 3

A timestamp is seconds, or a date with a time (UTC unless it says otherwise); time counts from the first request. A row
without input or without output tokens is a request that failed when it was recorded: it is left out and counted.
Every row is a request of its own, also where sessions are given.

Sources: the files of github.com/Azure/AzurePublicDataset (AzureLLMInferenceTrace); the README of
github.com/HPMLL/BurstGPT, release 2.0.
"""

from __future__ import annotations

import csv
import datetime
import math
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from holdfast.model.errors import InputError
from holdfast.model.records import Floats, Ints

if TYPE_CHECKING:
    from _csv import Reader

_COLUMNS = {
    "timestamp": ("timestamp",),
    "input tokens": ("contexttokens", "requesttokens", "inputtokens"),
    "output tokens": ("generatedtokens", "responsetokens", "outputtokens"),
}
_LONGEST = 10_000_000
"""More tokens than any request has: above it, the column is something else."""


@dataclass(frozen=True)
class Trace:
    """Requests in the order of their start; the arrays have shape (n,), n at least 1.

    starts_s: seconds from the first request. left_out: rows of requests that had failed. source: the file.
    """

    starts_s: Floats
    tokens_in: Ints
    tokens_out: Ints
    left_out: int = 0
    source: str = ""

    def __str__(self) -> str:
        return f"{len(self):,} requests in {self.duration_s:.6g} s of {self.source}"

    def __len__(self) -> int:
        return len(self.starts_s)

    @property
    def duration_s(self) -> float:
        """From the first start to the last, and one mean gap more, so that the rate of the whole is n over it."""
        n, last_s = len(self), float(self.starts_s[-1])
        return last_s * n / (n - 1) if last_s > 0 else 1.0

    def sped(self, speed: float) -> Trace:
        """The same requests, `speed` times as fast."""
        return replace(self, starts_s=self.starts_s / speed)

    def cut(self, duration_s: float) -> Trace:
        """The requests that start before `duration_s`."""
        n = int(np.searchsorted(self.starts_s, duration_s))
        return replace(self, starts_s=self.starts_s[:n], tokens_in=self.tokens_in[:n], tokens_out=self.tokens_out[:n])

    def lengths(self) -> Iterator[tuple[int, int]]:
        """Input and output tokens, request by request."""
        return zip(self.tokens_in.tolist(), self.tokens_out.tolist(), strict=True)

    def times_s(self, duration_s: float, seed: int) -> Floats:
        """As a pacer: the recorded starts up to `duration_s`. Nothing is random, so the seed is not used."""
        return self.starts_s[self.starts_s <= duration_s]


def read(lines: Iterable[str], *, where: str, most: int | None = None) -> Trace:
    """The trace in the lines of a CSV file, its first `most` requests. Raises InputError with file and line."""
    rows = csv.reader(lines)
    try:
        return _read(rows, where, most)
    except csv.Error as error:
        raise InputError(f"this is not CSV ({error})", where=f"{where}:{rows.line_num}", mend="mend the row") from error


def _read(rows: Reader, where: str, most: int | None) -> Trace:
    places = _places(next(rows, []), where)
    starts_s, tokens_in, tokens_out, left_out = array("d"), array("q"), array("q"), 0
    for row in filter(None, rows):
        try:
            start_s, n_in, n_out = _start_s(row[places[0]]), _tokens(row[places[1]]), _tokens(row[places[2]])
        except (ValueError, IndexError) as error:
            reason = "the row is too short" if isinstance(error, IndexError) else str(error)
            raise InputError(reason, where=f"{where}:{rows.line_num}", mend="mend or remove the row") from error
        if not n_in or not n_out:
            left_out += 1
            continue
        starts_s.append(start_s)
        tokens_in.append(n_in)
        tokens_out.append(n_out)
        if len(starts_s) == most:
            break
    if not starts_s:
        raise InputError("the trace has no request with input and output tokens", where=where)
    # Rows that several front ends wrote may be a little out of order.
    order = np.argsort(starts_s, kind="stable")
    ascending = np.array(starts_s)[order]
    return Trace(ascending - ascending[0], np.array(tokens_in)[order], np.array(tokens_out)[order], left_out, where)


def _places(header: list[str], where: str) -> tuple[int, ...]:
    """Which columns hold timestamp, input tokens and output tokens."""
    names = [name.strip().lstrip("\ufeff").lower().replace(" ", "").replace("_", "") for name in header]
    places = []
    for column, spellings in _COLUMNS.items():
        found = [names.index(spelling) for spelling in spellings if spelling in names]
        if not found:
            raise InputError(
                f"the first line names no column of {column}",
                where=f"{where}:1",
                mend="begin with a header such as TIMESTAMP,ContextTokens,GeneratedTokens",
            )
        places.append(found[0])
    return tuple(places)


def _start_s(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = datetime.datetime.fromisoformat(text.strip())
        except ValueError:
            raise ValueError(f"{text!r} is neither seconds nor a date with a time") from None
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()
    if not math.isfinite(seconds):
        raise ValueError(f"the timestamp {text!r} is not finite")
    return seconds


def _tokens(text: str) -> int:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number of tokens") from None
    if not (0 <= number <= _LONGEST and number.is_integer()):
        raise ValueError(f"{text!r} is not a number of tokens")
    return int(number)
