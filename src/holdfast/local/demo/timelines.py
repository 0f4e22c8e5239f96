"""From a wave to its Timeline, in the units' time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from holdfast.local.demo.wave import Answered, Wave
from holdfast.local.steer import Tick
from holdfast.model.pools import RoutingMode
from holdfast.model.timeline import FleetPoint, PoolPoint, Timeline, TimelineEvent

INTERVAL_S = 1.0
"""Of the wall clock."""


def timeline(wave: Wave, pools: Sequence[str], time_scale: float) -> Timeline:
    """Points per interval of what clients saw and the controller did, and the events between them."""
    pool_points, fleet_points = [], []
    for index in range(math.ceil(max(a.end_s for a in wave.answers) / INTERVAL_S)):
        end_s = (index + 1) * INTERVAL_S
        ended = [a for a in wave.answers if end_s - INTERVAL_S <= a.end_s < end_s]
        begun = sum(end_s - INTERVAL_S <= a.intended_s < end_s for a in wave.answers)
        tick = _standing(wave.ticks, end_s)
        pool_points += [
            _pool_point(end_s, pool, [a for a in ended if a.pool == pool], tick, time_scale) for pool in pools
        ]
        fleet_points.append(_fleet_point(end_s, begun, ended, tick, time_scale))
    events = sorted(_events(wave, time_scale), key=lambda event: event.t_s)
    return Timeline(INTERVAL_S * time_scale, tuple(pool_points), tuple(fleet_points), tuple(events))


def _standing(ticks: Sequence[Tick], at_s: float) -> Tick:
    """The last look before `at_s`."""
    return max((tick for tick in ticks if tick.now_s < at_s), key=lambda tick: tick.now_s, default=ticks[0])


def _pool_point(end_s: float, pool: str, ended: Sequence[Answered], tick: Tick, time_scale: float) -> PoolPoint:
    seen = next(p for p in tick.observation.pools if p.name == pool)
    p50, p95 = _percentiles(ended, time_scale)
    return PoolPoint(
        t_s=end_s * time_scale,
        pool=pool,
        ready=seen.ready,
        pending=seen.pending,
        weight=tick.decision.weights[pool],
        served_per_s=sum(a.ok for a in ended) / INTERVAL_S / time_scale,
        failed=sum(not a.ok for a in ended),
        p50_s=p50,
        p95_s=p95,
    )


def _fleet_point(end_s: float, begun: int, ended: Sequence[Answered], tick: Tick, time_scale: float) -> FleetPoint:
    p50, p95 = _percentiles(ended, time_scale)
    return FleetPoint(
        t_s=end_s * time_scale,
        mode=tick.decision.mode,
        offered_per_s=begun / INTERVAL_S / time_scale,
        served_per_s=sum(a.ok for a in ended) / INTERVAL_S / time_scale,
        failed=sum(not a.ok for a in ended),
        p50_s=p50,
        p95_s=p95,
    )


def _percentiles(ended: Sequence[Answered], time_scale: float) -> tuple[float, float]:
    latencies = [(a.end_s - a.intended_s) * time_scale for a in ended if a.ok]
    if not latencies:
        return math.nan, math.nan
    p50, p95 = np.percentile(latencies, [50, 95])
    return float(p50), float(p95)


def _events(wave: Wave, time_scale: float) -> Iterator[TimelineEvent]:
    yield TimelineEvent(wave.withdrawn_s * time_scale, wave.lost, f"{wave.lost} withdrawn")
    yield TimelineEvent(wave.restored_s * time_scale, wave.lost, f"{wave.lost} may come back")
    mode = RoutingMode.COST_OPTIMIZED
    for tick in wave.ticks:
        if tick.decision.mode is not mode:
            mode = tick.decision.mode
            yield TimelineEvent(tick.now_s * time_scale, wave.lost, f"mode: {mode.value}")
