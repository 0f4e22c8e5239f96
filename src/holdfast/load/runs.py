"""Reading a run whatever became of it: the stages that were written, and those that its rows still tell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from holdfast.limits import measured
from holdfast.limits.measured import Measured
from holdfast.load import journal, rundir
from holdfast.load.rundir import Begun, RunRecord, Status
from holdfast.model import fleet
from holdfast.model.records import Bools, Column, Floats32, Ints, RequestTable
from holdfast.model.stages import LoadCurve, Stage

CUT_LEVEL = "the run ended within this level; what the client used of its processor is not known"


@dataclass(frozen=True)
class Run:
    """A run as it can be read.

    requests: of the stages of a run that is done; else the rows there are, with those of the preflight.
    cut_off:  what is to be said of a run that did not come to its end; empty when it did.
    """

    path: Path
    record: RunRecord
    curve: LoadCurve
    requests: int
    cut_off: str


def read(path: Path) -> Run:
    """The run of a directory. Levels without a stage get one from their rows. Raises InputError."""
    record = rundir.read_record(path)
    curve = rundir.read_written_curve(path) or LoadCurve(record.spec.url)
    if record.status is Status.DONE:
        return Run(path, record, curve, sum(stage.requests for stage in curve.stages), "")
    table = rundir.read_requests(path)
    known = {stage.index for stage in curve.stages}
    missing = [begun for begun in rundir.read_levels(path) if begun.index not in known]
    made = [stage for begun in missing if (stage := _stage(path, record, begun, table)) is not None]
    stages = sorted([*curve.stages, *made], key=lambda stage: stage.achieved_per_s)
    return Run(path, record, replace(curve, stages=tuple(stages)), len(table), _cut_off(path, record, len(table)))


def requests(run: Run) -> RequestTable:
    """All requests of a run but those of its preflight, in the order in which they ended."""
    table = rundir.read_requests(run.path)
    return table.where(table.stage >= 0)


def level(run: Run, index: int) -> tuple[RequestTable, Ints, Floats32]:
    """The requests of one level, how many chunk times each has, and all those times."""
    table = rundir.read_requests(run.path)
    at = np.equal(table.stage, index)
    counts, times = [np.empty(0, dtype=np.int32)], [np.empty(0, dtype=np.float32)]
    for first, some, times_s in rundir.read_chunk_times(run.path):
        here = at[first : first + len(some)]
        counts.append(some[here].astype(np.int32))
        times.append(times_s[np.repeat(here, some)])
    return table.where(at), np.concatenate(counts), np.concatenate(times)


def measured_levels(path: Path) -> list[Measured]:
    """The whole levels of a run in the order in which they were held, as they were when they had just been measured."""
    record, curve = rundir.read_record(path), rundir.read_written_curve(path)
    stages = {} if curve is None else {stage.index: stage for stage in curve.stages}
    table = rundir.read_requests(path)
    levels = []
    for begun in sorted(rundir.read_levels(path), key=lambda begun: begun.index):
        at = np.equal(table.stage, begun.index)
        if begun.index in stages and at.any():
            rows = LevelRows(path, table.where(at).shifted(begun.began_s), at)
            seen = measured.measure(rows, begun.level, begun.index, time_scale=record.spec.time_scale)
            levels.append(replace(seen, stage=stages[begun.index]))
    return levels


def _cut_off(path: Path, record: RunRecord, requests: int) -> str:
    if record.status is Status.INCOMPLETE:
        return f"the disk refused a part of what the run recorded, and kept {_requests(requests)}"
    if record.status is Status.INTERRUPTED:
        how = "was interrupted"
    else:
        how = "is still under way" if journal.is_written(path) else "was cut off"
    return f"the run {how} after {_requests(requests)}; figures are of what is there"


def _requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count:,} requests"


@dataclass(frozen=True)
class LevelRows:
    """The rows of one level of a run that was read, times counted from its start; see records.Rows."""

    path: Path
    table: RequestTable
    at: Bools
    """Which rows of the run are of the level."""

    def __len__(self) -> int:
        return len(self.table)

    def column(self, name: str) -> Column:
        return self.table.column(name)

    def gaps(self, keep: Bools) -> Iterable[Floats32]:
        wanted = np.zeros(len(self.at), dtype=bool)
        wanted[self.at] = keep
        for first, counts, times in rundir.read_chunk_times(self.path):
            if len(times) > 1:
                yield journal.gaps_of(counts, times, wanted[first : first + len(counts)])


def _stage(path: Path, record: RunRecord, begun: Begun, table: RequestTable) -> Stage | None:
    at = np.equal(table.stage, begun.index)
    if not at.any():
        return None
    rows = LevelRows(path, table.where(at).shifted(begun.began_s), at)
    slo = fleet.parse_slo(record.spec.slo) if record.spec.slo else None
    stage = measured.measure(rows, begun.level, begun.index, slo=slo, time_scale=record.spec.time_scale).stage
    return replace(stage, notes=(*stage.notes, CUT_LEVEL))
