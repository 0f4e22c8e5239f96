"""Keeps account of a run: every read of the traffic goes through here, into totals, windows and the timeline."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from holdfast.control.decision import Decision
from holdfast.model.pools import RoutingMode
from holdfast.model.timeline import FleetPoint, PoolPoint, Timeline, TimelineEvent
from holdfast.simulation import histogram
from holdfast.simulation.cluster import Cluster
from holdfast.simulation.measures import Bounds, Tally, Windows, percentile_s
from holdfast.simulation.outcome import Interval
from holdfast.simulation.replica import State
from holdfast.simulation.supply import Supply
from holdfast.simulation.traffic import Traffic

EVENTS_MOST = 10_000
"""Of a timeline, for people to read."""


class Recorder:
    """Of one run; `read` at any moment, `close_interval` at equal ones."""

    def __init__(
        self,
        traffic: Traffic,
        cluster: Cluster,
        supply: Supply,
        bounds: Bounds,
        weights: Mapping[str, int],
        every_s: float,
    ) -> None:
        self._traffic, self._cluster, self._supply, self._bounds = traffic, cluster, supply, bounds
        self._every_s = every_s
        pools = len(cluster.pools)
        self.windows = Windows(bounds)
        self.arrived = 0
        self.served = np.zeros(pools, np.int64)
        self.failed = self.refused = self.late = self.unfinished = 0
        self.latencies = np.zeros(histogram.BINS, np.int64)
        self.switches = self.weight_changes = self.looks = 0
        self.intervals: list[Interval] = []
        self._mode = RoutingMode.COST_OPTIMIZED
        self._weights = dict(weights)
        self._pool_points: list[PoolPoint] = []
        self._fleet_points: list[FleetPoint] = []
        self._events: list[TimelineEvent] = []
        self._spent_usd = 0.0
        self._clear()

    def _clear(self) -> None:
        pools = len(self._cluster.pools)
        self._in_interval = np.zeros((pools, histogram.BINS), np.int64)
        self._interval_served, self._interval_bad = np.zeros(pools, np.int64), np.zeros(pools, np.int64)
        self._interval_tally = Tally(0, 0, 0, 0.0, (0,) * self._bounds.count)

    def read(self, now_s: float) -> None:
        """Account for what happened since the last read."""
        counts = self._traffic.read()
        tally = self._bounds.tally(counts)
        self.windows.add(now_s, tally)
        self.arrived += tally.arrived
        self.served += counts.served
        self.failed += int(counts.failed.sum())
        self.refused += int(counts.refused.sum())
        self.late += int(counts.late.sum())
        self.unfinished = int(counts.in_flight.sum() + counts.waiting.sum())
        self._in_interval += counts.latencies
        self._interval_served += counts.served
        self._interval_bad += counts.failed + counts.refused
        self._interval_tally = self._interval_tally + tally

    def decided(self, decision: Decision) -> None:
        """A decision was applied."""
        self.looks += 1
        if decision.mode is not self._mode:
            self.switches += 1
            self._mode = decision.mode
            self.note("", f"mode: {decision.mode.value}")
        if dict(decision.weights) != self._weights:
            self.weight_changes += 1
            self._weights = dict(decision.weights)

    def note(self, pool: str, text: str) -> None:
        """An event of the timeline."""
        if len(self._events) < EVENTS_MOST:
            self._events.append(TimelineEvent(self._traffic.now_s, pool, text))

    def close_interval(self, now_s: float) -> None:
        """End an interval of the timeline, after a read."""
        cluster = self._cluster
        span_s = now_s - (self.intervals[-1].end_s if self.intervals else 0.0)
        for number, pool in enumerate(cluster.pools):
            latencies = self._in_interval[number]
            self._pool_points.append(
                PoolPoint(
                    t_s=now_s,
                    pool=pool.name,
                    ready=cluster.ready(number),
                    pending=cluster.count(number, State.ASKED, State.PROVISIONING, State.STARTING),
                    weight=self._weights.get(pool.name, 0),
                    served_per_s=float(self._interval_served[number]) / span_s,
                    failed=int(self._interval_bad[number]),
                    p50_s=percentile_s(latencies, 0.50),
                    p95_s=percentile_s(latencies, 0.95),
                )
            )
        whole, tally = self._in_interval.sum(axis=0), self._interval_tally
        self._fleet_points.append(
            FleetPoint(
                t_s=now_s,
                mode=self._mode,
                offered_per_s=tally.arrived / span_s,
                served_per_s=tally.served / span_s,
                failed=tally.bad,
                p50_s=percentile_s(whole, 0.50),
                p95_s=percentile_s(whole, 0.95),
            )
        )
        self.intervals.append(self._interval(now_s, tally))
        self.latencies += whole
        self._clear()

    def _interval(self, now_s: float, tally: Tally) -> Interval:
        self._cluster.settle()
        spent_usd = sum(self._cluster.usd)
        usd, self._spent_usd = spent_usd - self._spent_usd, spent_usd
        return Interval(
            end_s=now_s,
            offered=tally.arrived,
            served=tally.served,
            usd=usd,
            kept_slo=self._bounds.kept(tally),
            available=tuple(
                min(pool.max_replicas, self._supply.allowed(number, len(pool.lots)))
                for number, pool in enumerate(self._cluster.pools)
            ),
            standing=tuple(sum(counts) for counts in self._cluster.standing),
        )

    def timeline(self) -> Timeline:
        return Timeline(self._every_s, tuple(self._pool_points), tuple(self._fleet_points), tuple(self._events))
