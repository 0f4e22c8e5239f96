"""How far a printed figure may be from the figure that was rounded to it."""

from __future__ import annotations

import math
from decimal import Decimal

from holdfast.model.measurements import Measurement

_SIGNIFICANT = 3
"""Digits that people keep of a large whole number: 5,766 tokens/s become 5,770."""


def slack(row: Measurement, *columns: str) -> float:
    """The relative error that rounding can have put into a product or quotient of these figures of the row.

    Half a unit in the last printed digit each, as a share of the least figure that would be printed so; 0 for figures
    that were not read from text, infinite where a figure is all rounding.
    """
    room = math.prod(1 - min(1.0, _half_step(row, column)) for column in columns)
    return 1 / room - 1 if room > 0 else math.inf


def step_of_column(values: list[float]) -> float:
    """One unit in the last digit of the most exactly printed of these values."""
    return min((10.0 ** -decimals(value) for value in values), default=1.0)


def decimals(value: float) -> int:
    """Digits after the point in the shortest text that reads as the value."""
    exponent = Decimal(repr(value)).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _half_step(row: Measurement, column: str) -> float:
    value, step = getattr(row, column), row.last_digit.get(column, 0.0)
    if not value or not step:
        return 0.0
    if step == 1.0:
        while value >= 10**_SIGNIFICANT * step and value % (10 * step) == 0:
            step *= 10
    return float(step / value / 2)
