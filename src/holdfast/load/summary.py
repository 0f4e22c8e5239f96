"""One level's server-side series in a few figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from holdfast.model.server import SHARES, TARGET, Point
from holdfast.model.stages import Stage

_HELD = ("running", "waiting", "kv_usage", "utilization")
"""Series whose highest value tells as much as their mean."""

_UNCHANGED = 5
"""So many equal readings of a utilisation between 0 and 1 are no measurement of this level."""


def with_server(stage: Stage, points: Sequence[Point], begin_s: float) -> Stage:
    """The stage, which began at `begin_s` of the run's clock, with the figures of its server and its utilisation."""
    start_s, end_s = stage.window_s
    figures = summarize(points, begin_s + start_s, begin_s + end_s)
    note = stale(points)
    return replace(
        stage,
        utilization=figures.get("utilization_mean", stage.utilization),
        server=figures,
        notes=(*stage.notes, note) if note else stage.notes,
    )


def summarize(points: Iterable[Point], start_s: float, end_s: float) -> dict[str, float]:
    """The figures of `Stage.server` over [start_s, end_s] of the run's clock, joined over the sources.

    A value stands for the time since the reading before it; what lies outside of the interval does not count. Where an
    exporter tells a series, the target's own page does not count for it: the exporter may show the same engine.
    """
    by_series = _by_series(points)
    figures: dict[str, float] = {}
    for name, sources in by_series.items():
        held = name in _HELD
        means = [_mean(found, start_s, end_s) for found in _weighed(name, by_series)]
        known = [mean for mean in means if mean is not None]
        if known:
            figures[f"{name}_mean" if held else name] = _joined(name, known)
        highest = [max(values) for found in sources.values() if (values := _within(found, start_s, end_s))]
        if held and highest:
            figures[f"{name}_max"] = max(highest) if name in SHARES else sum(highest)
    return figures


def stale(points: Iterable[Point]) -> str:
    """A sentence when a device's utilisation was read again and again and never changed; else empty."""
    read: dict[str, list[float]] = {}
    for point in points:
        if point.series == "utilization":
            read.setdefault(point.source, []).append(point.value)
    for source, values in read.items():
        if len(values) >= _UNCHANGED and len(set(values)) == 1 and 0 < values[0] < 0.99:
            return (
                f"the utilisation of {source} was the same in all of {len(values)} readings; "
                "its exporter may be slower than this level"
            )
    return ""


def _by_series(points: Iterable[Point]) -> dict[str, dict[str, list[Point]]]:
    """The points that count, by series and source."""
    found: dict[str, dict[str, list[Point]]] = {}
    for point in points:
        found.setdefault(point.series, {}).setdefault(point.source, []).append(point)
    for sources in found.values():
        if len(sources) > 1:
            sources.pop(TARGET, None)
    return found


def _weighed(name: str, by_series: dict[str, dict[str, list[Point]]]) -> list[list[tuple[Point, float]]]:
    """The points of a series by source, each with the weight of a second of it."""
    if name != "prefix_hit_rate":
        return [[(point, 1.0) for point in points] for points in by_series[name].values()]
    asked = {(p.source, p.time_s): p.value for one in by_series["prefix_queries_per_s"].values() for p in one}
    return [[(point, asked[point.source, point.time_s]) for point in points] for points in by_series[name].values()]


def _within(points: Sequence[Point], start_s: float, end_s: float) -> list[float]:
    return [point.value for point in points if point.time_s > start_s and point.time_s - point.span_s < end_s]


def _mean(weighed: Sequence[tuple[Point, float]], start_s: float, end_s: float) -> float | None:
    """The mean over what of the points' spans lies in the interval; None when nothing does."""
    total = summed = 0.0
    for point, weight in weighed:
        overlap_s = min(point.time_s, end_s) - max(point.time_s - point.span_s, start_s)
        share = max(0.0, overlap_s) * weight
        total, summed = total + share, summed + share * point.value
    return summed / total if total else None


def _joined(name: str, values: Sequence[float]) -> float:
    return sum(values) / (len(values) if name in SHARES else 1)
