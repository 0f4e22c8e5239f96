"""Intervals as log lines from which CloudWatch makes metrics by itself: the embedded metric format (EMF). Pure.

A line has its own dimensions, so there is one for each status and one for the rate. An array has 100 numbers at most
(CloudWatch user guide, "Specification: Embedded metric format", read 2026-11-21): of more requests, 100 latencies are
told that stand evenly over all of them, so that percentiles within an interval are within one of a hundred, while
RequestCount has the true number.
"""

from __future__ import annotations

import bisect
import json
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from holdfast.telemetry.publishing.datums import Source
from holdfast.telemetry.publishing.interval import STATUSES, SUCCESS, Interval

MOST_VALUES = 100


def lines(interval: Interval, source: Source) -> Iterator[str]:
    """JSON, each without its line break."""
    total = sum(interval.requests(status) for status in STATUSES)
    yield _line(interval, source, source.dimensions(), [("RPS", "Count/Second", total / interval.seconds)])
    for status in STATUSES:
        count = interval.requests(status)
        if count or status == SUCCESS:
            metrics: list[tuple[str, str, Any]] = [("RequestCount", "Count", count)]
            if count:
                metrics.append(("TotalLatency_ms", "Milliseconds", _spread(interval.latencies_ms(status))))
            yield _line(interval, source, source.dimensions(status), metrics)
    if source.app is not None:
        served = interval.requests(SUCCESS)
        guides: list[tuple[str, str, Any]] = [(f"{source.app}-counter", "Count", served)]
        if source.node_pool:
            guides.append((source.node_pool, "Count", served))
        if served:
            latencies_s = [latency_ms / 1000 for latency_ms in _spread(interval.latencies_ms(SUCCESS))]
            guides.append((f"{source.app}-latency", "Seconds", latencies_s))
        yield _line(interval, source, {}, guides)


def _line(interval: Interval, source: Source, dimensions: dict[str, str], metrics: list[tuple[str, str, Any]]) -> str:
    directive = {
        "Namespace": source.namespace,
        "Dimensions": [list(dimensions)],
        "Metrics": [{"Name": name, "Unit": unit} for name, unit, _ in metrics],
    }
    told = {"_aws": {"Timestamp": int(1000 * interval.begin_s), "CloudWatchMetrics": [directive]}}
    return json.dumps(told | dimensions | {name: value for name, _, value in metrics}, ensure_ascii=False)


def _spread(found: list[tuple[float, int]]) -> list[float]:
    """Each latency, or 100 at even ranks."""
    upto = list(accumulate(count for _, count in found))
    shown = min(upto[-1], MOST_VALUES)
    ranks = (upto[-1] * (place + 0.5) / shown for place in range(shown))
    return [float(f"{found[bisect.bisect_right(upto, rank)][0]:.5g}") for rank in ranks]
