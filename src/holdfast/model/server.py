"""What a server and its devices said of themselves during a run: a small vocabulary, and the rows of it.

Engines and exporters each have their own names; `load.metrics` maps those that are known to these. Over several engines
or devices of one source a share is their mean, everything else their sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from holdfast.model.records import Floats

Names = npt.NDArray[np.str_]

TARGET = "target"
"""The name of the target itself among the sources."""

SERIES: Mapping[str, str] = {
    "running": "requests in execution",
    "waiting": "requests in the queue",
    "kv_usage": "share of the KV cache in use, 0..1",
    "prefix_queries_per_s": "prompt tokens looked up in the prefix cache, per second",
    "prefix_hit_rate": "share of those tokens that were found, 0..1",
    "tokens_in_per_s": "prompt tokens processed per second",
    "tokens_out_per_s": "tokens generated per second",
    "preemptions_per_s": "requests thrown out of execution for want of KV cache, per second",
    "utilization": "share of the time that the device was at work, 0..1",
    "memory_used_bytes": "device memory in use, bytes",
    "power_w": "power drawn by the devices, watts",
}
"""Every series and its meaning. One that ends in `_per_s` is the mean since the reading before, the others hold at
the moment of the reading; `prefix_hit_rate`, and `utilization` where it comes of a counter, are means as well."""

SHARES = frozenset({"kv_usage", "prefix_hit_rate", "utilization"})
"""Series that are shares: joined by their mean, not their sum."""


@dataclass(frozen=True)
class Point:
    """One value of one series.

    time_s: on the run's clock.
    span_s: time since the reading before of that source, which the value stands for; 0 for the first of a stage.
    source: who said it: `target`, or the name given to an exporter.
    """

    time_s: float
    source: str
    series: str
    value: float
    span_s: float = 0.0


@dataclass(frozen=True)
class ServerTable:
    """Many points as columns of shape (n,), in the order in which they were read."""

    time_s: Floats
    source: Names
    series: Names
    value: Floats

    @classmethod
    def of(cls, points: Iterable[Point]) -> Self:
        rows = list(points)
        return cls(
            np.array([point.time_s for point in rows], dtype=float),
            np.array([point.source for point in rows], dtype=str),
            np.array([point.series for point in rows], dtype=str),
            np.array([point.value for point in rows], dtype=float),
        )

    def __len__(self) -> int:
        return len(self.time_s)

    def points(self) -> Iterator[Point]:
        """Its rows."""
        rows = zip(self.time_s.tolist(), self.source.tolist(), self.series.tolist(), self.value.tolist(), strict=True)
        return (Point(*row) for row in rows)

    def of_series(self, name: str) -> Mapping[str, tuple[Floats, Floats]]:
        """Times and values of one series by source; empty when nobody published it."""
        found = {}
        for source in dict.fromkeys(self.source[self.series == name].tolist()):
            rows = (self.series == name) & (self.source == source)
            found[source] = (self.time_s[rows], self.value[rows])
        return found
