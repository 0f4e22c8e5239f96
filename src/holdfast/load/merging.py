"""Joining the runs of shards to the run that they were parts of.

Rows are only put together, never summarised: their clocks are aligned by the wall-clock start of each run, and every
stage is measured anew from all of them, so a percentile of the whole is that of all its requests. How well the clocks
are aligned is how well the machines' clocks agree; latencies are differences on one machine's clock and do not depend
on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from holdfast.limits import measured
from holdfast.load import finding
from holdfast.load.rundir import RunSpec
from holdfast.load.shards import Shard
from holdfast.model.errors import InputError
from holdfast.model.records import COLUMNS, RequestTable
from holdfast.model.stages import ClientHealth, LoadCurve, Stage

TOGETHER_S = 1.0
"""Shards that began within this time of each other, in wall time, sent together: the warm-up cut takes away more."""

_SAME = ("url", "api", "model", "arrivals", "seed", "time_scale", "verb")


@dataclass(frozen=True)
class Part:
    """The run of one shard. where: as errors name it; started_unix_s: the zero of its rows on the wall clock."""

    where: str
    spec: RunSpec
    started_unix_s: float
    curve: LoadCurve
    rows: RequestTable

    @property
    def shard(self) -> Shard:
        return Shard.parse(self.spec.shard)


def merge(parts: Sequence[Part], *, partial: bool = False) -> Part:
    """The run that these were shards of; of one whole run, that run.

    partial: also when shards are missing, which the stages' notes then say. Raises InputError for runs that do not
    belong together.
    """
    _check(parts, partial)
    first = min(parts, key=lambda part: part.started_unix_s)
    missing = sorted({*range(first.shard.count)} - {part.shard.index for part in parts})
    if len(parts) == 1 and not missing:
        return first
    aligned = [(part, _shift_s(part, first)) for part in sorted(parts, key=lambda part: part.shard.index)]
    notes = (_absence(missing, first.shard.count),) if missing else ()
    stages = [_stage(stage.index, aligned, notes) for stage in first.curve.stages]
    return Part(
        where=first.where,
        spec=replace(first.spec, shard="0/1"),
        started_unix_s=first.started_unix_s,
        curve=finding.curve_of(first.curve.unit, stages, None),
        rows=joined([part.rows.shifted(-shift_s) for part, shift_s in aligned]),
    )


def joined(tables: Sequence[RequestTable]) -> RequestTable:
    """All rows of these tables, in the order in which they ended; a table that is in that order stays as it is."""
    if not tables:
        return RequestTable.of([])
    whole = RequestTable(**{name: np.concatenate([getattr(table, name) for table in tables]) for name in COLUMNS})
    return whole.take(np.argsort(whole.end_s, kind="stable"))


def worst(*healths: ClientHealth) -> ClientHealth:
    """The health of several clients that sent one load: in each respect that of the one that was worst off."""
    return ClientHealth(
        **{field.name: max(getattr(health, field.name) for health in healths) for field in fields(ClientHealth)}
    )


def _check(parts: Sequence[Part], partial: bool) -> None:
    first = parts[0]
    seen: dict[int, Part] = {}
    for part in parts:
        for key in _SAME:
            ours, theirs = getattr(first.spec, key), getattr(part.spec, key)
            if ours != theirs:
                raise InputError(
                    f"this run has {key} {theirs}, and {first.where} has {ours}: they are not shards of one run",
                    where=part.where,
                    mend="leave it out",
                )
        if part.shard.count != first.shard.count:
            raise InputError(
                f"this is {part.shard.name}, and {first.where} is {first.shard.name}",
                where=part.where,
                mend="leave it out",
            )
        if part.shard.index in seen:
            twin = seen[part.shard.index].where
            raise InputError(f"this is {part.shard.name}, as {twin} is", where=part.where, mend="give each shard once")
        seen[part.shard.index] = part
        levels = [{stage.index: stage.level for stage in one.curve.stages} for one in (first, part)]
        if levels[0] != levels[1]:
            raise InputError(f"its levels are not those of {first.where}", where=part.where, mend="leave it out")
    missing = sorted({*range(first.shard.count)} - set(seen))
    if missing and not partial:
        raise InputError(_absence(missing, first.shard.count), mend="give all runs, or --partial to go without")


def _absence(missing: list[int], count: int) -> str:
    names = ", ".join(map(str, missing))
    verb = "shards {} of {} are missing" if len(missing) > 1 else "shard {} of {} is missing"
    return f"{verb.format(names, count)}: a share of {len(missing) / count:.0%} of the load"


def _shift_s(part: Part, first: Part) -> float:
    """How much later than `first` its run's zero is, in the target's time."""
    return (part.started_unix_s - first.started_unix_s) * part.spec.time_scale


def _stage(index: int, aligned: Sequence[tuple[Part, float]], notes: tuple[str, ...]) -> Stage:
    """One stage measured from the rows of all shards."""
    stages = [next(stage for stage in part.curve.stages if stage.index == index) for part, _ in aligned]
    tables = [part.rows.where(part.rows.stage == index).shifted(-shift_s) for part, shift_s in aligned]
    sending = [
        (part.shard, table, _start_s(stage, table))
        for (part, _), stage, table in zip(aligned, stages, tables, strict=True)
        if len(table)
    ]
    scale, level = aligned[0][0].spec.time_scale, stages[0].level
    rows = joined([table for _, table, _ in sending])
    if sending:
        shard, _, last_s = max(sending, key=lambda one: one[2])
        start_s = min(one[2] for one in sending)
        if last_s - start_s > TOGETHER_S * scale:
            end_s = min(float(table.intended_s.max()) for _, table, _ in sending)
            if end_s <= last_s:
                raise InputError(f"{shard.name} began when another had ended", mend="run all shards at the same time")
            notes = (*notes, _apart(shard, last_s - start_s, end_s - last_s))
            rows, start_s = rows.where((rows.intended_s >= last_s) & (rows.intended_s <= end_s)), last_s
        rows = rows.shifted(start_s)
    health = worst(*(stage.client for stage in stages))
    known = [stage.utilization for stage in stages if stage.utilization is not None]
    whole = measured.measure(
        rows, level, index, cpu=health.cpu, utilization=sum(known) / len(known) if known else None, time_scale=scale
    ).stage
    return replace(whole, client=health, notes=(*whole.notes, *notes))


def _start_s(stage: Stage, table: RequestTable) -> float:
    """When the stage began, on the clock of the rows: its window is counted from there and ends with the last send."""
    return float(table.intended_s.max()) - stage.window_s[1]


def _apart(shard: Shard, late_s: float, common_s: float) -> str:
    return f"{shard.name} began {late_s:.3g} s after the first: measured are the {common_s:.3g} s in which all sent"
