"""A run directory: what a load run leaves behind, whole after every level.

    run.json          versioned: what was asked for, of whom, by which versions, on what host
    requests.parquet  one row per request (holdfast.model.records.RequestRecord)
    stages.json       the stages so far and, at the end, the breaking point

Files are replaced by rename, so a reader never sees half of one and a crash keeps the levels before it.
"""

from __future__ import annotations

import json
import os
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import holdfast
from holdfast.model import codec
from holdfast.model.errors import InputError, OutputError
from holdfast.model.records import COLUMNS, RequestTable
from holdfast.model.stages import LoadCurve

VERSION = 1


@dataclass(frozen=True)
class RunSpec:
    """What a run was asked to do; the part of run.json that is the user's.

    time_scale: see bench.Subject. shard: which part of the load it sent, see shards.Shard.
    """

    verb: str
    url: str
    api: str
    model: str
    slo: str | None
    arrivals: str
    seed: int
    time_scale: float = 1.0
    shard: str = "0/1"


class RunDir:
    """Writes a run directory. Raises OutputError when the folder cannot be made or written."""

    def __init__(self, path: Path, spec: RunSpec, *, again: bool = False, started_unix_s: float | None = None) -> None:
        """again: goes on with the run that is in the folder, whose run.json stays. started_unix_s: now by default."""
        self.path = path
        self._started_unix_s = time.time() if started_unix_s is None else started_unix_s
        self._spec = spec
        if again:
            return
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError.of(path, error) from error
        if (path / "stages.json").exists():
            raise InputError("there is a run in this folder already", where=str(path), mend="give another --out")
        self._replace("run.json", codec.dumps(self._run()).encode())

    def write_curve(self, curve: LoadCurve) -> None:
        """Replaces stages.json."""
        self._replace("stages.json", codec.dumps({"version": VERSION, **codec.to_jsonable(curve)}).encode())

    def write_requests(self, table: RequestTable) -> None:
        """Replaces requests.parquet with these rows."""
        columns = {name: pa.array(np.asarray(getattr(table, name))) for name in COLUMNS}
        content = pa.BufferOutputStream()
        pq.write_table(pa.table(columns), content, compression="zstd")
        self._replace("requests.parquet", content.getvalue().to_pybytes())

    def _run(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "holdfast": holdfast.__version__,
            "spec": asdict(self._spec),
            "started_unix_s": self._started_unix_s,
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._started_unix_s)),
            "host": {"platform": platform.platform(), "python": platform.python_version(), "cpus": os.cpu_count()},
            "clock": "time.perf_counter times spec.time_scale, seconds from the start of the run",
        }

    def _replace(self, name: str, content: bytes) -> None:
        try:
            partial = self.path / f"{name}.part"
            partial.write_bytes(content)
            partial.replace(self.path / name)
        except OSError as error:
            raise OutputError.of(self.path, error) from error


def read_spec(path: Path) -> RunSpec:
    """What the run of a directory was asked to do. Raises InputError."""
    file = path / "run.json"
    try:
        run = json.loads(file.read_text(encoding="utf-8"))
        version, spec = run["version"], run["spec"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"this is no run of holdfast ({error})", where=str(file), mend="measure again") from error
    if version != VERSION:
        raise InputError(
            f"the run is of version {version}, and this holdfast reads version {VERSION}",
            where=str(file),
            mend="measure again",
        )
    return codec.loads(RunSpec, json.dumps(spec), where=str(file))


def read_started_unix_s(path: Path) -> float:
    """The zero of a run's rows on the wall clock. Raises InputError."""
    file = path / "run.json"
    try:
        return float(json.loads(file.read_text(encoding="utf-8"))["started_unix_s"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError("it does not say when the run began", where=str(file), mend="measure again") from error


def read_curve(path: Path) -> LoadCurve:
    """The curve of a run directory. Raises InputError."""
    file = path / "stages.json"
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"there is no run to read ({error.strerror})", where=str(file), mend="give a folder that a run wrote"
        ) from error
    return codec.loads(LoadCurve, text, where=str(file))


def read_requests(path: Path) -> RequestTable:
    """The requests of a run directory. Raises InputError."""
    file = path / "requests.parquet"
    try:
        table = pq.read_table(file)
        return RequestTable(**{name: table[name].to_numpy() for name in COLUMNS})
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise InputError(f"the requests cannot be read ({error})", where=str(file)) from error
