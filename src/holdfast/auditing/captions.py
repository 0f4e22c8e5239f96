"""What a table says of all its rows, against the rows: `average latency < 3 s` over a row of 5.23 s."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from holdfast.model.findings import Checked, Finding, Severity
from holdfast.model.measurements import Measurement

_BOUND = re.compile(
    r"(?:<=?|≤|\b(?:under|below|within|less than|at most|no more than)\b)\s*~?\s*(?P<value>\d+(?:\.\d+)?)[\s-]*"
    r"(?P<unit>ms|milliseconds?|seconds?|secs?|s)\b",
    re.IGNORECASE,
)
_STATISTIC = re.compile(
    r"\b(?P<percentile>p(?:50|90|95|99))\b|\b(?P<median>median)\b|\b(?:avg|average|mean)\b", re.IGNORECASE
)
_OTHER_TIME = re.compile(r"\b(?:ttft|itl|tpot|first token|inter-token|per token)\b", re.IGNORECASE)
_NOT_ABOVE = {"avg": ("avg",), "p50": ("p50",), "p90": ("p90", "p50"), "p95": ("p95", "p90", "p50")}
_NOT_ABOVE["p99"] = ("p99", *_NOT_ABOVE["p95"])
"""Statistics that are no higher than the key: one of them above the bound of the key proves that the key is."""


@dataclass(frozen=True)
class _Claim:
    text: str
    statistic: str | None
    bound_s: float


def caption(rows: Sequence[Measurement], where: str) -> Checked:
    """Rows whose latency breaks the bound that their caption (or source) states.

    Without a statistic in the caption the lowest that the row states must meet the bound.
    """
    judged = [row for row in rows if list(_claims(row)) and _latencies(row)]
    return Checked("caption", len(judged), tuple(f for row in judged for f in _broken(row, where)))


def claimed_latency_s(row: Measurement) -> float | None:
    """The lowest bound on the latency that the caption claims, in seconds."""
    return min((claim.bound_s for claim in _claims(row)), default=None)


def _claims(row: Measurement) -> Iterator[_Claim]:
    for text in (row.caption, row.source):
        if text and not _OTHER_TIME.search(text):
            statistic = _STATISTIC.search(text)
            for bound in _BOUND.finditer(text):
                scale = 1e-3 if bound["unit"].lower().startswith("m") else 1.0
                yield _Claim(text, _name(statistic), float(bound["value"]) * scale)


def _name(statistic: re.Match[str] | None) -> str | None:
    if statistic is None:
        return None
    return "p50" if statistic["median"] else (statistic["percentile"] or "avg").lower()


def _latencies(row: Measurement) -> dict[str, float]:
    found = {name: row.latency_s(name) for name in _NOT_ABOVE}
    return {name: value for name, value in found.items() if value is not None}


def _broken(row: Measurement, where: str) -> Iterator[Finding]:
    latencies = _latencies(row)
    for claim in _claims(row):
        named = _NOT_ABOVE[claim.statistic] if claim.statistic else (min(latencies, key=lambda name: latencies[name]),)
        name = next((name for name in named if name in latencies), None)
        if name is not None and latencies[name] > claim.bound_s:
            yield Finding(
                where,
                row.row,
                "caption",
                Severity.IMPOSSIBLE,
                f"latency {name} {latencies[name]:g} s",
                f"below {claim.bound_s:g} s",
                f"{row.unit}: the latency {name} is {latencies[name]:g} s, and the row stands under {claim.text!r}.",
                "The row has no place in its table, or the bound is another table's.",
            )
