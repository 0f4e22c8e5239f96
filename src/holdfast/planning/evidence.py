"""What planning knows of each unit: its limit and its price, with where each comes from.

From published measurements the limit is the highest rate among the rows that meet the SLO; from runs of
our own it is the breaking point that the search found, or of a run without a search (a sweep) the highest rate among
its levels that meets the fleet's SLO. A unit about which nothing can be said is left out
and named in a finding: silence would read as "not worth it".
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence

from holdfast.model.errors import InputError
from holdfast.model.findings import Finding, Severity
from holdfast.model.fleet import DeploymentUnit, InferenceFleet, Slo
from holdfast.model.hardware import InstanceType, Offering
from holdfast.model.judgement import Judgement, best, nearest
from holdfast.model.measurements import Measurement
from holdfast.model.plan import UnitEvidence
from holdfast.model.stages import BreakingPoint, LoadCurve, Stage, Summary
from holdfast.planning import prices

_RANKS = ("tensor_parallel", "pipeline_parallel")
_CONFIGURATION = ("instance_type", "accelerator", "framework", *_RANKS, "max_num_seqs")

_FOLLOWS = 0.95
"""Throughput follows an offered rate as long as it is at least this share of it."""

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
    findings = [*_strangers(fleet, rows, where), *_mismatches(fleet, rows, where)]
    evidence = []
    for unit in fleet.spec.units:
        own = _as_planned(unit, rows)
        found = best(own, fleet.spec.slo)
        if found is None:
            findings.append(left_out(unit, where, *_why_no_row(own, fleet.spec.slo)))
            continue
        row, judgement = found
        price = prices.replica_price(unit, row, offerings.get(unit.name), hardware.get(unit.name))
        evidence.append(_evidence_of_row(row, price, _limit_source(row, judgement, own, where)))
    return tuple(evidence), tuple(findings)


def from_breaking_points(
    fleet: InferenceFleet,
    curves: Mapping[str, LoadCurve],
    offerings: Mapping[str, Offering],
    hardware: Mapping[str, InstanceType],
) -> Found:
    """Evidence from measured runs of one replica each, and a finding for each unit that none of them gives a limit.

    curves, offerings, hardware: by unit name; a unit may be absent from any.
    Raises InputError when a unit has no price or does not fit its instance.
    """
    evidence, findings = [], []
    for unit in fleet.spec.units:
        curve = curves.get(unit.name)
        point = curve.breaking_point if curve is not None else None
        if curve is not None and curve.stages and point is None:
            rows = _rows(unit, curve)
            found = best(rows, fleet.spec.slo)
            if found is None:
                findings.append(left_out(unit, "", 0, _why_no_row(rows, fleet.spec.slo)[1]))
                continue
            row, judgement = found
            price = prices.replica_price(unit, None, offerings.get(unit.name), hardware.get(unit.name))
            evidence.append(_evidence_of_row(row, price, _level_source(row, judgement, rows)))
            continue
        if curve is None or point is None or point.rate_per_s <= 0:
            reason = "no run measured it" if point is None else f"it holds no load at all: {point.why}"
            findings.append(left_out(unit, "", 0, reason))
            continue
        price = prices.replica_price(unit, None, offerings.get(unit.name), hardware.get(unit.name))
        evidence.append(_evidence_of_curve(unit, curve, point, price))
    return tuple(evidence), tuple(findings)


def _evidence_of_row(row: Measurement, price: prices.ReplicaPrice, limit_source: str) -> UnitEvidence:
    assert row.rate_per_s is not None
    replicas = row.replicas or 1
    tokens = row.output_tokens_per_s
    return UnitEvidence(
        unit=row.unit,
        limit_per_s=row.rate_per_s / replicas,
        price_usd_per_h=price.usd_per_h,
        replicas_per_instance=price.replicas_per_instance,
        tokens_out_per_s=None if tokens is None else tokens / replicas,
        latency_s=row.latency_avg_s,
        limit_source=limit_source,
        price_source=price.source,
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


def _rows(unit: DeploymentUnit, curve: LoadCurve) -> list[Measurement]:
    """The levels of a run that say something of the server, to be judged as published rows are.

    An open loop that the server did not keep up with has no limit in it, whatever its latency was so far.
    """
    kept = [stage for stage in curve.stages if stage.valid and stage.latency.n]
    return [
        Measurement(
            row=stage.index,
            unit=unit.name,
            concurrency=stage.level.concurrency,
            rate_per_s=stage.achieved_per_s,
            output_tokens_per_s=stage.tokens_out_per_s or None,
            latency_avg_s=stage.latency.avg_s,
            latency_p50_s=stage.latency.p50_s,
            latency_p90_s=stage.latency.p90_s,
            latency_p95_s=stage.latency.p95_s,
            latency_p99_s=stage.latency.p99_s,
            ttft_p95_s=_p95_s(stage.ttft),
            itl_p95_s=_p95_s(stage.itl),
            error_rate=stage.error_rate,
            utilization=stage.utilization,
        )
        for stage in kept
        if stage.level.rate_per_s is None or stage.achieved_per_s >= _FOLLOWS * stage.offered_per_s
    ]


def _p95_s(summary: Summary | None) -> float | None:
    return summary.p95_s if summary is not None and summary.n else None


def _level_source(row: Measurement, judgement: Judgement, rows: Sequence[Measurement]) -> str:
    name = f"{row.rate_per_s:.4g}/s" if row.concurrency is None else f"{row.concurrency} in flight"
    said = "; ".join(judgement.judged)
    return f"measured: at {name}, the best of {len(rows)} levels, between which nothing was measured: {said}"


def _evidence_of_curve(
    unit: DeploymentUnit, curve: LoadCurve, point: BreakingPoint, price: prices.ReplicaPrice
) -> UnitEvidence:
    stage = _stage_at(curve, point.rate_per_s)
    latency_s = stage.latency.avg_s if stage is not None else math.nan
    return UnitEvidence(
        unit=unit.name,
        limit_per_s=point.rate_per_s,
        price_usd_per_h=price.usd_per_h,
        replicas_per_instance=price.replicas_per_instance,
        tokens_out_per_s=_tokens_at(stage, point.rate_per_s),
        latency_s=None if math.isnan(latency_s) else latency_s,
        limit_source=f"measured: {_interval(point)}; {point.why}",
        price_source=price.source,
    )


def _stage_at(curve: LoadCurve, rate_per_s: float) -> Stage | None:
    """The valid stage whose achieved rate is nearest to the rate."""
    valid = [stage for stage in curve.stages if stage.valid and stage.achieved_per_s > 0]
    return min(valid, key=lambda stage: abs(stage.achieved_per_s - rate_per_s), default=None)


def _tokens_at(stage: Stage | None, rate_per_s: float) -> float | None:
    """The stage's tokens per request, at the rate; None for images, whose stages carry no tokens."""
    if stage is None or stage.tokens_out_per_s <= 0:
        return None
    return stage.tokens_out_per_s / stage.achieved_per_s * rate_per_s


