"""KEDA and the HPA: each pool follows its own rate, for policies that leave replicas to an autoscaler.

    desired = ceil(requests/s that the pool completes / (limit of a replica x utilisation target))

which is the HPA's formula for a metric of type AverageValue, left alone within its tolerance, bounded by what may
change within a minute, and on the way down by the most that was desired within the stabilisation window. Source:
Kubernetes documentation, "Horizontal Pod Autoscaling", sections "Algorithm details" and "Configurable scaling
behavior". The metric is the one that `manifests/scaling/scaled_object.py` renders, the bounds are those of `bounds.py`
there: a pool keeps what a loss takes at the lowest demand, and one with a weight is never scaled to nothing.
"""

from __future__ import annotations

import math
from collections import deque

from holdfast.simulation.scenario import AutoscalerModel

MINUTE_S = 60.0


class Autoscaler:
    """Of one pool. target_per_s: what a replica shall carry. low, high: bounds on its replicas."""

    def __init__(self, model: AutoscalerModel, target_per_s: float, low: int, high: int) -> None:
        self._model, self._target_per_s, self._low, self._high = model, target_per_s, low, high
        self._counts: deque[tuple[float, int]] = deque([(0.0, 0)])
        self._wanted: deque[tuple[float, int]] = deque()
        self._asked: deque[tuple[float, int]] = deque()

    def scrape(self, now_s: float, completed: int) -> None:
        """Requests that the pool had completed by now."""
        self._counts.append((now_s, completed))
        oldest_s = now_s - self._model.lag_s - self._model.window_s
        while self._counts[1][0] <= oldest_s:
            self._counts.popleft()

    def desired(self, now_s: float, current: int) -> int:
        """Replicas that the pool shall have, which has been asked for `current`."""
        rate = self._rate_per_s(now_s)
        if rate is None:
            return current
        carried = current * self._target_per_s
        wanted = math.ceil(rate / self._target_per_s - 1e-9)
        if carried and abs(rate / carried - 1) <= self._model.tolerance:
            wanted = current
        wanted = self._bounded(now_s, current, self._stabilized(now_s, current, wanted))
        return min(max(wanted, self._low), self._high)

    def _rate_per_s(self, now_s: float) -> float | None:
        seen = [(at_s, count) for at_s, count in self._counts if at_s <= now_s - self._model.lag_s]
        if len(seen) < 2:
            return None
        (since_s, before), (until_s, after) = seen[0], seen[-1]
        # A metric that has not been scraped for long is none.
        if now_s - until_s > self._model.lag_s + self._model.window_s:
            return None
        return (after - before) / (until_s - since_s)

    def _stabilized(self, now_s: float, current: int, wanted: int) -> int:
        self._wanted.append((now_s, wanted))
        while self._wanted[0][0] < now_s - self._model.stabilization_s:
            self._wanted.popleft()
        return wanted if wanted >= current else min(current, max(count for _, count in self._wanted))

    def _bounded(self, now_s: float, current: int, wanted: int) -> int:
        """At most the change that is allowed against what was asked for a minute ago."""
        self._asked.append((now_s, current))
        while self._asked[0][0] < now_s - MINUTE_S:
            self._asked.popleft()
        model = self._model
        lowest, highest = min(count for _, count in self._asked), max(count for _, count in self._asked)
        up = max(math.ceil(lowest * (1 + model.up)), lowest + model.up_replicas)
        down = min(math.floor(highest * (1 - model.down)), highest - model.down_replicas)
        return min(max(wanted, down), up)
