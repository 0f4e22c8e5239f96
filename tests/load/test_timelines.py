"""timeline.parquet reads back to what was written, and other files are told apart."""

from __future__ import annotations

import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holdfast.load import timelines
from holdfast.model import codec
from holdfast.model.errors import InputError, OutputError
from holdfast.model.pools import RoutingMode
from holdfast.model.timeline import FleetPoint, PoolPoint, Timeline, TimelineEvent

LINE = Timeline(
    60.0,
    (PoolPoint(60.0, "a", 3, 1, 70, 12.5, 0, 0.1, 0.2), PoolPoint(60.0, "b", 0, 0, 30, 0.0, 4, math.nan, math.nan)),
    (FleetPoint(60.0, RoutingMode.CAPACITY_OPTIMIZED, 13.0, 12.5, 4, 0.1, 0.2),),
    (TimelineEvent(12.0, "b", "b is gone"), TimelineEvent(13.0, "", "mode: capacity-optimized")),
)


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "timeline.parquet"
    timelines.write(LINE, path)
    assert codec.dumps(timelines.read(path)) == codec.dumps(LINE)


def test_a_timeline_of_nothing_reads_back(tmp_path: Path) -> None:
    nothing = Timeline(1.0, (), (), ())
    timelines.write(nothing, tmp_path / "t.parquet")
    assert timelines.read(tmp_path / "t.parquet") == nothing


def test_other_tools_find_a_row_for_each_pool_and_one_for_the_fleet(tmp_path: Path) -> None:
    timelines.write(LINE, tmp_path / "t.parquet")
    rows = pq.read_table(tmp_path / "t.parquet").to_pylist()
    assert [row["pool"] for row in rows] == ["a", "b", None]
    assert rows[1]["p95_s"] is None and rows[2]["mode"] == "capacity-optimized"


def test_what_is_no_timeline_is_told(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("no")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(InputError, match="not a Parquet file"):
        timelines.read(tmp_path / "text.parquet")
    with pytest.raises(InputError, match="the file is not a timeline"):
        timelines.read(tmp_path / "other.parquet")
    with pytest.raises(InputError, match="No such file"):
        timelines.read(tmp_path / "none.parquet")
    with pytest.raises(OutputError):
        timelines.write(LINE, tmp_path / "text.parquet" / "t.parquet")
