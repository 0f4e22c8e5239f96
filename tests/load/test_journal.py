"""The journal of a run: what was put in comes out, and what was cut off leaves everything before it."""

from __future__ import annotations

import math
import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.load import journal
from holdfast.load.journal import ROWS_FILE, TIMES_FILE, FileJournal, Journal, RecordedRows
from holdfast.model.records import COLUMNS

FLOATS = st.floats(width=64)
WHOLE = st.integers(-1, 2**31 - 1)


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A row and its chunk times."""
    times = draw(st.lists(st.floats(0, 1e6, width=32), max_size=5))
    floats = draw(st.tuples(*[FLOATS] * 6))
    row = journal.pack(*floats, *draw(st.tuples(*[WHOLE] * 5)), len(times), draw(st.integers(-1, 300)), 200, 0)
    return row, np.array(times, dtype="<f4").tobytes()


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def written(folder: Path, entries: list[tuple[bytes, bytes]]) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    made = FileJournal(folder, writes=True)
    for row, times in entries:
        made.append(row, times)
    made.close()


def holds(read: Journal, entries: list[tuple[bytes, bytes]]) -> bool:
    """Whether a journal has these rows and chunk times, to the bit, and no others."""
    wanted = Journal.in_memory()
    for row, times in entries:
        wanted.append(row, times)
    flat, expected = ([t.tobytes() for _, _, t in each.chunk_times(most_rows=1)] for each in (read, wanted))
    same = all(read.column(name).tobytes() == wanted.column(name).tobytes() for name in (*COLUMNS, "events"))
    return same and flat == expected


@given(entries=st.lists(requests(), max_size=8), data=st.data())
@settings(max_examples=60)
def test_a_journal_cut_at_any_byte_of_either_file_is_a_prefix_of_what_was_written(
    entries: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        written(folder, entries)
        for file in (ROWS_FILE, TIMES_FILE):
            size = (folder / file).stat().st_size
            with (folder / file).open("r+b") as stream:
                stream.truncate(data.draw(st.integers(0, size), label=file))
        kept = FileJournal(folder)
        count = len(kept)
        assert holds(kept, entries[:count])
        kept.close()
        # As much as there can be: the next row is not whole, or its times are not.
        if count < len(entries):
            rows, times = ((folder / file).stat().st_size for file in (ROWS_FILE, TIMES_FILE))
            assert rows < 16 + 80 * (count + 1) or times < sum(len(entry[1]) for entry in entries[: count + 1])


@given(before=st.lists(requests(), max_size=5), after=st.lists(requests(), max_size=3), cut=st.integers(0, 400))
@settings(max_examples=40)
def test_a_cut_journal_is_gone_on_with_from_its_last_whole_row(
    before: list[tuple[bytes, bytes]], after: list[tuple[bytes, bytes]], cut: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        written(folder, before)
        size = (folder / ROWS_FILE).stat().st_size if before else 0
        with (folder / ROWS_FILE).open("r+b") as stream:
            stream.truncate(max(0, size - cut))
        again = FileJournal(folder, writes=True)
        kept = len(again)
        for row, times in after:
            again.append(row, times)
        again.close()
        read = FileJournal(folder)
        assert holds(read, [*before[:kept], *after])
        read.close()


def test_what_a_full_disk_refuses_is_read_from_memory_and_written_once_there_is_room(folder: Path) -> None:
    rows = [journal.pack(n, *[0.5] * 5, 1, 1, 1, 1, 1, 2, 0, 200, 0) for n in range(6)]
    times = np.array([0.0, 1.5], dtype="<f4").tobytes()
    made = FileJournal(folder, writes=True)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # A limit on the size of files stands for a full disk: a write is cut short, the next one fails.
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, before[1]))
    try:
        for row in rows[:5]:
            made.append(row, times)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert made.trouble is not None
    assert made.column("intended_s").tolist() == [0, 1, 2, 3, 4]
    assert len(FileJournal(folder)) == 2
    made.append(rows[5], times)
    assert made.trouble is None
    assert holds(FileJournal(folder), [(row, times) for row in rows])
    made.close()


def test_a_hole_in_the_file_ends_the_rows(folder: Path) -> None:
    row = journal.pack(*[0.5] * 6, 1, 1, 1, 1, 1, 0, 0, 200, 0)
    written(folder, [(row, b"")] * 3)
    with (folder / ROWS_FILE).open("ab") as file:
        file.write(bytes(80))
        file.write(row)
    assert len(FileJournal(folder)) == 3


def test_counts_beyond_a_column_become_its_end() -> None:
    made = Journal.in_memory()
    made.append(journal.pack(*[0.0] * 6, 1, 10**30, -(10**30), 1, 1, 0, 0, 70_000, 0), b"")
    assert made.column("tokens_in").tolist() == [2**31 - 1]
    assert made.column("tokens_out").tolist() == [-(2**31)]
    assert made.column("status").tolist() == [2**15 - 1]


@given(
    st.lists(st.tuples(st.lists(st.floats(0, 100, width=32), max_size=6).map(sorted), st.booleans()), max_size=10),
    st.integers(1, 5),
)
def test_gaps_lie_within_a_request_and_never_between_two(streams: list[tuple[list[float], bool]], piece: int) -> None:
    made = Journal.in_memory()
    for times, _ in streams:
        row = journal.pack(*[0.0] * 6, 1, 1, 1, 1, 1, len(times), 0, 200, 0)
        made.append(row, np.array(times, dtype="<f4").tobytes())
    rows = RecordedRows(made, 0, len(made))
    keep = np.array([kept for _, kept in streams], dtype=bool)
    expected = [np.diff(np.array(times, dtype=np.float32)) for times, kept in streams if kept]
    found = list(rows.gaps(keep))
    for _, counts, flat in made.chunk_times(most_rows=piece):
        assert counts.sum() == len(flat)
    assert np.concatenate([[], *found]).tolist() == np.concatenate([[], *expected]).tolist()


def test_times_count_from_where_they_are_wanted() -> None:
    made = Journal.in_memory()
    made.append(journal.pack(10.5, 11.0, 12.0, math.nan, 13.0, 0.25, 1, 1, 1, 1, 1, 0, 3, 200, 0), b"")
    table = RecordedRows(made, 0, 1, zero_s=10.0).table()
    assert {name: table.column(name).tolist() for name in COLUMNS[:4]} == {
        "stage": [3], "intended_s": [0.5], "sent_s": [1.0], "first_byte_s": [2.0],
    }  # fmt: skip
    assert np.isnan(table.first_token_s[0])
    assert table.itl_s[0] == 0.25


def test_only_one_process_writes_a_run(folder: Path) -> None:
    first = FileJournal(folder, writes=True)
    assert journal.is_written(folder)
    with pytest.raises(BlockingIOError):
        FileJournal(folder, writes=True)
    first.close()
    assert not journal.is_written(folder)
