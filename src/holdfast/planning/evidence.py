"""What planning knows of each unit: its limit and its price, with where each comes from.

From published measurements the limit is the highest rate among the rows that meet the SLO; what runs of our own say is
in `run_evidence`. A unit about which nothing can be said is left out and named in a finding: silence would read as "not
worth it".
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from holdfast.model.errors import InputError
from holdfast.model.findings import Finding, Severity
from holdfast.model.fleet import DeploymentUnit, InferenceFleet, Slo
from holdfast.model.hardware import InstanceType, Offering
from holdfast.model.judgement import Judgement, best, nearest
from holdfast.model.measurements import Measurement
from holdfast.model.plan import UnitEvidence
from holdfast.performance import curve
from holdfast.planning import measured_size, prices

_RANKS = ("tensor_parallel", "pipeline_parallel")
_CONFIGURATION = ("instance_type", "accelerator", "framework", *_RANKS, "max_num_seqs")

Found = tuple[tuple[UnitEvidence, ...], tuple[Finding, ...]]


def from_measurements(
    fleet: InferenceFleet,
    rows: Sequence[Measurement],
    offerings: Mapping[str, Offering],
    hardware: Mapping[str, InstanceType],
    where: str,
) -> Found:
    """Evidence from a measurement file, one per unit with a row that meets the SLO, and what was found on the way.

    A row's rate, tokens and price are of all its `replicas` (1 when not stated).
    offerings, hardware: by unit name; a unit may be absent from either.
    where: the measurement file, as findings name it.
    Raises InputError when a unit has no price or does not fit its instance.
    """
    findings = [
        *_strangers(fleet, rows, where),
        *_mismatches(fleet, rows, where),
        *_of_other_lengths(fleet, rows, where),
    ]
    evidence = []
    for unit in fleet.spec.units:
        own = _as_planned(fleet, unit, rows)
        found = best(own, fleet.spec.slo)
        if found is None:
            line, reason = why_no_row(own, fleet.spec.slo)
            far = measured_size.otherwise(own[0], fleet.spec.workload) if own else ""
            findings.append(left_out(unit, where, line, f"{reason}{f' ({far})' if far else ''}"))
            continue
        row, judgement = found
        price = prices.replica_price(unit, row, offerings.get(unit.name), hardware.get(unit.name))
        alike = [other for other in own if _set_up(other) == _set_up(row)]
        made = evidence_of_row(row, price, _limit_source(row, judgement, own, where), alike)
        evidence.append(replace(made, other_size=measured_size.otherwise(row, fleet.spec.workload)))
        findings.extend(of_other_size(evidence[-1], where, row.row))
    return tuple(evidence), tuple(findings)


def evidence_of_row(
    row: Measurement, price: prices.ReplicaPrice, limit_source: str, levels: Sequence[Measurement]
) -> UnitEvidence:
    """Evidence of a row that has a rate, which is of all its replicas. levels: all rows of the same set-up."""
    assert row.rate_per_s is not None
    replicas = row.replicas or 1
    measured = curve.of_measurements(levels, "avg")
    tokens = row.output_tokens_per_s
    return UnitEvidence(
        unit=row.unit,
        limit_per_s=row.rate_per_s / replicas,
        price_usd_per_h=price.usd_per_h,
        replicas_per_instance=price.packing.replicas_per_instance,
        instances_per_replica=price.packing.instances_per_replica,
        tokens_out_per_s=None if tokens is None else tokens / replicas,
        latency_s=row.latency_avg_s,
        limit_source=limit_source,
        price_source=price.source,
        levels=tuple(
            (in_flight / replicas, rate_per_s / replicas, latency_s)
            for in_flight, rate_per_s, latency_s in (measured.levels if measured is not None else ())
        ),
    )


def of_other_size(known: UnitEvidence, where: str, row: int) -> Iterator[Finding]:
    """What is to be said of a limit that was measured with requests of another length."""
    if known.other_size:
        yield Finding(
            file=where,
            row=row,
            check="size",
            severity=Severity.SUSPICIOUS,
            found="requests of another length",
            expected="requests as long as the workload's",
            message=f"Unit {known.unit!r} was {known.other_size}; its limit is taken as it is, not scaled.",
        )


def _limit_source(row: Measurement, judgement: Judgement, rows: Sequence[Measurement], where: str) -> str:
    parts = list(judgement.judged) if judgement.latency_seen else [_plateau(row, rows), *judgement.judged]
    if judgement.unjudged:
        parts.append(f"not published, so not judged: {', '.join(judgement.unjudged)}")
    if (row.replicas or 1) > 1:
        parts.append(f"a share of {row.rate_per_s:g}/s over {row.replicas} replicas")
    source = f" ({row.source})" if row.source else ""
    return f"{where}:{row.row}{source}: {'; '.join(parts)}"


def _plateau(row: Measurement, rows: Sequence[Measurement]) -> str:
    """What the highest rate says where no latency is published."""
    if len(rows) == 1:
        return "no latency is published, and one row shows no plateau: its rate is taken on trust"
    pushed = any((other.concurrency or 0) > (row.concurrency or 0) for other in rows)
    seen = "load beyond it brought no more" if pushed else "nothing beyond it was tried, so the limit may be higher"
    return f"no latency is published, so judged by plateau only: the highest rate of {len(rows)} rows; {seen}"


def why_no_row(rows: Sequence[Measurement], slo: Slo) -> tuple[int, str]:
    """The line to look at (0 for none) and why no row of the unit will do."""
    if not rows:
        return 0, "the file has no row of it"
    rated = [row for row in rows if row.rate_per_s]
    if not rated:
        return rows[0].row, "none of its rows states a rate above 0"
    row, judgement = nearest(rated, slo)
    return row.row, f"none of its {len(rated)} rows meets the SLO; the nearest: {'; '.join(judgement.broken)}"


def left_out(unit: DeploymentUnit, where: str, row: int, reason: str) -> Finding:
    """The finding that names a unit which is not planned with, and why; `row` is the line to look at, 0 for none."""
    return Finding(
        file=where,
        row=row,
        check="left-out",
        severity=Severity.NOTE,
        found="no limit",
        expected="a load level that meets the SLO",
        message=f"Unit {unit.name!r} is left out of the plan: {reason}.",
    )


def refuse_strangers(names: Sequence[str], rows: Sequence[Measurement], where: str) -> None:
    """Raises InputError when no row is of a unit of these names, which are those of the fleet."""
    if any(row.unit in names for row in rows):
        return
    measured = sorted({row.unit for row in rows})
    near = [match for name in measured for match in difflib.get_close_matches(name, names, n=1, cutoff=0.5)]
    raise InputError(
        f"no row is of a unit of the fleet (rows are of {', '.join(measured) or 'nothing'})",
        where=where,
        mend=f"name them as the fleet does: {', '.join(dict.fromkeys(near or names))}",
    )


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
    """Of the unit's rows of its configuration those whose requests are nearest in length to the workload's."""
    return measured_size.nearest(_configured(unit, rows), fleet.spec.workload)


def _configured(unit: DeploymentUnit, rows: Sequence[Measurement]) -> list[Measurement]:
    """The unit's rows of the TP, PP and batch that it is planned with; else those of its TP and PP; else all."""
    own = [row for row in rows if row.unit == unit.name]
    parallel = [row for row in own if not any(_differs(row, unit, key) for key in _RANKS)]
    return [row for row in parallel if not _differs(row, unit, "max_num_seqs")] or parallel or own


def _set_up(row: Measurement) -> tuple[int | None, ...]:
    return (row.replicas or 1, row.tensor_parallel, row.pipeline_parallel, row.max_num_seqs)


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
        aside = [row for row in _configured(unit, rows) if row not in used]
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
