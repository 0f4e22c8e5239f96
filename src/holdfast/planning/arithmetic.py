"""Can these published figures be? Derived columns against their inputs, and rows against Little's law.

cost of inference   price / throughput, in whichever unit of throughput the file uses throughout
Little's law        concurrency = rate x (latency + think time), Little (1961), doi:10.1287/opre.9.3.383
token count         tokens/s = requests/s x output tokens per request
SLO                 rows that break the fleet's own bound
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal

from holdfast.model.findings import Finding, Severity
from holdfast.model.fleet import Slo, format_slo
from holdfast.model.measurements import Measurement
from holdfast.planning.judgement import judge

LITTLE_TOLERANCE = 0.1
"""Relative. Ramp-up and drain of a finite closed loop cost a few percent; a tenth is no longer an edge effect."""

TOKEN_TOLERANCE = 0.1
"""Relative. A mean over hundreds of requests with a spread of a tenth lies within a percent."""

_UNITS_OF_COST = {
    "USD/h per request/s": 1.0,
    "USD/h per request/min": 60.0,
    "USD per request": 3600.0,
    "USD per thousand requests": 3.6,
    "USD per million requests": 3.6e-3,
}
"""What price / (requests per second) is divided by to give the cost in each unit that people print."""


def check_rows(rows: Sequence[Measurement], slo: Slo, where: str) -> tuple[Finding, ...]:
    """All findings of this module on the rows of one file. `where` names the file in them."""
    return (
        *check_cost_of_inference(rows, where),
        *check_little(rows, where),
        *check_token_count(rows, where),
        *check_slo(rows, slo, where),
    )


def check_cost_of_inference(rows: Sequence[Measurement], where: str) -> Iterator[Finding]:
    """Rows whose printed cost of inference is not their price over their throughput.

    A file prints the column in one unit; it is taken to be the known one nearest to the most rows. What a
    correct rounding to the printed digits explains is not found; what lies one digit beyond is a note.
    """
    stated = [row for row in rows if row.cost_of_inference and row.rate_per_s and row.price_usd_per_h]
    if not stated:
        return
    unit, divisor = min(_UNITS_OF_COST.items(), key=lambda item: _misfit(stated, item[1]))
    step = 10.0 ** -max(_decimals(row.cost_of_inference or 0.0) for row in stated)
    for row in stated:
        printed, right = row.cost_of_inference or 0.0, _price_per_rate(row) / divisor
        off = abs(printed - right) / step
        # Half a step is rounding; the hundredth more is the noise of floats.
        if off > 0.51:
            yield Finding(
                where,
                row.row,
                "cost-of-inference",
                Severity.NOTE if off < 1.5 else Severity.IMPOSSIBLE,
                f"{printed:g}",
                f"{right:.5g}",
                f"The cost of inference of {row.unit} is printed as {printed:g} and is {right:.5g} {unit}.",
            )


def check_little(rows: Sequence[Measurement], where: str, tolerance: float = LITTLE_TOLERANCE) -> Iterator[Finding]:
    """Rows whose concurrency is not rate x (mean latency + think time), by more than the relative tolerance.

    More in flight than the clients can hold is impossible; less means that they did not keep the load up, or that
    rate and latency are of different windows.
    """
    for row in rows:
        if row.concurrency is None or row.rate_per_s is None or row.latency_avg_s is None:
            continue
        in_flight = row.rate_per_s * (row.latency_avg_s + (row.think_time_s or 0.0))
        residual = in_flight / row.concurrency - 1
        if abs(residual) > tolerance:
            yield Finding(
                where,
                row.row,
                "littles-law",
                Severity.IMPOSSIBLE if residual > 0 else Severity.SUSPICIOUS,
                f"{in_flight:.4g} in flight",
                f"{row.concurrency} in flight",
                f"{row.unit} at concurrency {row.concurrency}: {row.rate_per_s:g}/s x {row.latency_avg_s:g} s is "
                f"{in_flight:.4g} in flight, {residual:+.0%}.",
            )


def check_token_count(rows: Sequence[Measurement], where: str) -> Iterator[Finding]:
    """Units whose tokens/s are not their requests/s times the output tokens that they state, one finding each."""
    ratios: dict[str, list[tuple[float, Measurement]]] = {}
    for row in rows:
        if row.output_tokens_per_s and row.rate_per_s and row.output_tokens:
            per_request = row.output_tokens_per_s / row.rate_per_s
            if abs(per_request / row.output_tokens - 1) > TOKEN_TOLERANCE:
                ratios.setdefault(row.unit, []).append((per_request, row))
    for unit, off in ratios.items():
        lowest, highest = min(value for value, _ in off), max(value for value, _ in off)
        first = off[0][1]
        yield Finding(
            where,
            first.row,
            "token-count",
            Severity.SUSPICIOUS,
            f"{lowest:.4g} to {highest:.4g} tokens per request",
            f"{first.output_tokens:g} tokens per request",
            f"{len(off)} rows of {unit} print {lowest:.4g} to {highest:.4g} output tokens per request "
            f"(tokens/s over requests/s) and state {first.output_tokens:g}: the two were not counted alike.",
        )


def check_slo(rows: Sequence[Measurement], slo: Slo, where: str) -> Iterator[Finding]:
    """Units with rows that break the SLO, one finding each: suspicious where every row does, else a note."""
    units = dict.fromkeys(row.unit for row in rows)
    for unit in units:
        own = [row for row in rows if row.unit == unit]
        broken = [row for row in own if not judge(row, slo).holds]
        if broken:
            yield Finding(
                where,
                broken[0].row,
                "slo",
                Severity.SUSPICIOUS if len(broken) == len(own) else Severity.NOTE,
                "; ".join(judge(broken[0], slo).broken),
                format_slo(slo),
                f"{len(broken)} of {len(own)} rows of {unit} break the SLO: "
                f"lines {', '.join(str(row.row) for row in broken)}.",
            )


def _price_per_rate(row: Measurement) -> float:
    assert row.price_usd_per_h is not None and row.rate_per_s is not None
    return row.price_usd_per_h / row.rate_per_s


def _misfit(rows: Sequence[Measurement], divisor: float) -> float:
    """The median distance, as a log ratio, of the printed column from price over throughput in this unit."""
    logs = sorted(abs(math.log((row.cost_of_inference or 1.0) * divisor / _price_per_rate(row))) for row in rows)
    return logs[len(logs) // 2]


def _decimals(value: float) -> int:
    """Digits after the point in the shortest text that reads as the value."""
    exponent = Decimal(repr(value)).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
