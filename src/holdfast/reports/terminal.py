"""Tables, plans and breaking points for a terminal, made to read well in 80 columns.

Numbers are never cut. A table that is too wide even with its headings and texts wrapped is laid out as
several, one below the other, each with the first column repeated; where even that does not fit, each row
becomes a small block of `name value` lines.
"""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from holdfast.model.plan import Plan, PlanStatus
from holdfast.model.stages import Cause, LoadCurve
from holdfast.model.tables import Column, Table
from holdfast.reports import cells, findings, plan_tables

WIDTH = 80
_GUTTER = 2
_LEAST_PROSE = 18
"""Characters below which a column of prose is not worth reading; the table is stacked instead."""


def table(value: Table, width: int = WIDTH) -> RenderableType:
    """The table for a terminal of `width` columns: side by side where that fits, else stacked."""
    title = Text(cells.plain(value.title), style="bold")
    if not value.rows:
        return Group(title, Text("  nothing to show", style="dim"))
    panels = _panels(value, width)
    body = _stacked(value) if panels is None else _below_each_other([_side_by_side(value, one) for one in panels])
    return Group(title, body, *(Text(cells.plain(note), style="dim") for note in value.notes))


def _below_each_other(parts: Sequence[RenderableType]) -> RenderableType:
    return Group(parts[0], *(Padding(part, (1, 0, 0, 0)) for part in parts[1:]))


def text(renderable: RenderableType, width: int = WIDTH) -> str:
    """What a terminal of `width` columns shows, as plain text without trailing blanks."""
    out = io.StringIO()
    Console(file=out, width=width, color_system=None, force_terminal=False).print(renderable, highlight=False)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def breaking_point(curve: LoadCurve) -> RenderableType:
    """Where one unit breaks, in two or three lines: rate, interval and confidence, then the evidence."""
    unit, point = Text(cells.plain(curve.unit), style="bold"), curve.breaking_point
    if point is None:
        return Text.assemble(unit, ": no breaking point was searched for")
    rate = Text(f"{cells.significant(point.rate_per_s)} requests/s", style="bold")
    if point.cause is Cause.NONE or not math.isfinite(point.high_per_s):
        edge = "nothing broke it up to there"
    else:
        low, high = cells.significant(point.low_per_s), cells.significant(point.high_per_s)
        edge = f"breaks between {low} and {high} by {point.cause.value}, {point.confidence:.0%} confident"
    verb = " holds " if point.rate_per_s > 0 else " does not hold even the lowest rate tried: "
    evidence = Padding(Text(cells.plain(point.why), style="dim"), (0, 0, 0, 2))
    return Group(Text.assemble(unit, verb, rate, f"; {edge}"), evidence)


def answer(sentence: str) -> RenderableType:
    """What was asked for, in a sentence that stands out."""
    return Text(cells.plain(sentence), style="bold")


def prose(sentences: str) -> RenderableType:
    """Sentences, of whatever words: nothing in them is markup."""
    return Text(cells.plain(sentences))


def plan(value: Plan, width: int = WIDTH) -> RenderableType:
    """A plan: the answer, the pools, what decided it, when each pool grows, and what was found."""
    reasons = [_bullet(reason) for reason in value.reasons]
    pools = [Text(""), table(plan_tables.pools(value), width)] if value.pools else []
    whys = [_bullet(pool.reason, lead=f"{pool.unit}: ") for pool in value.pools if pool.reason]
    gap = [Text("")]
    targets = plan_tables.scaling_targets(value)
    scaling = [Text(""), table(targets, width)] if len(targets.columns) > 1 else []
    found = [Text(""), findings.listed(value.findings)] if value.findings else []
    return Group(_answer(value), *reasons, *pools, *(gap + whys if whys else []), *scaling, *found)


def _answer(value: Plan) -> Text:
    demand = f"{cells.significant(value.demand_per_s)} requests/s"
    if value.status is PlanStatus.INFEASIBLE:
        return Text.assemble(("infeasible", "bold red"), f": no plan of these units holds {demand}")
    cost = (f"${value.cost_usd_per_h:,.2f}/h", "bold")
    proof = f"; no plan is cheaper by more than {value.gap:.1%}" if value.gap >= 0.0005 else "; no plan is cheaper"
    surety = plan_tables.surety(value)
    return Text.assemble(
        ("feasible", "bold green"), ": ", cost, f" holds {demand}{proof}{f'; {surety}' if surety else ''}"
    )


