"""Audits for a terminal: one line for a file in which nothing was found, else its findings, the worst first."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from holdfast.model.findings import Audit, Finding, Kind, Severity
from holdfast.reports import cells, findings

_ROWS = {Kind.MEASUREMENTS: ("row", "line"), Kind.RUN: ("stage", "stage"), Kind.PLAN: ("pool", "line")}


def audit(value: Audit) -> RenderableType:
    """What was checked and what was found: a block for each check, the worst severity first."""
    order = list(Severity)
    blocks: dict[tuple[int, str], list[Finding]] = {}
    for finding in value.findings:
        blocks.setdefault((order.index(finding.severity), finding.check), []).append(finding)
    shown = (_block(value.kind, blocks[key]) for key in sorted(blocks, key=lambda key: key[0]))
    return Group(_summary(value), *shown)


def _summary(value: Audit) -> RenderableType:
    name, rows = (cells.plain(value.file), "bold"), _counted(value.rows, _ROWS[value.kind][0])
    if len(value.unjudged) == len(value.checked):
        return Text.assemble(name, f": {rows}, and no check has figures to judge.")
    # What was not judged matters where somebody would otherwise take silence for assent.
    unjudged = f" (no figures for: {', '.join(value.unjudged)})" if value.unjudged else ""
    checks = len(value.checked) - len(value.unjudged)
    return Text.assemble(name, f": {rows}, {_counted(checks, 'check')}{unjudged}: {_found(value)}.")


def _found(value: Audit) -> str:
    counts = {severity: sum(finding.severity is severity for finding in value.findings) for severity in Severity}
    named = [
        f"{count} {severity.value}" if severity is not Severity.NOTE else _counted(count, "note")
        for severity, count in counts.items()
        if count
    ]
    return ", ".join(named) or "nothing found"


def _block(kind: Kind, found: Sequence[Finding]) -> RenderableType:
    """The findings of one check by row, each likely explanation once, after the last finding that it explains."""
    first = found[0]
    head = Text.assemble((first.severity.value, findings.STYLES[first.severity]), (f" {first.check}", "bold"))
    parts: list[RenderableType] = []
    width = max(len(_place(kind, finding)) for finding in found) + 2
    for finding, following in zip_longest(found, found[1:]):
        parts.append(_line(_place(kind, finding), width, Text(cells.plain(finding.message))))
        if finding.likely and (following is None or following.likely != finding.likely):
            parts.append(_line("", width, findings.likely(finding.likely)))
    return Padding(Group(head, *parts), (0, 0, 0, 2))


def _line(place: str, width: int, content: Text) -> RenderableType:
    grid = Grid.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=width)
    grid.add_row(f"  {place}", content)
    return grid


def _place(kind: Kind, finding: Finding) -> str:
    return f"{_ROWS[kind][1]} {finding.row}" if finding.row else "-"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
