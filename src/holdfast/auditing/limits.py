"""Rows held against what their hardware can do at all (auditing.physics), with how sure that is."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.auditing import captions, equipment, physics, rounding, unit_errors
from holdfast.auditing.equipment import Equipment, Models
from holdfast.auditing.physics import Bound
from holdfast.model.findings import Checked, Finding, Severity
from holdfast.model.measurements import Measurement

TOLERANCE = 0.05
"""Relative: data sheets round, and boards clock a few percent above them."""

QUANTISED = 4.0
"""From 16 bits to 4: weights beyond the memory by no more than this may have been stored so."""


def physical_limit(rows: Sequence[Measurement], models: Models, where: str) -> Checked:
    """Rows beyond what their devices can read and compute, each with the bound that it breaks by most.

    Suspicious by what the row says; impossible where every shortcut that engines take, all at once, would not do.
    """
    judged = 0
    findings = []
    for row in rows:
        found = tuple(physics.bounds(row, _equipment(row, models), captions.claimed_latency_s(row)))
        judged += bool(found)
        broken = [bound for bound in found if bound.factor > 1 + TOLERANCE]
        if broken:
            findings.append(_finding(row, broken, where))
    return Checked("physical-limit", judged, tuple(findings))


def memory(rows: Sequence[Measurement], models: Models, where: str) -> Checked:
    """Units whose weights alone are more than the memory of the devices of a replica, one finding each."""
    judged = 0
    found: dict[str, Finding] = {}
    for row in rows:
        behind = _equipment(row, models)
        if behind.model is None or behind.accelerator is None or not behind.devices_of_replica:
            continue
        judged += 1
        room_gib = behind.devices_of_replica * behind.accelerator.memory_gib
        weights_gib = behind.model.weight_bytes / 2**30
        if weights_gib > room_gib and row.unit not in found:
            devices = f"{behind.devices_of_replica:g} {behind.accelerator.name}"
            found[row.unit] = Finding(
                where,
                row.row,
                "memory",
                Severity.IMPOSSIBLE if weights_gib > QUANTISED * room_gib else Severity.SUSPICIOUS,
                f"{weights_gib:.3g} GiB of weights",
                f"at most {room_gib:.3g} GiB",
                f"{row.unit}: the weights of {behind.model.name} are {weights_gib:.3g} GiB as published, and {devices} "
                f"hold {room_gib:.3g} GiB.",
                "The weights were quantised, or the parallelism is another than stated.",
            )
    return Checked("memory", judged, tuple(found.values()))


def _equipment(row: Measurement, models: Models) -> Equipment:
    return equipment.of(row, models(row.model) if row.model else None)


def _finding(row: Measurement, broken: Sequence[Bound], where: str) -> Finding:
    surest = max(broken, key=lambda bound: (_beyond_all(row, bound), bound.factor))
    impossible = _beyond_all(row, surest)
    even_so = f", and {surest.even_so:.3g} times with every shortcut there is" if impossible else ""
    others = [bound.said for bound in broken if bound is not surest]
    also = f" Also {'; '.join(others)}." if others else ""
    return Finding(
        where,
        row.row,
        "physical-limit",
        Severity.IMPOSSIBLE if impossible else Severity.SUSPICIOUS,
        surest.found,
        surest.expected,
        f"{row.unit}: {surest.said}: {surest.factor:.3g} times the bound{even_so}.{also}",
        _why(surest, impossible),
    )


def _beyond_all(row: Measurement, bound: Bound) -> bool:
    """Whether the bound is broken with all shortcuts, and by more than the rounding of the figure."""
    return bound.even_so > (1 + bound.slack) * (1 + rounding.slack(row, *bound.columns))


def _why(bound: Bound, impossible: bool) -> str:
    period = unit_errors.of_rate(bound.factor) if bound.of_rate else ""
    if impossible:
        return period or "Answers ended before the stated length (no ignore_eos), or more devices made them."
    if bound.cached <= 1:
        return "The prompts came from a prefix cache, or were shorter than stated."
    return period or "The weights were quantised, tokens speculated, or answers shorter than stated."
