"""Checked manifests and changes of them, for a terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from holdfast.model.changes import Change, How
from holdfast.model.findings import Finding, Inspection, Severity
from holdfast.reports import cells, findings

_VALUE = 60
"""Characters of a value that are shown."""


def inspection(value: Inspection, where: str) -> RenderableType:
    """What was checked and what was found: a block for each check, the worst severity first."""
    order = list(Severity)
    blocks: dict[tuple[int, str], list[Finding]] = {}
    for finding in value.findings:
        blocks.setdefault((order.index(finding.severity), finding.check), []).append(finding)
    shown = [_block(blocks[key]) for key in sorted(blocks, key=lambda key: key[0])]
    undone = [Text.assemble(("not checked: ", "yellow"), cells.plain(line)) for line in value.undone]
    return Group(_summary(value, where), *shown, *undone)


def _summary(value: Inspection, where: str) -> RenderableType:
    counts = {severity: sum(one.severity is severity for one in value.findings) for severity in Severity}
    told = ", ".join(f"{count} {severity.value}" for severity, count in counts.items() if count) or "nothing found"
    done = sum(checked.judged > 0 for checked in value.checked)
    read = (
        f": {_counted(value.objects, 'object')} in {_counted(value.files, 'file')}, {_counted(done, 'check')}: {told}."
    )
    return Text.assemble((cells.plain(where), "bold"), read)


def _block(found: Sequence[Finding]) -> RenderableType:
    first = found[0]
    head = Text.assemble((first.severity.value, findings.STYLES[first.severity]), (f" {first.check}", "bold"))
    parts: list[RenderableType] = [head]
    for finding in found:
        line = f":{finding.row}" if finding.row else ""
        parts.append(Padding(Text(f"{cells.plain(finding.file)}{line}", style="dim"), (0, 0, 0, 2)))
        parts.append(Padding(Text(cells.plain(finding.message)), (0, 0, 0, 4)))
        if finding.likely:
            parts.append(Padding(Text(cells.plain(finding.likely), style="dim"), (0, 0, 0, 4)))
    return Padding(Group(*parts), (0, 0, 0, 2))


def changes(value: Sequence[Change], where: str) -> RenderableType:
    """What a new tree changes, object by object, each field with its old and new value."""
    if not value:
        return Text.assemble((cells.plain(where), "bold"), ": nothing changes.")
    counts = {how: sum(change.how is how for change in value) for how in How}
    told = ", ".join(f"{count} {how.value}" for how, count in counts.items() if count)
    return Group(Text.assemble((cells.plain(where), "bold"), f": {told}."), *(_change(change) for change in value))


_STYLES = {How.ADDED: "green", How.REMOVED: "red", How.CHANGED: "yellow"}


def _change(change: Change) -> RenderableType:
    head = Text.assemble((f"{change.how.value:8}", _STYLES[change.how]), (cells.plain(change.title), "bold"))
    fields = [
        Padding(Text(f"{cells.plain(field.path)}: {_plain(field.old)} -> {_plain(field.new)}"), (0, 0, 0, 4))
        for field in change.fields
    ]
    return Padding(Group(head, *fields), (0, 0, 0, 2))


def _plain(value: Any) -> str:
    """A value on one line; `none` where there is none."""
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    shown = cells.plain(text)
    return shown if len(shown) <= _VALUE else f"{shown[: _VALUE - 1]}…"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
