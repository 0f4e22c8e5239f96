"""Which rows of a measurement file speak for which unit of a fleet, and what is to be said of the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdfast.model.findings import Finding, Severity
from holdfast.model.fleet import DeploymentUnit, InferenceFleet
from holdfast.model.measurements import Measurement
from holdfast.planning import each_size, measured_size

_RANKS = ("tensor_parallel", "pipeline_parallel")
_CONFIGURATION = ("instance_type", "accelerator", "framework", *_RANKS, "max_num_seqs")


def said(fleet: InferenceFleet, rows: Sequence[Measurement], where: str) -> Iterator[Finding]:
    """Rows of units that the fleet does not have, of other configurations, and of other lengths of request."""
    yield from _strangers(fleet, rows, where)
    yield from _mismatches(fleet, rows, where)
    yield from _of_other_lengths(fleet, rows, where)


def configured(unit: DeploymentUnit, rows: Sequence[Measurement]) -> list[Measurement]:
    """The unit's rows of the TP, PP and batch that it is planned with; else those of its TP and PP; else all."""
    own = [row for row in rows if row.unit == unit.name]
    parallel = [row for row in own if not any(_differs(row, unit, key) for key in _RANKS)]
    return [row for row in parallel if not _differs(row, unit, "max_num_seqs")] or parallel or own


def _strangers(fleet: InferenceFleet, rows: Sequence[Measurement], where: str) -> Iterator[Finding]:
    names = {unit.name for unit in fleet.spec.units}
    first_rows = {row.unit: row.row for row in reversed(rows) if row.unit not in names}
    for unit, line in sorted(first_rows.items(), key=lambda item: item[1]):
        yield Finding(
            file=where,
            row=line,
            check="unknown-unit",
            severity=Severity.NOTE,
            found=unit,
            expected=", ".join(sorted(names)),
            message=f"The rows of {unit!r} are not used: the fleet has no unit of that name.",
        )


def _as_planned(fleet: InferenceFleet, unit: DeploymentUnit, rows: Sequence[Measurement]) -> list[Measurement]:
    """The unit's rows that its limit is taken from: those at each of the workload's sizes, where it was measured at all
    of them; else those whose requests are nearest in length to the mean."""
    own, workload = configured(unit, rows), fleet.spec.workload
    sized = {row.row for found in each_size.measured(own, workload) for one in found for row in one}
    return [row for row in own if row.row in sized] or measured_size.nearest(own, workload)


def _differs(row: Measurement, unit: DeploymentUnit, key: str) -> bool:
    return getattr(row, key) not in (None, getattr(unit, key))


def _mismatches(fleet: InferenceFleet, rows: Sequence[Measurement], where: str) -> Iterator[Finding]:
    for unit in fleet.spec.units:
        used = _as_planned(fleet, unit, rows)
        for key in _CONFIGURATION:
            others = [row for row in rows if row.unit == unit.name and _differs(row, unit, key)]
            if others:
                yield _mismatch(unit, key, others[0], where, used=others[0] in used)


def _of_other_lengths(fleet: InferenceFleet, rows: Sequence[Measurement], where: str) -> Iterator[Finding]:
    for unit in fleet.spec.units:
        used = _as_planned(fleet, unit, rows)
        aside = [row for row in configured(unit, rows) if row not in used]
        if aside:
            count, say = (f"{len(aside)} rows", "say") if len(aside) > 1 else ("A row", "says")
            yield Finding(
                file=where,
                row=aside[0].row,
                check="size",
                severity=Severity.NOTE,
                found=f"{len(used) + len(aside)} rows of several lengths of request",
                expected=f"the {len(used)} nearest to the workload's",
                message=f"{count} of {unit.name!r}, with requests of another length than those nearest to the "
                f"workload's, {say} nothing of its limit.",
            )


def _mismatch(unit: DeploymentUnit, key: str, row: Measurement, where: str, used: bool) -> Finding:
    measured, planned = getattr(row, key), getattr(unit, key)
    aside = "" if used else "; rows of that kind are compared in the grid and say nothing of the unit's limit"
    return Finding(
        file=where,
        row=row.row,
        check="configuration",
        severity=Severity.SUSPICIOUS if used else Severity.NOTE,
        found=f"{key} {measured}",
        expected=f"{key} {planned}",
        message=f"Unit {unit.name!r} was measured with {key} {measured} and is planned with {planned}{aside}.",
    )
