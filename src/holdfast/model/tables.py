"""A table of results with units, as the terminal, the page and the JSON show it."""

from __future__ import annotations

from dataclasses import dataclass

Cell = str | float | int | None


@dataclass(frozen=True)
class Column:
    """A column; `unit` is shown with its name, `digits` after the decimal point (None: up to 4 significant)."""

    name: str
    unit: str = ""
    digits: int | None = None

    @property
    def heading(self) -> str:
        return f"{self.name} [{self.unit}]" if self.unit else self.name


@dataclass(frozen=True)
class Table:
    """Rows of cells under columns. None is an honest gap: not measured, not applicable."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row of {self.title!r} has {len(row)} cells for {len(self.columns)} columns")

    def column(self, name: str) -> tuple[Cell, ...]:
        """The cells under the column of that name. Raises KeyError."""
        for index, column in enumerate(self.columns):
            if column.name == name:
                return tuple(row[index] for row in self.rows)
        raise KeyError(name)

    def text(self, row: int, column: int) -> str:
        """The cell as people read it; an empty string for None."""
        cell, digits = self.rows[row][column], self.columns[column].digits
        if cell is None:
            return ""
        if isinstance(cell, str):
            return cell
        if isinstance(cell, int):
            return f"{cell:,}"
        if digits is not None:
            return f"{cell:,.{digits}f}"
        return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.4g}"
