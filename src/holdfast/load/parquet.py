"""requests.parquet: a journal made into columns that other tools read, and back. The one place of pyarrow in `load`.

Import it where it is needed: it takes 30 MB, which a process that sends load does not have to spare.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from holdfast.load.journal import ROW, Journal, pack
from holdfast.model.errors import InputError
from holdfast.model.records import COLUMNS, TYPES, Floats32, Ints, RequestTable

CHUNK_TIMES = "chunk_times_s"

_GROUP = 16_384
"""Rows of a row group, at most: 1.2 MB without their chunk times, which may make the group smaller."""


def write(journal: Journal, path: Path) -> None:
    """Makes the file of a journal, a row group at a time. Raises OSError."""
    try:
        _write(journal, path)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno)) from error  # without pyarrow's words around it


def _write(journal: Journal, path: Path) -> None:
    types = {name: pa.from_numpy_dtype(TYPES[name]) for name in COLUMNS}
    schema = pa.schema([*types.items(), (CHUNK_TIMES, pa.list_(pa.float32()))])
    whole = [name for name in COLUMNS if TYPES[name].kind == "i"]
    times_s = [*(name for name in COLUMNS if name not in whole), f"{CHUNK_TIMES}.list.element"]
    # Times never repeat, so a dictionary does not help them; with their bytes side by side they pack a seventh smaller.
    packing = {"compression": "zstd", "use_dictionary": whole, "use_byte_stream_split": times_s}
    with pq.ParquetWriter(path, schema, **packing) as file:
        for first, counts, times in journal.chunk_times(most_rows=_GROUP):
            offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
            columns = [_array(journal.column(name, first, first + len(counts))) for name in COLUMNS]
            lists = pa.ListArray.from_arrays(_array(offsets), _array(times))
            file.write_table(pa.table([*columns, lists], schema=schema))


def _array(values: npt.NDArray[Any]) -> Any:
    """The numbers, as they lie. `pa.array` would load pandas where it is installed, and 40 MB with it."""
    values = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)])


def read(path: Path) -> RequestTable:
    """The requests of the file. Raises InputError."""
    try:
        table = pq.read_table(path, columns=list(COLUMNS))
        return RequestTable(**{name: table[name].to_numpy() for name in COLUMNS})
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise InputError(f"the requests cannot be read ({error})", where=str(path)) from error


def chunk_times(path: Path) -> Iterator[tuple[int, Ints, Floats32]]:
    """What `Journal.chunk_times` gives, of the file. Raises InputError."""
    first = 0
    for batch in _batches(path, [CHUNK_TIMES]):
        lists = batch.column(0)
        yield first, np.diff(lists.offsets.to_numpy()), lists.flatten().to_numpy()
        first += len(lists)


def restore(path: Path, journal: Journal) -> None:
    """Appends the requests of the file to a journal, so that a run can go on. Raises InputError."""
    for batch in _batches(path, None):
        columns = {name: batch.column(name).to_numpy() for name in COLUMNS}
        lists = batch.column(CHUNK_TIMES)
        rows = np.frombuffer(bytearray(pack(*(0,) * 15) * len(batch)), dtype=ROW)
        rows["events"] = np.diff(lists.offsets.to_numpy())
        for name, values in columns.items():
            rows[name] = values
        journal.append(rows.tobytes(), lists.flatten().to_numpy().tobytes())


def _batches(path: Path, columns: list[str] | None) -> Iterator[Any]:
    try:
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(_GROUP, columns=columns)
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise InputError(f"the requests cannot be read ({error})", where=str(path)) from error
