"""Rows held against an SLO."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.model.findings import Checked, Finding, Severity
from holdfast.model.fleet import Slo, format_slo
from holdfast.model.judgement import judge
from holdfast.model.measurements import Measurement


def slo(rows: Sequence[Measurement], bounds: Slo, where: str) -> Checked:
    """Units with rows that break the SLO, one finding each: suspicious where every row does, else a note."""
    findings = []
    for unit in dict.fromkeys(row.unit for row in rows):
        own = [row for row in rows if row.unit == unit]
        broken = [row for row in own if not judge(row, bounds).holds]
        if broken:
            findings.append(_finding(unit, own, broken, bounds, where))
    return Checked("slo", sum(bool(judge(row, bounds).judged) for row in rows), tuple(findings))


def _finding(unit: str, own: Sequence[Measurement], broken: Sequence[Measurement], bounds: Slo, where: str) -> Finding:
    return Finding(
        where,
        broken[0].row,
        "slo",
        Severity.SUSPICIOUS if len(broken) == len(own) else Severity.NOTE,
        "; ".join(judge(broken[0], bounds).broken),
        format_slo(bounds),
        f"{len(broken)} of {len(own)} rows of {unit} break the SLO: line{'s' if len(broken) > 1 else ''} "
        f"{', '.join(str(row.row) for row in broken)}.",
    )
