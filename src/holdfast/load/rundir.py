"""A run directory: what a run of load leaves behind, readable at any moment and after any end.

    run.json          versioned: what was asked for, of whom, by which versions, on what host, and how the run ended
    levels.json       the levels begun so far: what was meant to be held, and when
    *.journal         while it runs: a row per request, on disk within a second (holdfast.load.journal)
    requests.parquet  after it: the same rows (holdfast.model.records.RequestRecord) and a list column
                      `chunk_times_s`, float32 seconds since the first output event of the request
    stages.json       the stages so far and, at the end, the breaking point
    server.csv        while it runs, and server.parquet after it: what the server and its devices said of themselves
                      (holdfast.load.serverlog); of a server that says nothing there is neither

JSON files are replaced by rename, so that a reader never sees half of one. Once a run has begun, a disk that is full
or broken does not end it: `trouble` says what could not be written, and what was written before stays readable.
"""

from __future__ import annotations

import enum
import json
import os
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

import holdfast
from holdfast.load.journal import ROWS_FILE, TIMES_FILE, FileJournal, Journal, RecordedRows, is_written
from holdfast.load.serverlog import ServerLog
from holdfast.model import codec
from holdfast.model.errors import InputError, OutputError
from holdfast.model.records import Floats32, Ints, RequestTable
from holdfast.model.server import Point
from holdfast.model.stages import Level, LoadCurve

VERSION = 2

PARQUET_FILE = "requests.parquet"


class Status(enum.Enum):
    """How a run stands. A run that is RUNNING and has no process was cut off."""

    RUNNING = "running"
    DONE = "done"
    INTERRUPTED = "interrupted"
    INCOMPLETE = "incomplete"  # it came to its end, and the disk refused a part of what it recorded


@dataclass(frozen=True)
class RunSpec:
    """What a run was asked to do: two runs of one spec sent the same requests.

    time_scale: see subject.Subject.
    workload:   the shape of the requests as the fleet document writes it (model.fleet.Workload).
    stream:     whether answers were asked for as server-sent events.
    shard:      `i/n`: this run sent part i of n, counted from 0 (see shards.Shard).
    recipe:     what prompts were made of (recipes.Recipe.described).
    pacer:      when requests were meant to start, where the levels do not say it all.
    """

    verb: str
    url: str
    api: str
    model: str
    slo: str | None
    arrivals: str
    seed: int
    time_scale: float = 1.0
    workload: dict[str, Any] = field(default_factory=dict)
    stream: bool = True
    shard: str = "0/1"
    recipe: dict[str, Any] = field(default_factory=dict)
    pacer: str = ""


@dataclass(frozen=True)
class Begun:
    """A level that was begun, `began_s` seconds after the start of the run, in the target's time."""

    index: int
    level: Level
    began_s: float


@dataclass(frozen=True)
class RunRecord:
    """run.json. started_unix_s: the wall clock at the run's zero, by which shards are aligned."""

    version: int
    holdfast: str
    spec: RunSpec
    status: Status
    started: str
    started_unix_s: float
    host: dict[str, Any]
    clock: str


