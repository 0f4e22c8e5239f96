"""A report as one self-contained HTML page: no network, light and dark, screen, phone and paper.

A page is a value; `render` turns it into HTML. The template places what is computed here and calculates
nothing. plotly.js is inlined once, gzipped, which makes a page 2 MB instead of 5: the plotly package ships
no bundle smaller than the full one.
"""

from __future__ import annotations

import base64
import functools
import gzip
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from urllib.parse import quote

import jinja2
import plotly.offline
from markupsafe import Markup

from holdfast.model.tables import Cell, Column, Table
from holdfast.reports import cells, palette
from holdfast.reports.figures import Chart


@dataclass(frozen=True)
class Headline:
    """One of the few figures that a reader should remember, with what it means."""

    label: str
    value: Cell
    unit: str
    explanation: str
    digits: int | None = None

    @property
    def text(self) -> str:
        """The value as people read it, without its unit."""
        return cells.show(self.value, Column(self.label, self.unit, self.digits))


@dataclass(frozen=True)
class Points:
    """A list of sentences."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Verbatim:
    """Text that stands as it was written, line by line."""

    text: str


_PROSE_FROM = 30
"""Characters from which a cell is prose, and its column is kept wide enough to read on a phone."""

Block = str | Points | Verbatim | Table | Chart
"""A part of a section: a paragraph, a list, text as written, a table or a chart."""


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it, in order."""

    heading: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Page:
    """A report. `provenance` says where its figures come from and is shown before any of them."""

    title: str
    lead: str
    provenance: tuple[str, ...] = ()
    headlines: tuple[Headline, ...] = ()
    sections: tuple[Section, ...] = ()


def render(page: Page) -> str:
    """The page as HTML that loads nothing; everything in it that came from outside is escaped."""
    views = _Views()
    sections = [views.section(number, section) for number, section in enumerate(page.sections, 1)]
    return _template().render(
        page=page,
        sections=sections,
        css=_asset("page.css"),
        js=_asset("page.js"),
        theme={name: (hue.light, hue.dark) for name, hue in palette.THEME.items()},
        shades=_json(json.dumps(palette.light_to_dark())),
        bundle=_bundle() if views.draws else "",
    )


@dataclass(frozen=True)
class _CellView:
    text: str
    classes: str


@dataclass(frozen=True)
class _ColumnView:
    name: str
    unit: str
    numeric: bool
    prose: bool


@dataclass(frozen=True)
class _TableView:
    kind = "table"
    id: str
    table: Table
    columns: tuple[_ColumnView, ...]
    rows: tuple[tuple[_CellView, ...], ...]


@dataclass(frozen=True)
class _ChartView:
    kind = "chart"
    id: str
    chart: Chart
    json: Markup
    csv_href: str
    csv_name: str


@dataclass(frozen=True)
class _TextView:
    kind: str
    items: tuple[str, ...]


@dataclass(frozen=True)
class _SectionView:
    id: str
    heading: str
    blocks: tuple[_TableView | _ChartView | _TextView, ...]


class _Views:
    """Turns blocks into what the template places, numbering tables and charts through the page."""

    def __init__(self) -> None:
        self.draws = False
        self._tables: Iterator[int] = itertools.count(1)
        self._charts: Iterator[int] = itertools.count(1)

    def section(self, number: int, section: Section) -> _SectionView:
        blocks = tuple(self._block(block) for block in section.blocks)
        return _SectionView(f"section-{number}", section.heading, blocks)

    def _block(self, block: Block) -> _TableView | _ChartView | _TextView:
        if isinstance(block, str):
            return _TextView("paragraph", (block,))
        if isinstance(block, Points):
            return _TextView("list", block.items)
        if isinstance(block, Verbatim):
            return _TextView("verbatim", (block.text,))
        if isinstance(block, Table):
            return _table_view(f"table-{next(self._tables)}", block)
        if block.is_empty:
            return _TextView("paragraph", (f"{block.title}: there is nothing to draw.",))
        self.draws = True
        return _chart_view(next(self._charts), block)


def _table_view(name: str, table: Table) -> _TableView:
    columns = tuple(_column_view(table, index) for index in range(len(table.columns)))
    return _TableView(
        id=name,
        table=table,
        columns=columns,
        rows=tuple(
            tuple(
                _CellView(cells.text(table, row, index), _cell_class(column, cell))
                for index, (column, cell) in enumerate(zip(columns, content, strict=True))
            )
            for row, content in enumerate(table.rows)
        ),
    )


def _column_view(table: Table, index: int) -> _ColumnView:
    column, numeric = table.columns[index], cells.is_numeric(table, index)
    longest = max((len(cells.text(table, row, index)) for row in range(len(table.rows))), default=0)
    return _ColumnView(column.name, column.unit, numeric, not numeric and longest > _PROSE_FROM)


def _cell_class(column: _ColumnView, cell: Cell) -> str:
    kinds = {"num": column.numeric, "prose": column.prose, "gap": cells.is_gap(cell)}
    return " ".join(name for name, holds in kinds.items() if holds)


def _chart_view(number: int, chart: Chart) -> _ChartView:
    slug = re.sub(r"[^a-z0-9]+", "-", chart.title.lower()).strip("-")
    return _ChartView(
        id=f"figure-{number}",
        chart=chart,
        json=_json(chart.figure.to_json()),
        csv_href="data:text/csv;charset=utf-8," + quote(cells.to_csv(chart.data), safe=",()"),
        csv_name=f"figure-{number}-{slug}.csv",
    )


def _json(text: str) -> Markup:
    """JSON that is safe inside a script element: `<` could end the element or open a comment."""
    return Markup(text.replace("<", "\\u003c"))


@functools.cache
def _bundle() -> Markup:
    packed = gzip.compress(plotly.offline.get_plotlyjs().encode(), mtime=0)
    return Markup(base64.b64encode(packed).decode())


def _asset(name: str) -> Markup:
    return Markup(_templates().joinpath(name).read_text(encoding="utf-8"))


def _templates() -> Traversable:
    return resources.files("holdfast.reports") / "templates"


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_templates().joinpath("page.html").read_text(encoding="utf-8"))
