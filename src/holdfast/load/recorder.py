"""The rows of a run as they come: columns of machine numbers, about 120 bytes a request."""

from __future__ import annotations

import math
from array import array
from typing import Any

import numpy as np

from holdfast.load.http import Exchange
from holdfast.load.prompts import Ask
from holdfast.model.records import COLUMNS, Floats, Outcome, RequestTable

_FLOATS = {"intended_s", "sent_s", "first_byte_s", "first_token_s", "end_s", "itl_s"}


class Recorder:
    """Collects finished exchanges; `zero_s` is the run's zero on the `time.perf_counter` clock."""

    def __init__(self, zero_s: float) -> None:
        self.zero_s = zero_s
        self._columns: dict[str, array[Any]] = {name: array("d" if name in _FLOATS else "q") for name in COLUMNS}
        self._appends = tuple(self._columns[name].append for name in COLUMNS)

    def __len__(self) -> int:
        return len(self._columns["stage"])

    def add(self, stage: int, intended_s: float, ask: Ask, exchange: Exchange) -> None:
        """Takes one exchange that has ended; `intended_s` is relative to the run's zero."""
        zero_s, answer = self.zero_s, exchange.answer
        itl_s = (answer.last_token_s - answer.first_token_s) / (answer.chunks - 1) if answer.chunks > 1 else math.nan
        row = (
            stage, intended_s, exchange.sent_s - zero_s, exchange.first_byte_s - zero_s, answer.first_token_s - zero_s,
            exchange.end_s - zero_s, itl_s, answer.chunks, answer.tokens_in, answer.tokens_out, ask.tokens_in,
            ask.tokens_out, exchange.status, int(exchange.outcome),
        )  # fmt: skip
        for append, value in zip(self._appends, row, strict=True):
            append(value)

    def clear(self) -> None:
        """Forgets all rows."""
        for column in self._columns.values():
            del column[:]

    def table(self, first: int = 0) -> RequestTable:
        """The rows from `first` on, in the order in which they ended."""
        return RequestTable(
            **{
                name: np.array(column[first:], dtype=float if name in _FLOATS else np.int64)
                for name, column in self._columns.items()
            }
        )

    def latencies_s(self, first: int = 0) -> Floats:
        """End-to-end latencies of the successful requests from row `first` on."""
        columns = self._columns
        latency_s = np.array(columns["end_s"][first:]) - np.array(columns["intended_s"][first:])
        return np.asarray(latency_s[np.array(columns["outcome"][first:]) == Outcome.OK])
