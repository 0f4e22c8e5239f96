"""The server-side series of a run on disk.

    server.csv      while the run lasts: lines are appended as they are read, so that a run that was killed keeps them
    server.parquet  in its place when the run has ended

Both have the columns time_s, source, series, value.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from holdfast.model.errors import InputError, OutputError
from holdfast.model.server import Point, ServerTable

_COLUMNS = ("time_s", "source", "series", "value")


class ServerLog:
    """Writes the series of one run directory. Raises OutputError when it cannot."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._csv = path / "server.csv"

    def append(self, points: Sequence[Point]) -> None:
        """Adds points to server.csv, which begins with its first."""
        try:
            with self._csv.open("a", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                if file.tell() == 0:
                    writer.writerow(_COLUMNS)
                writer.writerows((f"{p.time_s:.3f}", p.source, p.series, f"{p.value:.9g}") for p in points)
        except OSError as error:
            raise OutputError.of(self._path, error) from error

    def finish(self) -> None:
        """Turns server.csv into server.parquet; nothing to do when no source told anything."""
        if not self._csv.exists():
            return
        table = read_server(self._path)
        assert table is not None
        columns = {name: pa.array(getattr(table, name)) for name in _COLUMNS}
        partial = self._path / "server.parquet.part"
        try:
            pq.write_table(pa.table(columns), partial, compression="zstd")
            partial.replace(self._path / "server.parquet")
            self._csv.unlink()
        except OSError as error:
            raise OutputError.of(self._path, error) from error


def read_server(path: Path) -> ServerTable | None:
    """The server-side series of a run directory; None when it has none. Raises InputError."""
    whole, growing = path / "server.parquet", path / "server.csv"
    try:
        if whole.exists():
            table = pq.read_table(whole)
            return ServerTable(*(table[name].to_numpy() for name in _COLUMNS))
        if growing.exists():
            # What follows the last line break was being written when the run ended.
            complete = growing.read_text(encoding="utf-8").rpartition("\n")[0]
            return _table(complete)
    except (OSError, pa.ArrowInvalid, KeyError, ValueError) as error:
        raise InputError(f"the server's series cannot be read ({error})", where=str(path)) from error
    return None


def _table(text: str) -> ServerTable:
    rows = list(csv.reader(text.splitlines()))[1:]
    return ServerTable.of(Point(float(time_s), source, series, float(value)) for time_s, source, series, value in rows)
