"""timeline.parquet: a Timeline as rows that other tools read, and back.

A row for each pool and interval, and one for the whole fleet, whose `pool` is null. What a row does not have is null:
the fleet has no weight and no replicas, a pool has no mode and no offered rate of its own. The length of an interval
and the events lie in the file's metadata under `holdfast`, as JSON.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from holdfast.model import codec
from holdfast.model.errors import InputError, OutputError
from holdfast.model.pools import RoutingMode
from holdfast.model.timeline import FleetPoint, PoolPoint, Timeline, TimelineEvent

_METADATA = b"holdfast"

_SCHEMA = pa.schema(
    [
        ("t_s", pa.float64()),
        ("pool", pa.dictionary(pa.int32(), pa.string())),
        ("ready", pa.int32()),
        ("pending", pa.int32()),
        ("weight", pa.int32()),
        ("mode", pa.dictionary(pa.int32(), pa.string())),
        ("offered_per_s", pa.float64()),
        ("served_per_s", pa.float64()),
        ("failed", pa.int64()),
        ("p50_s", pa.float64()),
        ("p95_s", pa.float64()),
    ]
)


@dataclass(frozen=True)
class _About:
    """What the rows do not say."""

    interval_s: float
    events: tuple[TimelineEvent, ...]


def write(timeline: Timeline, path: Path) -> None:
    """Writes the file. Raises OutputError."""
    rows = [_row(point, pool=point.pool) for point in timeline.pools]
    rows += [_row(point, mode=point.mode.value) for point in timeline.fleet]
    about = codec.dumps(_About(timeline.interval_s, timeline.events)).encode()
    table = pa.Table.from_pylist(rows, schema=_SCHEMA.with_metadata({_METADATA: about}))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, compression="zstd")
    except OSError as error:
        raise OutputError.of(path, error) from error


def read(path: Path) -> Timeline:
    """The timeline of the file. Raises InputError."""
    try:
        with path.open("rb") as file:
            table = pq.read_table(file)
    except (OSError, pa.ArrowInvalid) as error:
        reason = (isinstance(error, OSError) and error.strerror) or "it is not a Parquet file"
        raise InputError(f"the timeline cannot be read ({reason})", where=str(path), mend="mend the path") from error
    about = (table.schema.metadata or {}).get(_METADATA)
    if about is None or set(_SCHEMA.names) - set(table.schema.names):
        raise InputError(
            "the file is not a timeline", where=str(path), mend="name one that `holdfast simulate` or `demo` wrote"
        )
    said = codec.loads(_About, about.decode(), where=str(path))
    rows = table.to_pylist()
    return Timeline(
        interval_s=said.interval_s,
        pools=tuple(_pool_point(row) for row in rows if row["pool"] is not None),
        fleet=tuple(_fleet_point(row) for row in rows if row["pool"] is None),
        events=said.events,
    )


def _row(point: PoolPoint | FleetPoint, **changed: str) -> dict[str, Any]:
    found = {name: getattr(point, name, None) for name in _SCHEMA.names} | changed
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in found.items()}


def _pool_point(row: dict[str, Any]) -> PoolPoint:
    return PoolPoint(
        row["t_s"],
        row["pool"],
        row["ready"],
        row["pending"],
        row["weight"],
        row["served_per_s"],
        row["failed"],
        _latency_s(row["p50_s"]),
        _latency_s(row["p95_s"]),
    )


def _fleet_point(row: dict[str, Any]) -> FleetPoint:
    return FleetPoint(
        row["t_s"],
        RoutingMode(row["mode"]),
        row["offered_per_s"],
        row["served_per_s"],
        row["failed"],
        _latency_s(row["p50_s"]),
        _latency_s(row["p95_s"]),
    )


def _latency_s(value: float | None) -> float:
    return math.nan if value is None else value
