"""What a timeline comes to: how much was served, what failed, how the SLO fared."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from holdfast.model.fleet import Slo
from holdfast.model.pools import RoutingMode
from holdfast.model.timeline import Timeline


@dataclass(frozen=True)
class TimelineTotals:
    """A timeline in a few numbers.

    offered, served: requests, from the rates; failed: requests, as counted.
    worst_p95_s:     highest p95 of any interval; NaN when nothing was served.
    slo_share:       share of the intervals with answers that met every latency bound that the timeline can
                     judge (p50 and p95), 0..1; NaN without such a bound or such an interval.
    capacity_spans:  (start, end) in seconds of each time that routing was capacity-optimised.
    """

    offered: float
    served: float
    failed: int
    worst_p95_s: float
    slo_share: float
    capacity_spans: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, timeline: Timeline, slo: Slo | None = None) -> TimelineTotals:
        fleet = timeline.fleet
        return cls(
            offered=sum(point.offered_per_s for point in fleet) * timeline.interval_s,
            served=sum(point.served_per_s for point in fleet) * timeline.interval_s,
            failed=sum(point.failed for point in fleet),
            worst_p95_s=max((p.p95_s for p in fleet if not math.isnan(p.p95_s)), default=math.nan),
            slo_share=_slo_share(timeline, slo),
            capacity_spans=capacity_spans(timeline),
        )

    @property
    def served_share(self) -> float:
        """Served over all that were answered or failed, 0..1; NaN when there were none."""
        ended = self.served + self.failed
        return self.served / ended if ended else math.nan


def capacity_spans(timeline: Timeline) -> tuple[tuple[float, float], ...]:
    """The spans (start, end) in seconds in which routing was capacity-optimised."""
    spans = []
    for mode, run in itertools.groupby(timeline.fleet, key=lambda point: point.mode):
        points = list(run)
        if mode is RoutingMode.CAPACITY_OPTIMIZED:
            spans.append((points[0].t_s - timeline.interval_s, points[-1].t_s))
    return tuple(spans)


def judged_bounds(slo: Slo | None) -> list[tuple[str, float]]:
    """The latency bounds in seconds that a timeline can judge: it keeps p50 and p95 alone."""
    return [bound for bound in slo.latency.bounds() if bound[0] in ("p50", "p95")] if slo is not None else []


def _slo_share(timeline: Timeline, slo: Slo | None) -> float:
    bounds = judged_bounds(slo)
    answered = [point for point in timeline.fleet if not math.isnan(point.p95_s)]
    if not bounds or not answered:
        return math.nan
    met = sum(all(getattr(point, f"{name}_s") <= bound_s for name, bound_s in bounds) for point in answered)
    return met / len(answered)
