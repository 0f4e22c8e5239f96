"""Intervals as data of CloudWatch's PutMetricData, and how many of them go into one request. Pure.

RequestCount and TotalLatency_ms have the dimensions Model, Unit, Device, NodePool and Status; RPS has all of these but
Status. An interval without requests says so, with a count of 0: what scales on it must tell quiet from unknown. Limits:
CloudWatch API reference, PutMetricData and MetricDatum, read 2026-11-21.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.model.errors import InputError
from holdfast.telemetry.publishing.interval import STATUSES, SUCCESS, Interval

NAMESPACE = "hw-agnostic-infer"
"""That of the published guides, whose dashboards and scalers go on finding their metrics in it."""

_NAMESPACE = re.compile(r"[A-Za-z0-9._/#:-]{1,255}")
_APP = re.compile(r"[A-Za-z0-9._/-]{1,200}")

MOST_DATA = 1000
MOST_BYTES = 1_000_000
MOST_VALUES = 150
"""In one request, of one request (1 MB), and in one datum."""


@dataclass(frozen=True)
class Source:
    """Whom the metrics are of, and where they go. Raises InputError.

    app: the name under which the published guides' servers count, without dimensions (`<app>-counter`, `<app>-latency`,
    and a counter called as the node pool is); None leaves these out.
    """

    model: str
    unit: str
    device: str
    node_pool: str
    namespace: str = NAMESPACE
    app: str | None = None

    def __post_init__(self) -> None:
        if not _NAMESPACE.fullmatch(self.namespace) or self.namespace.startswith("AWS/"):
            raise InputError(
                f"{self.namespace!r} is no namespace of one's own in CloudWatch",
                mend="give up to 255 letters, digits and any of . - _ / # : without AWS/ at their beginning",
            )
        if self.app is not None and not _APP.fullmatch(self.app):
            raise InputError(
                f"{self.app!r} cannot be the name of a metric in CloudWatch",
                mend="give up to 200 letters, digits and any of . - _ /",
            )

    def dimensions(self, status: str | None = None) -> dict[str, str]:
        """CloudWatch takes 1 to 1024 ASCII characters: what has no name is left out, others become question marks."""
        named = {"Model": self.model, "Unit": self.unit, "Device": self.device, "NodePool": self.node_pool}
        given = (named | {"Status": status or ""}).items()
        return {name: value.encode("ascii", "replace").decode()[:1024] for name, value in given if value}


def of(interval: Interval, source: Source) -> list[dict[str, Any]]:
    """All data of one interval."""
    at = {"Timestamp": datetime.datetime.fromtimestamp(interval.begin_s, datetime.UTC)}
    return [datum | at for datum in (*_of_server(interval, source), *_of_guides(interval, source))]


def requests(intervals: Sequence[Interval], source: Source) -> Iterator[tuple[list[Interval], list[dict[str, Any]]]]:
    """Intervals in their order, as many together as one request holds, and their data.

    An interval is never cut: what a request delivered is delivered whole.
    """
    together: list[Interval] = []
    data: list[dict[str, Any]] = []
    size = 0
    for interval in intervals:
        more = of(interval, source)
        more_size = sum(map(size_of, more))
        if together and (len(data) + len(more) > MOST_DATA or size + more_size > MOST_BYTES):
            yield together, data
            together, data, size = [], [], 0
        together.append(interval)
        data += more
        size += more_size
    if together:
        yield together, data


def size_of(datum: dict[str, Any]) -> int:
    """Bytes at most, uncompressed: as a form (AWS's query protocol), which names the place of every number."""
    dimensions = datum.get("Dimensions", [])
    of_dimensions = sum(130 + 3 * len(each["Name"] + each["Value"]) for each in dimensions)
    return 400 + of_dimensions + 130 * len(datum.get("Values", [0]))


def _of_server(interval: Interval, source: Source) -> Iterator[dict[str, Any]]:
    total = sum(interval.requests(status) for status in STATUSES)
    yield _datum("RPS", source.dimensions(), "Count/Second", Value=total / interval.seconds)
    for status in STATUSES:
        count = interval.requests(status)
        if count or status == SUCCESS:
            yield _datum("RequestCount", source.dimensions(status), "Count", Value=float(count))
        yield from _latencies("TotalLatency_ms", source.dimensions(status), "Milliseconds", interval, status, 1.0)


def _of_guides(interval: Interval, source: Source) -> Iterator[dict[str, Any]]:
    if source.app is None:
        return
    served = float(interval.requests(SUCCESS))
    yield _datum(f"{source.app}-counter", {}, "Count", Value=served)
    if source.node_pool:
        yield _datum(source.node_pool, {}, "Count", Value=served)
    yield from _latencies(f"{source.app}-latency", {}, "Seconds", interval, SUCCESS, 0.001)


def _latencies(
    name: str, dimensions: dict[str, str], unit: str, interval: Interval, status: str, of_ms: float
) -> Iterator[dict[str, Any]]:
    """Values and how often each was, from which CloudWatch makes percentiles, as it does not from statistics."""
    found = interval.latencies_ms(status)
    for first in range(0, len(found), MOST_VALUES):
        some = found[first : first + MOST_VALUES]
        yield _datum(
            name,
            dimensions,
            unit,
            Values=[float(f"{of_ms * latency_ms:.5g}") for latency_ms, _ in some],
            Counts=[float(count) for _, count in some],
        )


def _datum(name: str, dimensions: dict[str, str], unit: str, **told: float | list[float]) -> dict[str, Any]:
    named = [{"Name": dimension, "Value": value} for dimension, value in dimensions.items()]
    return {"MetricName": name, "Unit": unit, **told} | ({"Dimensions": named} if named else {})