def _bullet(sentence: str, lead: str = "", style: str = "") -> RenderableType:
    grid = Grid.grid(padding=(0, 1, 0, 0))
    grid.add_row("-", Text.assemble((cells.plain(lead), style or "bold"), cells.plain(sentence)))
    return grid


def _cells(value: Table, column: int) -> list[str]:
    return [cells.plain(cells.text(value, row, column)) for row in range(len(value.rows))]


@dataclass(frozen=True)
class _Panel:
    """Columns that stand side by side, by index, and their widths in characters."""

    columns: list[int]
    widths: list[int]


def _panels(value: Table, width: int) -> list[_Panel] | None:
    """As many panels as it takes to show every column, or None when one does not fit beside the first."""
    least = [_least_width(value, index) for index in range(len(value.columns))]
    groups, used = [[0]], least[0]
    for index, wanted in enumerate(least[1:], 1):
        if used + _GUTTER + wanted > width:
            groups.append([0])
            used = least[0]
        used += _GUTTER + wanted
        if used > width:
            return None
        groups[-1].append(index)
    return [
        _Panel(group, _share_out(value, group, least, width)) for group in groups if len(group) > 1 or least[1:] == []
    ]


def _least_width(value: Table, index: int) -> int:
    contents = _cells(value, index)
    longest = max(map(cell_len, contents))
    if index > 0 and not cells.is_numeric(value, index):
        longest = min(longest, max(_LEAST_PROSE, _longest_word(contents)))
    return max(longest, *map(cell_len, _heading_words(value.columns[index])))


def _heading_words(column: Column) -> list[str]:
    return [*cells.plain(column.name).split(), *([f"[{cells.plain(column.unit)}]"] if column.unit else []), ""]


def _longest_word(contents: Sequence[str]) -> int:
    return max((cell_len(word) for content in contents for word in content.split()), default=0)


def _share_out(value: Table, group: Sequence[int], least: Sequence[int], width: int) -> list[int]:
    """Widths for a group: spare characters go one by one to the column that lacks most of its natural width."""
    natural = [max(cell_len(value.columns[i].heading), *map(cell_len, _cells(value, i))) for i in group]
    widths = [least[i] for i in group]
    for _ in range(width - sum(widths) - _GUTTER * (len(widths) - 1)):
        lacks = [wanted - given for wanted, given in zip(natural, widths, strict=True)]
        if max(lacks) <= 0:
            break
        widths[lacks.index(max(lacks))] += 1
    return widths


def _side_by_side(value: Table, panel: _Panel) -> RenderableType:
    headings = [_heading(value.columns[i], width) for i, width in zip(panel.columns, panel.widths, strict=True)]
    height = max(map(len, headings))
    grid = Grid(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GUTTER - 1, 0, 0))
    for index, heading, width in zip(panel.columns, headings, panel.widths, strict=True):
        lines = Text("\n".join([""] * (height - len(heading)) + heading), style="bold")
        justify: JustifyMethod = "right" if cells.is_numeric(value, index) else "left"
        grid.add_column(lines, justify=justify, width=width, overflow="fold")
    for row in zip(*(_cells(value, index) for index in panel.columns), strict=True):
        grid.add_row(*map(Text, row))
    return grid


def _heading(column: Column, width: int) -> list[str]:
    whole = cells.plain(column.heading)
    if cell_len(whole) <= width:
        return [whole]
    unit = [f"[{cells.plain(column.unit)}]"] if column.unit else []
    return textwrap.wrap(cells.plain(column.name), width) + unit


def _stacked(value: Table) -> RenderableType:
    blocks: list[RenderableType] = []
    columns = [_cells(value, index) for index in range(len(value.columns))]
    # Numbers line up among themselves; a sentence beside them must not push them to the far edge.
    number = max(
        (cell_len(c) for i, column in enumerate(columns) if cells.is_numeric(value, i) for c in column), default=0
    )
    for row in zip(*columns, strict=True):
        grid = Grid.grid(padding=(0, _GUTTER, 0, 0))
        for index, content in enumerate(row[1:], 1):
            shown = content.rjust(number) if cells.is_numeric(value, index) else content
            grid.add_row(Text(cells.plain(value.columns[index].heading), style="dim"), Text(shown))
        blocks += [Text(row[0], style="bold"), Padding(grid, (0, 0, 0, 2))]
    return Group(*blocks)