class RunDir:
    """A run directory that is being written: `create` one or `reopen` one, and `close` it.

    As a context it is closed on the way out: as done, or as interrupted when by an exception.
    """

    def __init__(self, path: Path, record: RunRecord, levels: list[Begun], curve: LoadCurve | None) -> None:
        self.path = path
        self.record = record
        self.levels = levels
        self.curve = curve
        """The curve as it was written last; None before that."""
        self.zero_s = time.perf_counter() - (time.time() - record.started_unix_s)
        """The run's zero on this process' `time.perf_counter` clock."""
        self.server = ServerLog(path)
        self._failed: dict[str, OutputError] = {}
        try:
            self.journal = FileJournal(path, writes=True)
        except BlockingIOError as error:
            raise InputError("another process is writing this run", where=str(path), mend="wait for it") from error
        except OSError as error:
            raise OutputError.of(path, error) from error

    @classmethod
    def create(cls, path: Path, spec: RunSpec) -> RunDir:
        """A new run. Raises InputError for a folder with a run in it, OutputError when it cannot be written.

        A run that began no level, as its target did not answer, is no reason to refuse: nothing of it is lost.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError.of(path, error) from error
        if (path / "run.json").exists():
            if any((path / name).exists() for name in ("levels.json", "stages.json")) or is_written(path):
                raise InputError("there is a run in this folder already", where=str(path), mend="give another --out")
            _remove_journal(path)
            for name in (PARQUET_FILE, "server.csv", "server.parquet"):
                (path / name).unlink(missing_ok=True)
        now_s = time.time()
        record = RunRecord(
            version=VERSION,
            holdfast=holdfast.__version__,
            spec=spec,
            status=Status.RUNNING,
            started=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now_s)),
            started_unix_s=now_s,
            host={"platform": platform.platform(), "python": platform.python_version(), "cpus": os.cpu_count()},
            clock="time.perf_counter times spec.time_scale, seconds from the start of the run",
        )
        run = cls(path, record, [], None)
        run._write_record(Status.RUNNING)
        run.check()
        return run

    @classmethod
    def reopen(cls, path: Path, spec: RunSpec) -> RunDir:
        """A run to go on with. Raises InputError when there is none or `spec` is another, OutputError as `create`."""
        record = read_record(path)
        _require_same(record.spec, spec, path)
        levels, curve = read_levels(path), read_written_curve(path)
        if (path / PARQUET_FILE).exists():
            _unpack(path)
        run = cls(path, record, levels, curve)
        run._write_record(Status.RUNNING)
        run.check()
        return run

    @classmethod
    def joined(cls, path: Path, first: RunRecord) -> RunDir:
        """A new run that shards are joined to, at the zero of `first`. Raises as `create`."""
        made = cls.create(path, replace(first.spec, shard="0/1"))
        made.record = replace(made.record, started=first.started, started_unix_s=first.started_unix_s)
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(Status.DONE if kind is None else Status.INTERRUPTED)

    @property
    def trouble(self) -> OutputError | None:
        """What could not be written, nor later; the run went on without."""
        refused = self.journal.trouble
        if refused is not None:
            return OutputError.of(self.path, refused)
        return next(iter(self._failed.values()), self.server.trouble)

    def check(self) -> None:
        """Raises OutputError when something could not be written."""
        if self.trouble is not None:
            raise self.trouble

    def begin(self, index: int, level: Level, began_s: float) -> None:
        """Notes a level that begins now, `began_s` after the start of the run."""
        self.levels = [*(begun for begun in self.levels if begun.index != index), Begun(index, level, began_s)]
        self._replace("levels.json", self.levels)

    def observe(self, points: Sequence[Point]) -> None:
        """Keeps what the server or a device said of itself."""
        self.server.append(points)

    def write_curve(self, curve: LoadCurve) -> None:
        """Replaces stages.json."""
        self.curve = curve
        self._replace("stages.json", {"version": VERSION, **codec.to_jsonable(curve)})

    def close(self, status: Status) -> None:
        """Ends the run: makes requests.parquet of the journal. Close its recorder first."""
        from holdfast.load import parquet  # only here: see there

        part = self.path / f"{PARQUET_FILE}.part"
        try:
            parquet.write(self.journal, part)
            part.replace(self.path / PARQUET_FILE)
        except OSError as error:
            self._failed[PARQUET_FILE] = OutputError.of(self.path, error)
            part.unlink(missing_ok=True)
        self.journal.close()
        self.server.finish()
        if self.trouble is None:
            _remove_journal(self.path)
        elif status is Status.DONE:
            status = Status.INCOMPLETE
        self._write_record(status)

    def _write_record(self, status: Status) -> None:
        self._replace("run.json", {**asdict(self.record), "status": status})

    def _replace(self, name: str, value: object) -> None:
        part = self.path / f"{name}.part"
        try:
            part.write_text(codec.dumps(value), encoding="utf-8")
            part.replace(self.path / name)
        except OSError as error:
            self._failed[name] = OutputError.of(self.path, error)
        else:
            self._failed.pop(name, None)


def read_record(path: Path) -> RunRecord:
    """The run.json of a directory. Raises InputError."""
    file = path / "run.json"
    try:
        text = file.read_text(encoding="utf-8")
        version = json.loads(text)["version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "run.json is none of ours"
        raise InputError(
            f"there is no run to read ({reason})", where=str(path), mend="give a folder that a run wrote"
        ) from error
    if version != VERSION:
        raise InputError(
            f"the run is of version {version}, and this holdfast reads version {VERSION}",
            where=str(file),
            mend="measure again",
        )
    return codec.loads(RunRecord, text, where=str(file))


def read_spec(path: Path) -> RunSpec:
    """What the run of a directory was asked to do. Raises InputError."""
    return read_record(path).spec


def read_levels(path: Path) -> list[Begun]:
    """The levels that the run of a directory began. Raises InputError."""
    file = path / "levels.json"
    if not file.exists():
        return []
    return codec.loads(list[Begun], file.read_text(encoding="utf-8"), where=str(file))


def read_written_curve(path: Path) -> LoadCurve | None:
    """The stages.json of a directory, None when there is none yet. Raises InputError."""
    file = path / "stages.json"
    if not file.exists():
        return None
    return codec.loads(LoadCurve, file.read_text(encoding="utf-8"), where=str(file))


def read_requests(path: Path) -> RequestTable:
    """The requests of a run directory, of one that was cut off those that are there. Raises InputError."""
    if (path / PARQUET_FILE).exists():
        from holdfast.load import parquet  # only here: see there

        return parquet.read(path / PARQUET_FILE)
    journal = _journal(path)
    try:
        return RecordedRows(journal, 0, len(journal)).table()
    finally:
        journal.close()


def append_requests(path: Path, whole: Journal) -> None:
    """Appends the requests of a run directory to a journal. Raises InputError."""
    if (path / PARQUET_FILE).exists():
        from holdfast.load import parquet  # only here: see there

        parquet.restore(path / PARQUET_FILE, whole)
        return
    own = _journal(path)
    try:
        whole.extend(own)
    finally:
        own.close()


def read_chunk_times(path: Path) -> Iterator[tuple[int, Ints, Floats32]]:
    """The chunk times of a run directory, in pieces. Raises InputError.

    Each piece is the position of its first request, how many times each of its requests has, and the times of all of
    them: seconds since the first output event of the request, in float32 and so exact to 6e-8 of themselves.
    """
    if (path / PARQUET_FILE).exists():
        from holdfast.load import parquet  # only here: see there

        yield from parquet.chunk_times(path / PARQUET_FILE)
        return
    journal = _journal(path)
    try:
        yield from journal.chunk_times()
    finally:
        journal.close()


def _journal(path: Path) -> FileJournal:
    try:
        return FileJournal(path)
    except OSError as error:
        raise InputError(f"the requests cannot be read ({error.strerror})", where=str(path)) from error


def _unpack(path: Path) -> None:
    """Makes the journal of requests.parquet, so that the run can go on. The file stays until the journal is whole."""
    from holdfast.load import parquet  # only here: see there

    _remove_journal(path)
    try:
        journal = FileJournal(path, writes=True)
        parquet.restore(path / PARQUET_FILE, journal)
        journal.close()
        if journal.trouble is not None:
            raise journal.trouble
        (path / PARQUET_FILE).unlink()
    except OSError as error:
        raise OutputError.of(path, error) from error


def _remove_journal(path: Path) -> None:
    for name in (ROWS_FILE, TIMES_FILE):
        (path / name).unlink(missing_ok=True)


def _require_same(before: RunSpec, now: RunSpec, path: Path) -> None:
    for name in (each.name for each in fields(RunSpec)):
        was, wanted = getattr(before, name), getattr(now, name)
        if was != wanted:
            raise InputError(
                f"the run here was begun with {name.replace('_', ' ')} {_said(was)}, not {_said(wanted)}",
                where=str(path),
                mend="give the same flags, or another --out",
            )


def _said(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else "none" if value is None else str(value)
