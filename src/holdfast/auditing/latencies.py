"""What percentiles and means of one latency can be, whatever its distribution.

Order           p50 <= p90 <= p95 <= p99 of the same requests; TTFT <= latency for each of them, so at each percentile
Mean            >= 0.4 p50 + 0.05 p90 + 0.04 p95 + 0.01 p99: that share of the requests takes at least that long
Gaps            a twentieth of the gaps between tokens is p95 or more: mean latency >= 0.05 (tokens - 1) p95 of the gaps
Samples         n (1 - q) requests lie beyond percentile q: below 10, the next run gives another figure. Their number is
                binomial, with a standard deviation of about its root: 10 +- 3 (Hyndman and Fan, The American
                Statistician 50 (1996), doi:10.1080/00031305.1996.10473566, on what a sample percentile is)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from holdfast.auditing import rounding
from holdfast.model.findings import Checked, Finding, Severity
from holdfast.model.measurements import Measurement

ENOUGH_BEYOND = 10
"""Requests beyond a percentile for it to be worth printing: 1,000 for p99, 200 for p95, 100 for p90."""

PERCENTILES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}
_ROUNDING = 0.02
"""Relative, beyond the printed digits: percentiles of a sample are interpolated, each in its own way."""


def percentile_order(rows: Sequence[Measurement], where: str) -> Checked:
    """Rows whose percentiles, mean, TTFT and token gaps cannot be of the same requests."""
    judged = [row for row in rows if len(_stated(row)) + (row.ttft_p95_s is not None) + (row.itl_p95_s is not None) > 1]
    return Checked("percentile-order", len(judged), tuple(f for row in judged for f in _order(row, where)))


def samples(rows: Sequence[Measurement], where: str) -> Checked:
    """Percentiles that too few requests stand behind, one finding for each unit and percentile."""
    judged = [row for row in rows if row.requests and set(_stated(row)) & set(PERCENTILES)]
    units = dict.fromkeys(row.unit for row in judged)
    return Checked("samples", len(judged), tuple(f for unit in units for f in _thin(unit, judged, where)))


def _stated(row: Measurement) -> dict[str, float]:
    found = {name: row.latency_s(name) for name in ("avg", *PERCENTILES)}
    return {name: value for name, value in found.items() if value is not None}


def _order(row: Measurement, where: str) -> Iterator[Finding]:
    stated = _stated(row)
    for (low, low_s), (high, high_s) in pairwise([(name, stated[name]) for name in PERCENTILES if name in stated]):
        if low_s > high_s * (1 + _slack(row, low, high)):
            yield _finding(
                row,
                where,
                Severity.IMPOSSIBLE,
                f"{low} {low_s:g} s",
                f"at most {high} {high_s:g} s",
                f"{row.unit}: the {low} of {low_s:g} s is above the {high} of {high_s:g} s.",
                "The two columns are swapped, or of different requests.",
            )
    yield from _mean(row, stated, where)
    yield from _parts(row, stated, where)


def _mean(row: Measurement, stated: dict[str, float], where: str) -> Iterator[Finding]:
    mean_s = stated.get("avg")
    if mean_s is None:
        return
    least_s, below = 0.0, 1.0
    for name in reversed([name for name in PERCENTILES if name in stated]):
        least_s += (below - PERCENTILES[name]) * stated[name]
        below = PERCENTILES[name]
    if mean_s * (1 + _ROUNDING + rounding.slack(row, "latency_avg_s")) < least_s * (1 - _ROUNDING):
        yield _finding(
            row,
            where,
            Severity.IMPOSSIBLE,
            f"mean {mean_s:g} s",
            f"at least {least_s:.4g} s",
            f"{row.unit}: with these percentiles the mean is at least {least_s:.4g} s, and {mean_s:g} s is printed.",
            "Mean and percentiles are of different requests, or in different units.",
        )
    top = next((name for name in ("p99", "p95", "p90") if name in stated), None)
    if top is not None and mean_s > stated[top] * (1 + _slack(row, "avg", top)):
        yield _finding(
            row,
            where,
            Severity.SUSPICIOUS,
            f"mean {mean_s:g} s",
            f"below {top} {stated[top]:g} s",
            f"{row.unit}: the mean of {mean_s:g} s is above the {top} of {stated[top]:g} s, so a few requests took "
            "longer than all others together.",
            "The two columns are swapped, or requests that timed out are in the mean only.",
        )


def _parts(row: Measurement, stated: dict[str, float], where: str) -> Iterator[Finding]:
    tail = next((name for name in ("p95", "p99") if name in stated), None)
    if row.ttft_p95_s is not None and tail is not None and row.ttft_p95_s > stated[tail] * (1 + _ROUNDING):
        yield _finding(
            row,
            where,
            Severity.IMPOSSIBLE,
            f"TTFT p95 {row.ttft_p95_s:g} s",
            f"at most latency {tail} {stated[tail]:g} s",
            f"{row.unit}: the first token comes at the p95 after {row.ttft_p95_s:g} s and the last at the {tail} after "
            f"{stated[tail]:g} s.",
            "TTFT is in milliseconds.",
        )
    mean_s = stated.get("avg")
    if row.itl_p95_s is not None and mean_s is not None and (row.output_tokens or 0) > 1:
        least_s = 0.05 * ((row.output_tokens or 0) - 1) * row.itl_p95_s
        if least_s > mean_s * (1 + _ROUNDING):
            yield _finding(
                row,
                where,
                Severity.IMPOSSIBLE,
                f"token gap p95 {row.itl_p95_s:g} s",
                f"at most {mean_s / (0.05 * ((row.output_tokens or 0) - 1)):.4g} s",
                f"{row.unit}: a twentieth of {row.output_tokens:g} gaps of {row.itl_p95_s:g} s is {least_s:.4g} s, and "
                f"whole answers take {mean_s:g} s on average.",
                "The token gap is in milliseconds.",
            )


def _thin(unit: str, judged: Sequence[Measurement], where: str) -> Iterator[Finding]:
    for name, share in PERCENTILES.items():
        thin = [
            row
            for row in judged
            if row.unit == unit
            and row.latency_s(name) is not None
            and (row.requests or 0) * (1 - share) < ENOUGH_BEYOND - 1e-9
        ]
        if thin:
            fewest = min(row.requests or 0 for row in thin)
            beyond = fewest * (1 - share)
            needed = round(ENOUGH_BEYOND / (1 - share))
            yield Finding(
                where,
                thin[0].row,
                "samples",
                Severity.SUSPICIOUS if beyond < 1 else Severity.NOTE,
                f"{fewest:,} requests",
                f"at least {needed:,} requests",
                f"The {name} of {unit} has {beyond:.3g} of {fewest:,} requests beyond it where the fewest were sent; "
                f"{ENOUGH_BEYOND} beyond it take {needed:,}: {_lines(thin)}.",
                f"With {fewest:,} requests the largest latency lies below the true {name} with a probability of "
                f"{share**fewest:.0%}." if share**fewest > 0.005 else "",
            )  # fmt: skip


def _lines(rows: Sequence[Measurement]) -> str:
    return f"line{'s' if len(rows) > 1 else ''} {', '.join(str(row.row) for row in rows)}"


def _slack(row: Measurement, *names: str) -> float:
    return _ROUNDING + rounding.slack(row, *(f"latency_{name}_s" for name in names))


def _finding(
    row: Measurement, where: str, severity: Severity, found: str, expected: str, message: str, likely: str
) -> Finding:
    return Finding(where, row.row, "percentile-order", severity, found, expected, message, likely)
