"""Joining the runs of shards to the run that they were parts of.

Rows are only put together, never summarised: their clocks are aligned by the wall-clock start of each run, and every
stage is measured anew from all of them, so a percentile of the whole is that of all its requests. How well the clocks
are aligned is how well the machines' clocks agree; latencies are differences on one machine's clock and do not depend
on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from holdfast.limits import measured
from holdfast.load.journal import Journal, gaps_of
from holdfast.load.rundir import RunRecord, RunSpec
from holdfast.load.shards import Shard
from holdfast.model import fleet
from holdfast.model.errors import InputError
from holdfast.model.records import MOMENTS, Bools, Column, Floats32
from holdfast.model.server import Point, ServerTable
from holdfast.model.stages import ClientHealth, LoadCurve, Stage

TOGETHER_S = 1.0
"""Shards that began within this time of each other, in wall time, sent together: the warm-up cut takes away more."""

_COUNTS = ("stalls", "held", "connections")


@dataclass(frozen=True)
class Part:
    """The run of one shard.

    where:   as errors name it. began_s: when each stage began, in the target's time from the run's zero.
    append:  appends its requests to a journal; called once.
    cut_off: what is to be said of a run that did not come to its end. series: what its server said of itself.
    """

    where: str
    record: RunRecord
    began_s: Mapping[int, float]
    curve: LoadCurve
    append: Callable[[Journal], None]
    cut_off: str = ""
    series: ServerTable | None = None

    @property
    def spec(self) -> RunSpec:
        return self.record.spec

    @property
    def shard(self) -> Shard:
        return Shard.parse(self.spec.shard)


def check(parts: Sequence[Part], *, partial: bool = False) -> None:
    """Raises InputError for runs that do not belong together, and unless `partial` when one is missing."""
    first = parts[0]
    seen: dict[int, Part] = {}
    for part in parts:
        _check_same(part, first)
        if part.shard.index in seen:
            twin = seen[part.shard.index].where
            raise InputError(f"this is {part.shard.name}, as {twin} is", where=part.where, mend="give each shard once")
        seen[part.shard.index] = part
    missing = _missing(parts)
    if missing and not partial:
        raise InputError(_absence(missing, first.shard.count), mend="give all runs, or --partial to go without")


def first_of(parts: Sequence[Part]) -> Part:
    """The one that began first; the times of the whole count from its zero."""
    return min(parts, key=lambda part: part.record.started_unix_s)


def merge(parts: Sequence[Part], whole: Journal) -> LoadCurve:
    """The curve of the run that these were shards of, and all their requests in `whole`.

    `check` them before; of shards that are missing the stages' notes then say so.
    """
    first, missing = first_of(parts), _missing(parts)
    notes = tuple(f"{part.shard.name}: {part.cut_off}" for part in parts if part.cut_off)
    if missing:
        notes = (*notes, _absence(missing, first.shard.count))
    pieces = []
    for part in sorted(parts, key=lambda part: part.shard.index):
        own, begin = Journal.in_memory(), len(whole)
        part.append(own)
        later_s = (part.record.started_unix_s - first.record.started_unix_s) * part.spec.time_scale
        whole.extend(own, later_s)
        pieces.append(_Piece(part, later_s, begin, len(whole)))
    if len(parts) == 1 and not missing:
        return first.curve
    stages = [_stage(stage.index, whole, pieces, notes) for stage in first.curve.stages]
    return LoadCurve.of(first.curve.unit, stages)


def series_of(parts: Sequence[Part]) -> list[Point]:
    """What the server said of itself, on the clock of the whole; the shards saw the same server, so one tells it."""
    for part in parts:
        if part.series is not None:
            later_s = (part.record.started_unix_s - first_of(parts).record.started_unix_s) * part.spec.time_scale
            return [replace(point, time_s=point.time_s + later_s) for point in part.series.points()]
    return []


def together(*healths: ClientHealth) -> ClientHealth:
    """The health of several clients that sent one load: counts are added up, the rest is that of the worst."""
    columns = {field.name: [getattr(one, field.name) for one in healths] for field in fields(ClientHealth)}
    return ClientHealth(**{name: (sum if name in _COUNTS else max)(values) for name, values in columns.items()})


@dataclass(frozen=True)
class _Piece:
    """One part's rows in the whole, `begin` to before `end`; its zero is `later_s` after that of the first."""

    part: Part
    later_s: float
    begin: int
    end: int


