"""Run directories: written, closed, gone on with, and read whatever became of them."""

from __future__ import annotations

import asyncio
import json
import tempfile
from array import array
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.load import parquet, rundir, runs
from holdfast.load.answers import Answer
from holdfast.load.http import Exchange
from holdfast.load.journal import ROWS_FILE, Journal, RecordedRows, pack
from holdfast.load.prompts import Ask
from holdfast.load.recorder import Recorder
from holdfast.load.rundir import RunDir, RunSpec, Status
from holdfast.model.errors import InputError
from holdfast.model.records import COLUMNS, TYPES, Outcome
from holdfast.model.stages import Arrivals, Level, LoadCurve

SPEC = RunSpec("load", "http://x", "completions", "m", "p95<1s", "closed", 7, workload={"api": "completions"})
LEVEL = Level(Arrivals.CLOSED, concurrency=2, duration_s=10)


def ended(sent_s: float, times: list[float], outcome: Outcome = Outcome.OK) -> Exchange:
    """An exchange whose output events came at these times."""
    exchange = Exchange(b"", Answer(streams=True), lambda _: None)
    answer = exchange.answer
    answer.times_s = array("d", times)
    answer.first_token_s, answer.last_token_s = times[0], times[-1]
    answer.chunks, answer.tokens_in, answer.tokens_out = len(times), 11, len(times)
    exchange.sent_s, exchange.first_byte_s, exchange.end_s = sent_s, times[0], times[-1]
    exchange.status, exchange.outcome = 200, outcome
    return exchange


def recorded(recorder: Recorder, requests: int, stage: int = 0, zero_s: float = 100.0) -> None:
    """Requests of 0.5 s each, one every 0.1 s, of three tokens."""

    async def run() -> None:
        for n in range(requests):
            sent_s = zero_s + 0.1 * n
            exchange = ended(sent_s, [sent_s + 0.1, sent_s + 0.2, sent_s + 0.5])
            recorder.add(stage, sent_s - recorder.zero_s, Ask(b"", 10, 3), exchange)

    asyncio.run(run())


def a_run(path: Path, requests: int = 20) -> RunDir:
    run = RunDir.create(path, SPEC)
    recorder = Recorder(100.0, run.journal)
    run.begin(0, LEVEL, 0.0)
    recorded(recorder, requests)
    recorder.close()
    return run


