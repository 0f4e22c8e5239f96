"""Measurement files: one CSV row per load level, as people publish them.

Only `unit` and one of rate and concurrency are due; the other columns are optional. Rates are per second
inside; a file whose rates are per minute says so in its header (`rate_per_min`) and is converted. Lines
that begin with `#` are comments, for the source and its caveats.
"""

from __future__ import annotations

import csv
import difflib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal

from holdfast.model.errors import InputError


@dataclass(frozen=True)
class Measurement:
    """One load level of one unit. Figures that the file leaves out are None. Prices are of `replicas` replicas.

    row:        the line in the file.
    cost_of_inference: price over throughput, in whichever unit the file prints it throughout.
    rate_per_s_per_usd_per_h, output_tokens_per_s_per_usd_per_h: the field's "RPS per $" and "tokens per $/hour".
    caption:    what the table that the row was printed in says of all its rows, e.g. `average latency < 3 s`.
    last_digit: what one unit in the last printed digit of a figure is worth, by field; empty for figures that were
                not read from text and are taken as exact.
    """

    row: int
    unit: str
    model: str | None = None
    instance_type: str | None = None
    accelerator: str | None = None
    framework: str | None = None
    tensor_parallel: int | None = None
    pipeline_parallel: int | None = None
    replicas: int | None = None
    max_num_seqs: int | None = None
    concurrency: int | None = None
    rate_per_s: float | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None
    output_tokens_per_s: float | None = None
    latency_avg_s: float | None = None
    latency_p50_s: float | None = None
    latency_p90_s: float | None = None
    latency_p95_s: float | None = None
    latency_p99_s: float | None = None
    ttft_p95_s: float | None = None
    itl_p95_s: float | None = None
    error_rate: float | None = None
    utilization: float | None = None
    clients: int | None = None
    think_time_s: float | None = None
    requests: int | None = None
    price_usd_per_h: float | None = None
    cost_of_inference: float | None = None
    rate_per_s_per_usd_per_h: float | None = None
    output_tokens_per_s_per_usd_per_h: float | None = None
    caption: str | None = None
    source: str | None = None
    last_digit: Mapping[str, float] = field(default_factory=dict, compare=False)

    def latency_s(self, statistic: str) -> float | None:
        """The latency statistic `avg`, `p50`, `p90`, `p95` or `p99` in seconds, where given."""
        value = getattr(self, f"latency_{statistic}_s")
        return None if value is None else float(value)


_TEXT = {"unit", "model", "instance_type", "accelerator", "framework", "caption", "source"}
_WHOLE = {
    "tensor_parallel", "pipeline_parallel", "replicas", "max_num_seqs", "concurrency", "clients", "requests",
}  # fmt: skip
_SHARES = {"error_rate", "utilization"}
_MAY_BE_ZERO = {"error_rate", "utilization", "think_time_s", "rate_per_s", "rate_per_min", "output_tokens_per_s"}
COLUMNS = tuple(
    column
    for each in fields(Measurement)
    if each.name not in ("row", "last_digit")
    for column in ((each.name, "rate_per_min") if each.name == "rate_per_s" else (each.name,))
)


def read_measurements(text: str, *, where: str) -> tuple[Measurement, ...]:
    """The rows of a measurement CSV. Raises InputError naming the line, the column and the mend."""
    text = text.removeprefix("\ufeff")  # Excel's byte-order mark
    lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip() and not line.startswith("#")]
    if not lines:
        raise InputError("the file has no header and no rows", where=where, mend="give a measurement CSV")
    try:
        header = next(csv.reader([lines[0][1]]))
    except csv.Error as error:
        raise InputError(f"the header is not CSV ({error})", where=where, mend="mend the header") from error
    _check_header(header, f"{where}:{lines[0][0]}")
    if len(lines) == 1:
        raise InputError("the file has a header and no rows", where=where, mend="add a row per load level")
    return tuple(_rows(header, lines[1:], where))


def _check_header(header: list[str], place: str) -> None:
    for column in header:
        if column not in COLUMNS:
            near = difflib.get_close_matches(column, COLUMNS, n=1, cutoff=0.4)
            mend = f"the nearest known one is {near[0]!r}" if near else f"known: {', '.join(COLUMNS)}"
            raise InputError(f"unknown column {column!r}", where=place, mend=mend)
        if header.count(column) > 1:
            raise InputError(f"the column {column!r} stands twice", where=place, mend="remove one")
    if "unit" not in header:
        raise InputError("the column 'unit' is missing", where=place, mend="name the deployment unit of each row")
    if "rate_per_s" in header and "rate_per_min" in header:
        raise InputError("both rate_per_s and rate_per_min are given", where=place, mend="keep one of them")
    if not {"rate_per_s", "rate_per_min", "concurrency"} & set(header):
        raise InputError("there is no rate and no concurrency column", where=place, mend="add rate_per_s")


def _rows(header: list[str], lines: list[tuple[int, str]], where: str) -> Iterator[Measurement]:
    for number, line in lines:
        place = f"{where}:{number}"
        try:
            cells = next(csv.reader([line]))
        except csv.Error as error:
            raise InputError(f"the row is not CSV ({error})", where=place, mend="mend the row") from error
        if len(cells) != len(header):
            raise InputError(
                f"the row has {len(cells)} cells and the header {len(header)}", where=place, mend="mend the row"
            )
        values: dict[str, object] = {"row": number}
        last_digit: dict[str, float] = {}
        for column, cell in zip(header, cells, strict=True):
            if cell.strip():
                name = "rate_per_s" if column == "rate_per_min" else column
                values[name] = _value(column, cell.strip(), place)
                if column not in _TEXT:
                    last_digit[name] = _last_digit(column, cell.strip())
        if "unit" not in values:
            raise InputError("the row names no unit", where=place, mend="fill in the column 'unit'")
        if "rate_per_s" not in values and "concurrency" not in values:
            raise InputError("the row has neither a rate nor a concurrency", where=place, mend="fill in one of them")
        yield Measurement(**values, last_digit=last_digit)  # type: ignore[arg-type]


def _value(column: str, cell: str, place: str) -> object:
    if column in _TEXT:
        return cell
    try:
        number = float(cell)
    except ValueError:
        raise InputError(f"{column} is {cell!r}, not a number", where=place, mend="write the bare number") from None
    if not math.isfinite(number):
        raise InputError(f"{column} is {cell}", where=place, mend="leave the cell empty when it was not measured")
    if number < 0 or (number == 0 and column not in _MAY_BE_ZERO):
        least = "at least 0" if column in _MAY_BE_ZERO else "above 0"
        raise InputError(f"{column} is {cell} and must be {least}", where=place, mend="mend the cell")
    if column in _SHARES and number > 1:
        raise InputError(f"{column} is {cell} and must be 0..1", where=place, mend="write 80% as 0.8")
    if column in _WHOLE:
        if number != int(number):
            raise InputError(f"{column} is {cell} and must be a whole number", where=place, mend="mend the cell")
        return int(number)
    return number / 60 if column == "rate_per_min" else number


def _last_digit(column: str, cell: str) -> float:
    """One unit in the last digit after the point; 1 for whole numbers, whose trailing zeros may be meant."""
    exponent = Decimal(cell).as_tuple().exponent
    step = 10.0 ** min(exponent, 0) if isinstance(exponent, int) else 0.0
    return step / 60 if column == "rate_per_min" else step
