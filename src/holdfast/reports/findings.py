"""Findings for a terminal: the worst first, what is alike together, and the likeliest explanation of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from holdfast.model.findings import Finding, Severity
from holdfast.reports import cells

STYLES = {Severity.IMPOSSIBLE: "bold red", Severity.SUSPICIOUS: "yellow", Severity.NOTE: "dim"}

_MOST = 3
"""So many findings of one check are shown one by one where they are of rows; of the others only their lines."""


def listed(found: Sequence[Finding]) -> RenderableType:
    """A point for each finding; nothing for none."""
    checks: dict[tuple[int, str], list[Finding]] = {}
    for one in found:
        checks.setdefault((list(Severity).index(one.severity), one.check), []).append(one)
    groups = [checks[key] for key in sorted(checks, key=lambda key: key[0])]
    return Group(*(line for group in groups for line in _of_one_check(group)))


def likely(text: str) -> Text:
    """An explanation, as it stands below what it explains."""
    sentence = cells.plain(text)
    lowered = sentence if sentence[1:2].isupper() else f"{sentence[0].lower()}{sentence[1:]}"
    return Text(f"Likely: {lowered}", style="dim")


def _of_one_check(group: Sequence[Finding]) -> Iterator[RenderableType]:
    # What is said of whole units has no line to go and look at, so all of it is told.
    short = len(group) > _MOST + 1 and all(one.row for one in group) and group[0].check != "left-out"
    shown = group[:_MOST] if short else group
    for one, following in zip_longest(shown, shown[1:]):
        yield _point(one)
        if one.likely and (following is None or following.likely != one.likely):
            yield _row(" ", likely(one.likely))
    if short:
        rest = ", ".join(str(one.row) for one in group[_MOST:])
        yield _row(
            " ", Text(f"And {len(group) - _MOST} more of this kind, told in the JSON and on the page: lines {rest}.")
        )


def _point(one: Finding) -> RenderableType:
    return _row("-", Text.assemble((f"{one.severity.value}: ", STYLES[one.severity]), cells.plain(one.message)))


def _row(mark: str, content: Text) -> RenderableType:
    grid = Grid.grid(padding=(0, 1, 0, 0))
    grid.add_row(mark, content)
    return grid
