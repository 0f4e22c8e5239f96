"""Run directories of servers on virtual time, as `load`, `sweep` and `limit` leave them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from holdfast.limits import measured
from holdfast.load.journal import ROW, Journal, RecordedRows, pack
from holdfast.load.rundir import RunDir, RunSpec, Status
from holdfast.model.records import COLUMNS, Floats, RequestTable
from holdfast.model.stages import Arrivals, BreakingPoint, ClientHealth, Level, LoadCurve
from limits import virtual
from limits.virtual import Server, Slots

SPEC = RunSpec("sweep", "http://llm:8000", "completions", "m", None, "poisson", 7)
_CHUNKS = 5


class Works:
    """Service times of mean 0.2 s times `slower` that all runs of a seed share, with noise of each run's own."""

    def __init__(self, seed: int, slower: float = 1.0) -> None:
        self._works = np.random.default_rng([seed, 99])
        self._slower = slower

    def __call__(self, rng: np.random.Generator, n: int) -> Floats:
        return self._works.exponential(0.2 * self._slower, n) * rng.uniform(0.9, 1.1, n)


def poisson(rate_per_s: float, requests: int) -> Level:
    return Level(Arrivals.POISSON, rate_per_s=rate_per_s, duration_s=requests / rate_per_s)


def rows_of(level: Level, spec: RunSpec, run: int, slower: float = 1.0, server: Server | None = None) -> RequestTable:
    """What eight slots answer at a level: the spec's seed says what is asked and when, the run how long it takes."""
    server = server or Slots(8, Works(spec.seed, slower))
    assert level.rate_per_s is not None
    requests = round(level.rate_per_s * level.duration_s)
    arrivals_s = np.sort(np.random.default_rng(spec.seed).uniform(0, level.duration_s, requests))
    rows = virtual.table(list(server.serve(iter(arrivals_s.tolist()), np.random.default_rng([run, spec.seed]))))
    first_s = rows.intended_s + (rows.end_s - rows.intended_s) / 2
    return replace(rows, first_token_s=first_s, chunks=np.full(len(rows), _CHUNKS))


def write(
    path: Path,
    levels: Sequence[tuple[Level, RequestTable]],
    spec: RunSpec = SPEC,
    *,
    point: BreakingPoint | None = None,
    client: ClientHealth | None = None,
    status: Status = Status.DONE,
) -> Path:
    """A run of these levels, one after another; of a run that was cut off the last level has no stage."""
    run = RunDir.create(path, spec)
    began_s, stages = 0.0, []
    for index, (level, rows) in enumerate(levels):
        began_s += 1.0
        run.begin(index, level, began_s)
        first = len(run.journal)
        _append(run.journal, replace(rows.shifted(-began_s), stage=np.full(len(rows), index)))
        seen = RecordedRows(run.journal, first, len(run.journal), began_s)
        whole = status is Status.DONE or index + 1 < len(levels)
        if whole:
            stages.append(measured.measure(seen, level, index, client=client or ClientHealth()).stage)
        began_s += float(rows.end_s.max())
    run.write_curve(LoadCurve.of(spec.url, stages, point))
    run.close(status)
    return path


def _append(journal: Journal, rows: RequestTable) -> None:
    packed = np.frombuffer(bytearray(pack(*(0,) * 15) * len(rows)), dtype=ROW)
    for name in COLUMNS:
        packed[name] = getattr(rows, name)
    packed["events"] = _CHUNKS
    shares = np.linspace(0.0, 1.0, _CHUNKS)
    times_s = np.nan_to_num(rows.end_s - rows.first_token_s)[:, None] * shares[None, :]
    journal.append(packed.tobytes(), times_s.astype("<f4").tobytes())
