"""The rows of a run as they come: 80 bytes a request, on disk a second after it ended.

While load is sent, a request costs one packed row. About once a second the rows so far are handed to a thread, which
turns them into what is kept (times from the run's zero, chunk times from the first) and appends them to the journal: a
disk that is slow or full never holds the load up.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from holdfast.load.http import Exchange
from holdfast.load.journal import ROW, Journal, RecordedRows, pack
from holdfast.load.prompts import Ask
from holdfast.load.tally import Batch
from holdfast.model.records import MOMENTS, Column, Floats32, RequestTable

FLUSH_S = 1.0
"""How long a row waits at most before it is handed on: what a `kill -9` loses."""


class Recorder:
    """Collects finished exchanges.

    zero_s:     the run's zero on the `time.perf_counter` clock.
    journal:    where the rows go; by default they stay in memory.
    time_scale: times are recorded multiplied by this.
    listen:     told of the rows when they are written, in the thread that writes them.
    """

    def __init__(
        self,
        zero_s: float,
        journal: Journal | None = None,
        time_scale: float = 1.0,
        listen: Callable[[Batch], None] | None = None,
    ) -> None:
        self.zero_s = zero_s
        self._listen = listen
        self._journal = Journal.in_memory() if journal is None else journal
        self._time_scale = time_scale
        self._count = len(self._journal)
        self._rows = bytearray()
        self._times: list[array[float]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._writing: Future[None] | None = None
        self._thread = None if journal is None else ThreadPoolExecutor(1, thread_name_prefix="journal")

    def __len__(self) -> int:
        return self._count

    def add(self, stage: int, intended_s: float, ask: Ask, exchange: Exchange) -> None:
        """Takes one exchange that has ended; `intended_s` is relative to the run's zero. Runs on the event loop."""
        answer = exchange.answer
        times = answer.times_s
        # The last token's time stands in for the mean gap until `_settled` has both its ends.
        self._rows += pack(
            intended_s, exchange.sent_s, exchange.first_byte_s, answer.first_token_s, exchange.end_s,
            answer.last_token_s, answer.chunks, answer.tokens_in, answer.tokens_out, ask.tokens_in, ask.tokens_out,
            len(times), stage, exchange.status, exchange.outcome,
        )  # fmt: skip
        if times:
            self._times.append(times)
        self._count += 1
        if self._timer is None and self._thread is not None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_S, self.flush)

    def flush(self) -> None:
        """Hands on what has been collected since the last time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        rows, times, self._rows, self._times = self._rows, self._times, bytearray(), []
        if not rows:
            return
        if self._thread is None:
            self._write(rows, times)
        else:
            self._writing = self._thread.submit(self._write, rows, times)

    def rows(self, first: int = 0, start_s: float = 0.0) -> RecordedRows:
        """The rows from `first` on, in the order in which they ended; times from `start_s` after the run's zero."""
        self.flush()
        if self._writing is not None:
            self._writing.result()
        return RecordedRows(self._journal, first, len(self._journal), start_s)

    def table(self, first: int = 0) -> RequestTable:
        """The rows from `first` on as one table."""
        return self.rows(first).table()

    def close(self) -> None:
        """Writes what is left. Call it once the last request has ended."""
        self.rows()
        if self._thread is not None:
            self._thread.shutdown()

    def _write(self, rows: bytearray, times: list[array[float]]) -> None:
        table, times_s = self._settled(rows, times)
        self._journal.append(table.tobytes(), times_s.tobytes())
        if self._listen is not None:
            self._listen(table.__getitem__)

    def _settled(self, rows: bytearray, times: list[array[float]]) -> tuple[Column, Floats32]:
        """Rows with times from the run's zero, and chunk times from the first of each, all scaled."""
        table = np.frombuffer(rows, dtype=ROW)
        with np.errstate(invalid="ignore", divide="ignore"):
            gap_s = (table["itl_s"] - table["first_token_s"]) / (table["chunks"] - 1)
        table["itl_s"] = np.where(table["chunks"] > 1, gap_s, np.nan) * self._time_scale
        for name in MOMENTS:
            if name != "intended_s":
                table[name] -= self.zero_s
            table[name] *= self._time_scale
        at_s = np.frombuffer(b"".join(times), dtype=np.float64)
        counts = table["events"][table["events"] > 0]
        firsts_s = at_s[np.cumsum(counts) - counts]
        since_s = (at_s - np.repeat(firsts_s, counts)) * self._time_scale
        return table, since_s.astype("<f4")