def _interval(point: BreakingPoint) -> str:
    high = "nothing broke it" if math.isinf(point.high_per_s) else f"broke at {point.high_per_s:.4g}/s"
    return (
        f"held {point.low_per_s:.4g}/s, {high} (cause: {point.cause.value}, confidence {point.confidence:.0%}), "
        f"taken as {point.rate_per_s:.4g}/s"
    )


def _why_no_row(rows: Sequence[Measurement], slo: Slo) -> tuple[int, str]:
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


def _as_planned(unit: DeploymentUnit, rows: Sequence[Measurement]) -> list[Measurement]:
    """The unit's rows of the TP, PP and batch that it is planned with; else those of its TP and PP; else all."""
    own = [row for row in rows if row.unit == unit.name]
    parallel = [row for row in own if not any(_differs(row, unit, key) for key in _RANKS)]
    return [row for row in parallel if not _differs(row, unit, "max_num_seqs")] or parallel or own


def _differs(row: Measurement, unit: DeploymentUnit, key: str) -> bool:
    return getattr(row, key) not in (None, getattr(unit, key))


def _mismatches(fleet: InferenceFleet, rows: Sequence[Measurement], where: str) -> Iterator[Finding]:
    for unit in fleet.spec.units:
        used = _as_planned(unit, rows)
        for key in _CONFIGURATION:
            others = [row for row in rows if row.unit == unit.name and _differs(row, unit, key)]
            if others:
                yield _mismatch(unit, key, others[0], where, used=others[0] in used)


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
