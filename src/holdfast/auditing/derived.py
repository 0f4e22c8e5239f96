"""Columns that follow from others: price over rate, rate over price, tokens over price."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.auditing import rounding
from holdfast.model.findings import Checked, Finding, Severity
from holdfast.model.measurements import Measurement

_UNITS_OF_COST = {
    "USD/h per request/s": 1.0,
    "USD/h per request/min": 60.0,
    "USD per request": 3600.0,
    "USD per thousand requests": 3.6,
    "USD per million requests": 3.6e-3,
}
"""What price / (requests per second) is divided by to give the cost in each unit that people print."""

_ROUNDED = 0.51
"""Steps of the last digit: half a step is rounding; the hundredth more is the noise of floats."""
_LAST_DIGIT = 1.5


@dataclass(frozen=True)
class _Derived:
    """A printed figure and what its printed inputs give.

    step: of its last digit; slack: relative error that the rounding of the inputs explains.
    """

    row: Measurement
    printed: float
    right: float
    step: float
    slack: float

    @property
    def severity(self) -> Severity | None:
        """None for what correct rounding explains, a note for what inputs with more digits would, else impossible."""
        off = abs(self.printed - self.right) / self.step
        if off <= _ROUNDED:
            return None
        explained = off <= _LAST_DIGIT or off <= _ROUNDED + self.slack * self.right / self.step
        return Severity.NOTE if explained else Severity.IMPOSSIBLE


def cost_of_inference(rows: Sequence[Measurement], where: str) -> Checked:
    """Rows whose printed cost of inference is not their price over their throughput.

    A file prints the column in one unit; it is taken to be the known one nearest to the most rows.
    """
    stated = [row for row in rows if row.cost_of_inference and row.rate_per_s and row.price_usd_per_h]
    if not stated:
        return Checked("cost-of-inference", 0, ())
    unit, divisor = min(_UNITS_OF_COST.items(), key=lambda item: _misfit(stated, item[1]))
    figures = _derive(stated, "cost_of_inference", [_price_per_rate(row) / divisor for row in stated], "rate_per_s")
    return _checked("cost-of-inference", "cost of inference", unit, figures, where)


def rate_per_dollar(rows: Sequence[Measurement], where: str) -> Checked:
    """Rows whose printed requests/s per USD/h ("RPS per $") are not rate / price."""
    column = "rate_per_s_per_usd_per_h"
    stated = [row for row in rows if row.rate_per_s_per_usd_per_h and row.rate_per_s and row.price_usd_per_h]
    figures = _derive(stated, column, [1 / _price_per_rate(row) for row in stated], "rate_per_s")
    return _checked("rate-per-dollar", "rate per dollar", "requests/s per USD/h", figures, where)


def tokens_per_dollar(rows: Sequence[Measurement], where: str) -> Checked:
    """Rows whose printed tokens/s per USD/h ("tokens per $/hour") are not tokens/s / price."""
    column = "output_tokens_per_s_per_usd_per_h"
    stated = [
        row for row in rows if row.output_tokens_per_s_per_usd_per_h and row.output_tokens_per_s and row.price_usd_per_h
    ]
    right = [(row.output_tokens_per_s or 0.0) / (row.price_usd_per_h or math.inf) for row in stated]
    figures = _derive(stated, column, right, "output_tokens_per_s")
    return _checked("tokens-per-dollar", "throughput per dollar", "tokens/s per USD/h", figures, where)


def _derive(rows: Sequence[Measurement], column: str, right: Sequence[float], numerator: str) -> list[_Derived]:
    step = rounding.step_of_column([getattr(row, column) for row in rows])
    return [
        _Derived(
            row,
            getattr(row, column),
            value,
            row.last_digit.get(column, step),
            rounding.slack(row, numerator, "price_usd_per_h"),
        )
        for row, value in zip(rows, right, strict=True)
    ]


def _checked(check: str, name: str, unit: str, figures: list[_Derived], where: str) -> Checked:
    return Checked(check, len(figures), tuple(_finding(check, name, unit, f, where) for f in figures if f.severity))


def _finding(check: str, name: str, unit: str, figure: _Derived, where: str) -> Finding:
    printed, right, severity = figure.printed, figure.right, figure.severity
    assert severity is not None
    return Finding(
        where,
        figure.row.row,
        check,
        severity,
        f"{printed:g}",
        f"{right:.5g}",
        f"The {name} of {figure.row.unit} is printed as {printed:g} and is {right:.5g} {unit}.",
        _why(printed / right, severity),
    )


def _why(factor: float, severity: Severity) -> str:
    if severity is Severity.NOTE:
        return "It was computed from inputs with more digits than are printed, or rounded the wrong way."
    if abs(factor - 2) < 0.02 or abs(factor - 0.5) < 0.005:
        return "It belongs to twice or half the price, or the price was changed without it."
    return "It was computed from other figures than those that are printed beside it."


def _price_per_rate(row: Measurement) -> float:
    assert row.price_usd_per_h is not None and row.rate_per_s is not None
    return row.price_usd_per_h / row.rate_per_s


def _misfit(rows: Sequence[Measurement], divisor: float) -> float:
    """The median distance, as a log ratio, of the printed column from price over throughput in this unit."""
    logs = sorted(abs(math.log((row.cost_of_inference or 1.0) * divisor / _price_per_rate(row))) for row in rows)
    return logs[len(logs) // 2]