def test_requests_are_readable_while_the_run_goes_on_and_the_same_after_it(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    before = rundir.read_requests(run.path)
    times = list(rundir.read_chunk_times(run.path))
    run.close(Status.DONE)
    after = rundir.read_requests(run.path)
    assert not (run.path / ROWS_FILE).exists()
    for name in COLUMNS:
        assert np.array_equal(before.column(name), after.column(name), equal_nan=True)
        assert before.column(name).dtype == after.column(name).dtype == TYPES[name]
    ((_, counts, flat),) = rundir.read_chunk_times(run.path)
    assert np.array_equal(flat, times[0][2])
    assert counts.tolist() == [3] * 20
    assert flat[:3] == pytest.approx([0, 0.1, 0.4], abs=1e-7)


def test_other_tools_find_chunk_times_as_a_list_column(tmp_path: Path) -> None:
    a_run(tmp_path / "run").close(Status.DONE)
    table = pq.read_table(tmp_path / "run" / "requests.parquet")
    assert table.column_names == [*COLUMNS, "chunk_times_s"]
    assert table["chunk_times_s"][0].as_py() == pytest.approx([0, 0.1, 0.4], abs=1e-7)


ROW = st.tuples(st.tuples(*[st.floats(width=64)] * 6), st.tuples(*[st.integers(-1, 2**31 - 1)] * 5), st.integers(-1, 9))


@given(st.lists(ROW, max_size=20), st.integers(1, 7))
@settings(max_examples=30)
def test_every_column_survives_parquet_to_the_last_bit(rows: list[Any], group: int) -> None:
    made = Journal.in_memory()
    for floats, whole, stage in rows:
        made.append(pack(*floats, *whole, 2, stage, 200, 0), np.array([0, 0.5], dtype="<f4").tobytes())
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(parquet, "_GROUP", group)
        file = Path(folder) / "requests.parquet"
        parquet.write(made, file)
        table, again = parquet.read(file), Journal.in_memory()
        parquet.restore(file, again)
    before, restored = (RecordedRows(each, 0, len(each)).table() for each in (made, again))
    for name in COLUMNS:
        wanted = before.column(name).tobytes()
        assert table.column(name).tobytes() == wanted
        assert restored.column(name).tobytes() == wanted
    assert [t[2].tolist() for t in again.chunk_times()] == [t[2].tolist() for t in made.chunk_times()]


def test_a_run_that_was_cut_off_says_so_and_its_stages_are_made_from_its_rows(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", 40)
    assert "is still under way after 40 requests" in runs.read(run.path).cut_off
    run.journal.close()  # as the end of the process does
    read = runs.read(run.path)
    assert read.cut_off == "the run was cut off after 40 requests; figures are of what is there"
    (stage,) = read.curve.stages
    assert (stage.index, stage.level, stage.ok, stage.requests) == (0, LEVEL, 40, 40)
    assert stage.latency.p50_s == pytest.approx(0.5)
    assert stage.itl is not None
    assert stage.itl.max_s == pytest.approx(0.3)
    assert stage.goodput_per_s == stage.achieved_per_s
    assert "the run ended within this level" in stage.notes[-1]


def test_stages_that_were_written_stand_beside_those_made_from_rows(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run", SPEC)
    recorder = Recorder(100.0, run.journal)
    for index in range(2):
        run.begin(index, LEVEL, 10.0 * index)
        recorded(recorder, 30, index, 100.0 + 10 * index)
        if index == 0:
            recorder.flush()
            recorder.rows()
            run.write_curve(LoadCurve("unit", (replace(runs.read(run.path).curve.stages[0], notes=("whole",)),)))
    recorder.close()
    run.close(Status.INTERRUPTED)
    read = runs.read(run.path)
    assert sorted((stage.index, stage.notes[-1].split()[0]) for stage in read.curve.stages) == [
        (0, "whole"),
        (1, "the"),
    ]
    assert read.curve.unit == "unit"
    assert "was interrupted after 60 requests" in read.cut_off


@pytest.mark.parametrize("closed", [True, False])
def test_a_run_is_gone_on_with_where_it_stopped(tmp_path: Path, closed: bool) -> None:
    run = a_run(tmp_path / "run")
    run.write_curve(LoadCurve("unit"))
    if closed:
        run.close(Status.INTERRUPTED)
    else:
        run.journal.close()
    again = RunDir.reopen(run.path, SPEC)
    assert (again.curve, [begun.index for begun in again.levels]) == (LoadCurve("unit"), [0])
    assert again.record == replace(run.record, status=again.record.status)
    assert abs(again.zero_s - run.zero_s) < 5  # the same clock, as far as the wall clock was not set in between
    recorder = Recorder(100.0, again.journal)
    assert len(recorder) == 20
    recorded(recorder, 5, 1)
    assert len(recorder.rows(20)) == 5
    recorder.close()
    again.close(Status.DONE)
    table = rundir.read_requests(run.path)
    assert table.stage.tolist() == [0] * 20 + [1] * 5
    assert sum(len(times) for _, _, times in rundir.read_chunk_times(run.path)) == 75
    assert runs.read(run.path).cut_off == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 8}, "begun with seed 7, not 8"),
        ({"slo": None}, "begun with slo p95<1s, not none"),
        ({"shard": "2/4"}, "begun with shard 0/1, not 2/4"),
        ({"workload": {"api": "chat"}}, 'begun with workload {"api": "completions"}, not {"api": "chat"}'),
    ],
)
def test_a_run_is_not_gone_on_with_as_another(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    a_run(tmp_path / "run").close(Status.INTERRUPTED)
    with pytest.raises(InputError) as refused:
        RunDir.reopen(tmp_path / "run", replace(SPEC, **change))
    assert said in str(refused.value)


def test_a_run_that_is_being_written_cannot_be_reopened(tmp_path: Path) -> None:
    a_run(tmp_path / "run")
    with pytest.raises(InputError, match="another process is writing this run"):
        RunDir.reopen(tmp_path / "run", SPEC)


def test_a_folder_without_a_run_is_one_sentence(tmp_path: Path) -> None:
    for read in (runs.read, rundir.read_spec, rundir.read_requests):
        with pytest.raises(InputError):
            read(tmp_path)
    with pytest.raises(InputError, match="there is no run to read"):
        RunDir.reopen(tmp_path, SPEC)


def test_run_json_says_what_defines_the_run(tmp_path: Path) -> None:
    a_run(tmp_path / "run").close(Status.DONE)
    written = json.loads((tmp_path / "run" / "run.json").read_text())
    assert written["status"] == "done"
    assert written["started_unix_s"] > 1.7e9
    assert written["spec"]["workload"] == {"api": "completions"}
    assert written["spec"]["shard"] == "0/1"


def test_times_are_recorded_from_the_runs_zero_in_the_targets_time() -> None:
    recorder = Recorder(100.0, time_scale=10.0)
    recorder.add(0, 1.0, Ask(b"", 10, 3), ended(101.5, [102.0, 102.25, 103.0]))
    table = recorder.table()
    assert (table.intended_s[0], table.sent_s[0], table.first_token_s[0], table.end_s[0]) == (10.0, 15.0, 20.0, 30.0)
    assert table.itl_s[0] == pytest.approx(5.0)
    assert next(iter(recorder.rows().gaps(np.array([True])))).tolist() == [2.5, 7.5]
