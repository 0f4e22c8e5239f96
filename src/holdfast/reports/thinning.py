"""Long timelines made short enough to draw, without hiding the worst of what happened.

Points that are merged keep their lowest ready count, their highest p95 and all their failures; rates and
p50 become means, weights are the last ones, and an interval counts as capacity-optimised if any part was.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean
from typing import TypeVar

from holdfast.model.pools import RoutingMode
from holdfast.model.timeline import FleetPoint, PoolPoint, Timeline

P = TypeVar("P")


def thin(timeline: Timeline, most: int = 1000) -> Timeline:
    """The timeline with at most `most` (>= 1) intervals; the same value when it already is that short."""
    merged = math.ceil(max((len(timeline.fleet), *map(len, pools_of(timeline).values()))) / most)
    if merged <= 1:
        return timeline
    return Timeline(
        interval_s=timeline.interval_s * merged,
        pools=tuple(_pool(run) for points in pools_of(timeline).values() for run in _runs(points, merged)),
        fleet=tuple(_fleet(run) for run in _runs(timeline.fleet, merged)),
        events=timeline.events,
    )


def pools_of(timeline: Timeline) -> dict[str, list[PoolPoint]]:
    """The points of each pool in time order; pools by first appearance."""
    pools: dict[str, list[PoolPoint]] = {}
    for point in timeline.pools:
        pools.setdefault(point.pool, []).append(point)
    return {name: sorted(points, key=lambda point: point.t_s) for name, points in pools.items()}


def _runs(points: Sequence[P], length: int) -> Iterator[Sequence[P]]:
    return (points[start : start + length] for start in range(0, len(points), length))


def _pool(run: Sequence[PoolPoint]) -> PoolPoint:
    return PoolPoint(
        t_s=run[-1].t_s,
        pool=run[-1].pool,
        ready=min(point.ready for point in run),
        pending=max(point.pending for point in run),
        weight=run[-1].weight,
        served_per_s=fmean(point.served_per_s for point in run),
        failed=sum(point.failed for point in run),
        p50_s=_mean(point.p50_s for point in run),
        p95_s=_highest(point.p95_s for point in run),
    )


def _fleet(run: Sequence[FleetPoint]) -> FleetPoint:
    capacity = any(point.mode is RoutingMode.CAPACITY_OPTIMIZED for point in run)
    return FleetPoint(
        t_s=run[-1].t_s,
        mode=RoutingMode.CAPACITY_OPTIMIZED if capacity else RoutingMode.COST_OPTIMIZED,
        offered_per_s=fmean(point.offered_per_s for point in run),
        served_per_s=fmean(point.served_per_s for point in run),
        failed=sum(point.failed for point in run),
        p50_s=_mean(point.p50_s for point in run),
        p95_s=_highest(point.p95_s for point in run),
    )


def _known(values: Iterable[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)]


def _mean(values: Iterable[float]) -> float:
    known = _known(values)
    return fmean(known) if known else math.nan


def _highest(values: Iterable[float]) -> float:
    return max(_known(values), default=math.nan)
