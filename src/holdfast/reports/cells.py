"""Cells of a table as people read them; gaps are shown as gaps."""

from __future__ import annotations

import csv
import io
import math

from holdfast.model.tables import Cell, Column, Table

GAP = "–"


def is_gap(cell: Cell) -> bool:
    """Whether the cell holds nothing to read: None, or a NaN that arithmetic left behind."""
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def show(cell: Cell, column: Column) -> str:
    """A cell as people read it: GAP for None and NaN, ∞ for infinities, no exponents below 1e15."""
    if is_gap(cell):
        return GAP
    if isinstance(cell, float) and math.isinf(cell):
        return "∞" if cell > 0 else "−∞"
    if isinstance(cell, float) and column.digits is None:
        return significant(cell)
    return Table("", (column,), ((cell,),)).text(0, 0)


def text(table: Table, row: int, column: int) -> str:
    """The cell of a table as `show` writes it."""
    return show(table.rows[row][column], table.columns[column])


def significant(value: float) -> str:
    """A finite number with up to 4 significant digits: `0.01234`, `1.5`, `12,346`."""
    return f"{value:,.0f}" if 9999.5 <= abs(value) < 1e15 else f"{value:.4g}"


def is_numeric(table: Table, column: int) -> bool:
    """Whether a column holds numbers only, and at least one; such columns are right-aligned."""
    cells = [row[column] for row in table.rows if row[column] is not None]
    return bool(cells) and not any(isinstance(cell, str) for cell in cells)


def to_csv(table: Table) -> str:
    """The table as CSV in full precision, with units in the header; gaps and infinities are empty cells."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(column.heading for column in table.columns)
    writer.writerows([_plain(cell) for cell in row] for row in table.rows)
    return out.getvalue()


def _plain(cell: Cell) -> str:
    if cell is None or (isinstance(cell, float) and not math.isfinite(cell)):
        return ""
    return cell if isinstance(cell, str) else repr(cell)


def plain(content: str) -> str:
    """Text from outside without what would steer the terminal."""
    return "".join(character if character.isprintable() else " " for character in content)
