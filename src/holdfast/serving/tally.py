"""Histograms that count many equal values at once, because every token of a step has the same gap to the last."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence

from prometheus_client.core import HistogramMetricFamily


class Tally:
    """Counts of values at or below each bound, and their sum."""

    def __init__(self, name: str, text: str, bounds: Sequence[float]) -> None:
        self._name = name
        self._text = text
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        self._counts[bisect.bisect_left(self._bounds, value)] += times
        self._sum += value * times

    def family(self, labels: Sequence[str], samples: Sequence[tuple[Sequence[str], Tally]]) -> HistogramMetricFamily:
        """A family of this name, of tallies and the values of their labels."""
        family = HistogramMetricFamily(self._name, self._text, labels=labels)
        for values, tally in samples:
            family.add_metric(values, tally._buckets(), tally._sum)
        return family

    def _buckets(self) -> list[tuple[str, float]]:
        """As Prometheus has it: each counts what is below it too."""
        buckets: list[tuple[str, float]] = []
        below = 0
        for bound, count in zip((*self._bounds, math.inf), self._counts, strict=True):
            below += count
            buckets.append(("+Inf" if bound == math.inf else str(bound), below))
        return buckets