@dataclass(frozen=True)
class _Selection:
    """Some rows of a journal, their times counted from `zero_s`; see records.Rows."""

    journal: Journal
    at: Bools
    zero_s: float

    def __len__(self) -> int:
        return int(np.count_nonzero(self.at))

    def column(self, name: str) -> Column:
        values = self.journal.column(name)[self.at]
        return values - self.zero_s if name in MOMENTS else values

    def gaps(self, keep: Bools) -> Iterator[Floats32]:
        wanted = np.zeros(len(self.at), dtype=bool)
        wanted[self.at] = keep
        for first, counts, times in self.journal.chunk_times():
            if len(times) > 1:
                yield gaps_of(counts, times, wanted[first : first + len(counts)])


def _check_same(part: Part, first: Part) -> None:
    for key in (field.name for field in fields(RunSpec) if field.name != "shard"):
        ours, theirs = getattr(first.spec, key), getattr(part.spec, key)
        if ours != theirs:
            raise InputError(
                f"this run has {key} {theirs or 'none'}, and {first.where} has {ours or 'none'}: "
                "they are not shards of one run",
                where=part.where,
                mend="leave it out",
            )
    if part.shard.count != first.shard.count:
        raise InputError(
            f"this is {part.shard.name}, and {first.where} is {first.shard.name}", where=part.where, mend="leave it out"
        )
    levels = [{stage.index: stage.level for stage in one.curve.stages} for one in (first, part)]
    if levels[0] != levels[1]:
        raise InputError(f"its levels are not those of {first.where}", where=part.where, mend="leave it out")


def _missing(parts: Sequence[Part]) -> list[int]:
    return sorted({*range(parts[0].shard.count)} - {part.shard.index for part in parts})


def _absence(missing: list[int], count: int) -> str:
    names = ", ".join(map(str, missing))
    verb = "shards {} of {} are missing" if len(missing) > 1 else "shard {} of {} is missing"
    return f"{verb.format(names, count)}: a share of {len(missing) / count:.0%} of the load"


def _stage(index: int, whole: Journal, pieces: Sequence[_Piece], notes: tuple[str, ...]) -> Stage:
    """One stage measured from the rows of all shards."""
    stages = [next(stage for stage in piece.part.curve.stages if stage.index == index) for piece in pieces]
    scale = pieces[0].part.spec.time_scale
    at = np.equal(whole.column("stage"), index)
    sending = [piece for piece in pieces if at[piece.begin : piece.end].any()]
    began_s = {piece.part.shard: piece.part.began_s[index] + piece.later_s for piece in sending}
    start_s = min(began_s.values(), default=0.0)
    late = max(began_s, key=lambda shard: began_s[shard], default=None)
    if late is not None and began_s[late] - start_s > TOGETHER_S * scale:
        intended_s = whole.column("intended_s")
        last_s = began_s[late]
        end_s = min(float(intended_s[piece.begin : piece.end][at[piece.begin : piece.end]].max()) for piece in sending)
        if end_s <= last_s:
            raise InputError(f"{late.name} began when another had ended", mend="run all shards at the same time")
        notes = (*notes, _apart(late, last_s - start_s, end_s - last_s))
        at, start_s = at & (intended_s >= last_s) & (intended_s <= end_s), last_s
    health = together(*(stage.client for stage in stages))
    known = [stage.utilization for stage in stages if stage.utilization is not None]
    utilization = sum(known) / len(known) if known else None
    rows = _Selection(whole, at, start_s)
    spec = pieces[0].part.spec
    joint = measured.measure(
        rows,
        stages[0].level,
        index,
        client=health,
        slo=fleet.parse_slo(spec.slo) if spec.slo else None,
        utilization=utilization,
        time_scale=spec.time_scale,
    ).stage
    server = next((stage.server for stage in stages if stage.server), {})
    return replace(joint, client=health, server=server, notes=(*joint.notes, *notes))


def _apart(shard: Shard, late_s: float, common_s: float) -> str:
    return f"{shard.name} began {late_s:.3g} s after the first: measured are the {common_s:.3g} s in which all sent"
