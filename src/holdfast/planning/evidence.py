"""What planning knows of each unit: its limit and its price, with where each comes from.

From published measurements the limit is the highest rate among the rows that meet the SLO; what runs of our own say is
in `run_evidence`. A unit about which nothing can be said is left out and named in a finding: silence would read as "not
worth it".
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from holdfast.model.errors import InputError
from holdfast.model.findings import Finding, Severity
from holdfast.model.fleet import DeploymentUnit, InferenceFleet, Slo, Workload
from holdfast.model.hardware import InstanceType, Offering
from holdfast.model.judgement import Judgement, best, nearest
from holdfast.model.measurements import Measurement
from holdfast.model.plan import UnitEvidence
from holdfast.performance import curve
from holdfast.planning import each_size, measured_size, prices
from holdfast.planning import rows as measured_rows

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
    findings = list(measured_rows.said(fleet, rows, where))
    evidence = list[UnitEvidence]()
    for unit in fleet.spec.units:
        priced = _Priced(unit, fleet.spec.slo, offerings.get(unit.name), hardware.get(unit.name), where)
        known, said = priced.of(measured_rows.configured(unit, rows), fleet.spec.workload)
        evidence += known
        findings += said
    return tuple(evidence), tuple(findings)


@dataclass(frozen=True)
class _Priced:
    """A unit, what is known of its price, and what it is held to."""

    unit: DeploymentUnit
    slo: Slo
    offering: Offering | None
    instance: InstanceType | None
    where: str

    def of(self, rows: Sequence[Measurement], workload: Workload) -> Found:
        """From the rows at each size of the workload, in the set-up that carries most of the mixture, where one was
        measured at all of them; else from those nearest in length to the mean."""
        sized = each_size.measured(rows, workload)
        if not sized:
            known, said = self.of_length(measured_size.nearest(rows, workload), workload)
            return known, (*(_partly_measured(self.unit, workload, rows, self.where) if known else ()), *said)
        found = [self._of_sizes(one, workload) for one in sized]
        return max(found, key=lambda made: made[0][0].limit_per_s if made[0] else 0.0)

    def _of_sizes(self, sized: each_size.BySize, workload: Workload) -> Found:
        """From rows of one set-up; nothing where it does not meet the SLO at every size."""
        made = list[UnitEvidence]()
        for size, rows in zip(workload.sizes, sized, strict=True):
            known, said = self.of_length(rows, each_size.of_size(workload, size), f"at {each_size.named(size)} ")
            if not known:
                return known, said
            made += known
        return (each_size.together(workload, made),), ()

    def of_length(self, rows: Sequence[Measurement], workload: Workload, at: str = "") -> Found:
        """From rows of one length of request; at: which, where there are several."""
        found = best(rows, self.slo)
        far = measured_size.otherwise(rows[0], workload) if rows else ""
        if found is None:
            line, reason = why_no_row(rows, self.slo)
            return (), (left_out(self.unit, self.where, line, f"{at}{reason}{f' ({far})' if far else ''}"),)
        row, judgement = found
        price = prices.replica_price(self.unit, row, self.offering, self.instance)
        alike = [other for other in rows if each_size.set_up(other) == each_size.set_up(row)]
        made = evidence_of_row(row, price, _limit_source(row, judgement, rows, self.where), alike)
        made = replace(made, other_size=measured_size.otherwise(row, workload))
        return (made,), () if at else tuple(of_other_size(made, self.where, row.row))


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


def _partly_measured(
    unit: DeploymentUnit, workload: Workload, rows: Sequence[Measurement], where: str
) -> Iterator[Finding]:
    """What is to be said of a unit that was measured at sizes of the workload, but not of one set-up at all of them."""
    lacking = each_size.unmeasured(rows, workload)
    whole, some = len(workload.sizes), len(workload.sizes) - len(lacking)
    if some:
        lack = f"but not at {', '.join(map(each_size.named, lacking))}" if lacking else "but never of one set-up"
        yield Finding(
            file=where,
            row=rows[0].row,
            check="size",
            severity=Severity.NOTE,
            found=f"rows at {some} of the workload's {whole} sizes",
            expected="rows of one set-up at each of them",
            message=f"Unit {unit.name!r} was measured at {some} of the workload's {whole} sizes, {lack}: its "
            "limits by size are scaled from the rows nearest to the mean.",
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
