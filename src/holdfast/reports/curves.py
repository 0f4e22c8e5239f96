"""Load curves read: their stages in order of load, and one statistic of one metric.

Apart from `charts`, so that the terminal need not load plotly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from holdfast.model.stages import LoadCurve, Stage, Summary

Metric = Literal["latency", "ttft", "itl"]
METRIC_NAMES: dict[Metric, str] = {
    "latency": "Latency",
    "ttft": "Time to first token",
    "itl": "Inter-token latency",
}


def by_load(curve: LoadCurve) -> tuple[Stage, ...]:
    """The stages from least to most loaded.

    Throughput falls again past saturation, so its order would fold the curve into a zigzag; the number
    in flight grows with load under open and closed arrivals alike.
    """
    return tuple(sorted(curve.stages, key=lambda stage: (math.isnan(stage.in_flight), stage.in_flight)))


def statistic(stage: Stage, metric: Metric, name: str) -> float | None:
    """The statistic `name` (see Summary) of a metric in seconds; None where the stage has none."""
    summary: Summary | None = getattr(stage, metric)
    if summary is None or math.isnan(value := summary.statistic(name)):
        return None
    return value


def has_metric(curves: Sequence[LoadCurve], metric: Metric) -> bool:
    """Whether any stage measured that metric."""
    return any(statistic(stage, metric, "p95") is not None for curve in curves for stage in curve.stages)
