"""Does a published row meet an SLO? With what the row states, and with a word on what it does not.

A published row rarely states the statistic that an SLO bounds. Then another one is judged in its place:
the nearest higher percentile first, because a row that meets the bound there meets it at the lower one
too; failing that the mean or a lower percentile, which proves nothing about the tail. Either is said.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from holdfast.model.fleet import Slo
from holdfast.model.measurements import Measurement

_IN_PLACE_OF = {
    "avg": ("p90", "p95", "p99", "p50"),
    "p50": ("p90", "p95", "p99", "avg"),
    "p90": ("p95", "p99", "avg", "p50"),
    "p95": ("p99", "p90", "avg", "p50"),
    "p99": ("p95", "p90", "avg", "p50"),
}
_RANK = {"avg": 0, "p50": 0, "p90": 90, "p95": 95, "p99": 99}


@dataclass(frozen=True)
class Judgement:
    """What came of judging one row.

    judged:   the bounds that could be judged, in words; broken: those of them that do not hold.
    unjudged: the bounds that nothing in the row speaks to.
    latency_seen: whether any latency bound (end to end, TTFT or inter-token) could be judged.
    """

    judged: tuple[str, ...]
    broken: tuple[str, ...]
    unjudged: tuple[str, ...]
    latency_seen: bool

    @property
    def holds(self) -> bool:
        return not self.broken


@dataclass(frozen=True)
class _Bound:
    text: str
    holds: bool | None


def judge(row: Measurement, slo: Slo) -> Judgement:
    """The row held against every bound of the SLO."""
    latency = tuple(_latency_bounds(row, slo))
    bounds = (*latency, *_share_bounds(row, slo))
    return Judgement(
        judged=tuple(bound.text for bound in bounds if bound.holds is not None),
        broken=tuple(bound.text for bound in bounds if bound.holds is False),
        unjudged=tuple(bound.text for bound in bounds if bound.holds is None),
        latency_seen=any(bound.holds is not None for bound in latency),
    )


def best(rows: Sequence[Measurement], slo: Slo) -> tuple[Measurement, Judgement] | None:
    """The row with the highest rate that holds. Rows without a latency count only where no row states one."""
    judged = [(row, judge(row, slo)) for row in rows if row.rate_per_s]
    seen = [pair for pair in judged if pair[1].latency_seen]
    holding = [pair for pair in seen or judged if pair[1].holds]
    return max(holding, key=lambda pair: pair[0].rate_per_s or 0.0, default=None)


def nearest(rows: Sequence[Measurement], slo: Slo) -> tuple[Measurement, Judgement]:
    """Of rows that have a rate, none of which is `best`, the one that breaks the SLO with the lowest latency."""
    judged = [(row, judge(row, slo)) for row in rows if row.rate_per_s]
    return min((pair for pair in judged if not pair[1].holds), key=lambda pair: _latency_order(pair[0]))


def _latency_order(row: Measurement) -> float:
    known = (row.latency_s(statistic) for statistic in _RANK)
    return next((value for value in known if value is not None), math.inf)


def _latency_bounds(row: Measurement, slo: Slo) -> Iterator[_Bound]:
    for metric in ("latency", "ttft", "itl"):
        published = _published(row, metric)
        for statistic, bound_s in getattr(slo, metric).bounds():
            yield _judge_statistic(metric, statistic, bound_s, published)


def _published(row: Measurement, metric: str) -> dict[str, float]:
    if metric == "latency":
        found = {statistic: row.latency_s(statistic) for statistic in _IN_PLACE_OF}
    else:
        found = {"p95": row.ttft_p95_s if metric == "ttft" else row.itl_p95_s}
    return {statistic: value for statistic, value in found.items() if value is not None}


def _judge_statistic(metric: str, statistic: str, bound_s: float, published: dict[str, float]) -> _Bound:
    shown = next((name for name in (statistic, *_IN_PLACE_OF[statistic]) if name in published), None)
    if shown is None:
        return _Bound(f"{metric} {statistic}", None)
    value = published[shown]
    holds = value <= bound_s
    text = f"{metric} {shown} {value:g} s {'within' if holds else 'above'} {bound_s:g} s"
    if shown == statistic:
        return _Bound(text, holds)
    surely_higher = statistic != "avg" and _RANK[shown] > _RANK[statistic]
    caveat = f"{shown} is at least as high" if surely_higher else f"{shown} stands in and proves nothing of it"
    return _Bound(f"{text} ({statistic} is not published; {caveat})", holds)


def _share_bounds(row: Measurement, slo: Slo) -> Iterator[_Bound]:
    yield _judge_share("error rate", row.error_rate, slo.error_rate)
    if slo.utilization is not None:
        yield _judge_share("utilization", row.utilization, slo.utilization)


def _judge_share(name: str, value: float | None, bound: float) -> _Bound:
    if value is None:
        return _Bound(name, None)
    holds = value <= bound
    return _Bound(f"{name} {value:.3g} {'within' if holds else 'above'} {bound:.3g}", holds)
