"""From a wave to its Timeline, in emulated time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from holdfast.local.demo.units import TIME_SCALE
from holdfast.local.demo.wave import Answered, Wave
from holdfast.local.steer import Tick
from holdfast.model.pools import RoutingMode
from holdfast.model.timeline import FleetPoint, PoolPoint, Timeline, TimelineEvent

INTERVAL_S = 1.0
"""Of the wall clock."""


def timeline(wave: Wave, pools: Sequence[str]) -> Timeline:
    """Points per interval of what clients saw and the controller did, and the events between them."""
    pool_points, fleet_points = [], []
    for index in range(math.ceil(max(a.end_s for a in wave.answers) / INTERVAL_S)):
        end_s = (index + 1) * INTERVAL_S
        ended = [a for a in wave.answers if end_s - INTERVAL_S <= a.end_s < end_s]
        begun = sum(end_s - INTERVAL_S <= a.intended_s < end_s for a in wave.answers)
        tick = _standing(wave.ticks, end_s)
        pool_points += [_pool_point(end_s, pool, [a for a in ended if a.pool == pool], tick) for pool in pools]
        fleet_points.append(_fleet_point(end_s, begun, ended, tick))
    events = sorted(_events(wave), key=lambda event: event.t_s)
    return Timeline(INTERVAL_S * TIME_SCALE, tuple(pool_points), tuple(fleet_points), tuple(events))


def _standing(ticks: Sequence[Tick], at_s: float) -> Tick:
    """The last look before `at_s`."""
    return max((tick for tick in ticks if tick.now_s < at_s), key=lambda tick: tick.now_s, default=ticks[0])


def _pool_point(end_s: float, pool: str, ended: Sequence[Answered], tick: Tick) -> PoolPoint:
    seen = next(p for p in tick.observation.pools if p.name == pool)
    p50, p95 = _percentiles(ended)
    return PoolPoint(
        t_s=end_s * TIME_SCALE,
        pool=pool,
        ready=seen.ready,
        pending=seen.pending,
        weight=tick.decision.weights[pool],
        served_per_s=sum(a.ok for a in ended) / INTERVAL_S / TIME_SCALE,
        failed=sum(not a.ok for a in ended),
        p50_s=p50,
        p95_s=p95,
    )


def _fleet_point(end_s: float, begun: int, ended: Sequence[Answered], tick: Tick) -> FleetPoint:
    p50, p95 = _percentiles(ended)
    return FleetPoint(
        t_s=end_s * TIME_SCALE,
        mode=tick.decision.mode,
        offered_per_s=begun / INTERVAL_S / TIME_SCALE,
        served_per_s=sum(a.ok for a in ended) / INTERVAL_S / TIME_SCALE,
        failed=sum(not a.ok for a in ended),
        p50_s=p50,
        p95_s=p95,
    )


def _percentiles(ended: Sequence[Answered]) -> tuple[float, float]:
    latencies = [(a.end_s - a.intended_s) * TIME_SCALE for a in ended if a.ok]
    if not latencies:
        return math.nan, math.nan
    p50, p95 = np.percentile(latencies, [50, 95])
    return float(p50), float(p95)


def _events(wave: Wave) -> Iterator[TimelineEvent]:
    yield TimelineEvent(wave.withdrawn_s * TIME_SCALE, wave.lost, f"{wave.lost} withdrawn")
    yield TimelineEvent(wave.restored_s * TIME_SCALE, wave.lost, f"{wave.lost} may come back")
    mode = RoutingMode.COST_OPTIMIZED
    for tick in wave.ticks:
        if tick.decision.mode is not mode:
            mode = tick.decision.mode
            yield TimelineEvent(tick.now_s * TIME_SCALE, wave.lost, f"mode: {mode.value}")
