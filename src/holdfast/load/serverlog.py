"""The server-side series of a run on disk.

    server.csv      while the run lasts: lines are appended as they are read, so that a run that was killed keeps them
    server.parquet  in its place when the run has ended

Both have the columns time_s, source, series, value. A run that is resumed has both until it ends again.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

from holdfast.model.errors import InputError, OutputError
from holdfast.model.server import Point, ServerTable

_COLUMNS = ("time_s", "source", "series", "value")


class ServerLog:
    """Writes the series of one run directory. A disk that refuses them does not end the run.

    trouble: what could not be written; None as long as all was.
    """

    def __init__(self, path: Path) -> None:
        self.trouble: OutputError | None = None
        self._path = path
        self._csv = path / "server.csv"
        if self._csv.exists():
            text = self._csv.read_bytes()
            os.truncate(self._csv, text.rfind(b"\n") + 1)  # a run that was killed in mid-line is gone on with

    def append(self, points: Sequence[Point]) -> None:
        """Adds points to server.csv, which begins with its first."""
        if not points:
            return
        try:
            with self._csv.open("a", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                if file.tell() == 0:
                    writer.writerow(_COLUMNS)
                writer.writerows((f"{p.time_s:.3f}", p.source, p.series, f"{p.value:.9g}") for p in points)
        except OSError as error:
            self.trouble = self.trouble or OutputError.of(self._path, error)

    def finish(self) -> None:
        """Turns server.csv into server.parquet, or leaves it when that cannot be written."""
        table = read_server(self._path) if self._csv.exists() else None
        if table is None:
            self._csv.unlink(missing_ok=True)
            return
        import pyarrow as pa  # only here: it takes 30 MB and a fifth of a second, and load is sent without it
        import pyarrow.parquet as pq

        partial = self._path / "server.parquet.part"
        try:
            pq.write_table(pa.table({name: pa.array(getattr(table, name)) for name in _COLUMNS}), partial)
            partial.replace(self._path / "server.parquet")
            self._csv.unlink()
        except OSError as error:
            self.trouble = self.trouble or OutputError.of(self._path, error)


def read_server(path: Path) -> ServerTable | None:
    """The server-side series of a run directory; None when it has none. Raises InputError."""
    whole, growing = path / "server.parquet", path / "server.csv"
    points: list[Point] = []
    try:
        if whole.exists():
            points += _of_parquet(whole)
        if growing.exists():
            # What follows the last line break was being written when the run ended.
            points += _of_csv(growing.read_text(encoding="utf-8").rpartition("\n")[0])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"the server's series cannot be read ({error})", where=str(path)) from error
    return ServerTable.of(points) if points else None


def _of_parquet(file: Path) -> list[Point]:
    import pyarrow.parquet as pq  # only here: see ServerLog.finish

    table = pq.read_table(file)  # raises ArrowInvalid, a ValueError
    return [Point(*row) for row in zip(*(table[name].to_pylist() for name in _COLUMNS), strict=True)]


def _of_csv(text: str) -> list[Point]:
    rows = list(csv.reader(text.splitlines()))[1:]
    return [Point(float(time_s), source, series, float(value)) for time_s, source, series, value in rows]
