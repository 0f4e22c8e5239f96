"""Tokens per second against requests per second and the tokens that were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.auditing import rounding
from holdfast.model.findings import Checked, Finding, Severity
from holdfast.model.measurements import Measurement

TOLERANCE = 0.1
"""Relative. A mean over hundreds of requests with a spread of a tenth lies within a percent."""

_NEAR = 0.07
"""Within this share of a known cause's factor, a factor is laid to it."""


@dataclass(frozen=True)
class _Count:
    row: Measurement
    per_request: float
    stated: float
    slack: float

    @property
    def factor(self) -> float:
        return self.per_request / self.stated

    @property
    def off(self) -> bool:
        return abs(self.factor - 1) > TOLERANCE + self.slack


def token_count(rows: Sequence[Measurement], where: str) -> Checked:
    """Units whose output tokens/s are not requests/s x output tokens per request, one finding each.

    Not impossible: servers stop early, and tokenizers count differently. But tokens per second and per dollar of such a
    row compare with no other's.
    """
    counts = [count for row in rows if (count := _count(row))]
    off: dict[str, list[_Count]] = {}
    for count in counts:
        if count.off:
            off.setdefault(count.row.unit, []).append(count)
    return Checked("token-count", len(counts), tuple(_finding(unit, some, where) for unit, some in off.items()))


def _count(row: Measurement) -> _Count | None:
    if not (row.output_tokens_per_s and row.rate_per_s and row.output_tokens):
        return None
    slack = rounding.slack(row, "output_tokens_per_s", "rate_per_s")
    return _Count(row, row.output_tokens_per_s / row.rate_per_s, row.output_tokens, slack)


def _finding(unit: str, off: list[_Count], where: str) -> Finding:
    lowest, highest = min(count.per_request for count in off), max(count.per_request for count in off)
    spread = f"{lowest:.4g}" if f"{lowest:.4g}" == f"{highest:.4g}" else f"{lowest:.4g} to {highest:.4g}"
    first = off[0]
    rows = f"{len(off)} rows of {unit} print" if len(off) > 1 else f"A row of {unit} prints"
    return Finding(
        where,
        first.row.row,
        "token-count",
        Severity.SUSPICIOUS,
        f"{spread} tokens per request",
        f"{first.stated:g} tokens per request",
        f"{rows} {spread} output tokens per request (tokens/s over requests/s) and state {first.stated:g}: "
        "the two were not counted alike.",
        _likely(sorted(off, key=lambda count: count.factor)[len(off) // 2]),
    )


def _likely(count: _Count) -> str:
    """The cause that explains the median row of the unit."""
    row, factor = count.row, count.factor
    causes = (
        (
            60.0,
            "The tokens are per minute and labelled per second, or the requests per second and labelled per minute.",
        ),
        (1 / 60, "The requests are per minute and labelled per second."),
        (1000.0, "The tokens are printed in units, the requests in thousands."),
        (1 / 1000, "The tokens are printed in thousands."),
        (1 + (row.input_tokens or 0) / count.stated, "Prompt tokens are counted with the output tokens."),
        (1 / (row.concurrency or 1), "The tokens are per second of one request, not of all in flight."),
        (1 / (row.replicas or 1), "The tokens are of one replica and the requests of all."),
        (float(row.replicas or 1), "The tokens are of all replicas and the requests of one."),
        (2.0, "Each token is counted twice."),
        (0.5, "Tokens are counted by events that carry two of them."),
    )
    for cause, said in causes:
        if abs(factor / cause - 1) <= _NEAR and abs(cause - 1) > TOLERANCE:
            return said
    if 1 < factor <= 1.6:
        return "The tokens were counted with the tokenizer of another model."
    if factor < 1:
        return "Answers ended before the length that was asked for (no ignore_eos)."
    return ""
