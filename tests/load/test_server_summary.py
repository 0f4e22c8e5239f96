"""Series of a level as a few figures, and on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.load import summary
from holdfast.load.serverlog import ServerLog, read_server
from holdfast.model.server import Point, ServerTable


def points(series: str, values: list[float], source: str = "target", span_s: float = 1.0) -> list[Point]:
    """One reading a second, from t = 0."""
    return [
        Point(float(t), source, series, value, span_s if t else 0.0) for t, value in enumerate(values)
    ]  # fmt: skip


def test_a_queue_has_a_mean_and_a_maximum_over_the_steady_part() -> None:
    figures = summary.summarize(points("waiting", [99, 99, 1, 2, 6, 99]), 1.0, 4.0)
    assert figures == {"waiting_mean": 3.0, "waiting_max": 6.0}


def test_a_reading_counts_by_what_of_its_span_lies_within() -> None:
    # 0.5 s at 10 and 1 s at 4.
    assert summary.summarize(points("power_w", [0, 10, 4]), 0.5, 2.0) == {"power_w": pytest.approx(6.0)}


def test_a_hit_rate_is_weighed_by_what_was_looked_up() -> None:
    asked = points("prefix_queries_per_s", [0, 900, 100])
    found = points("prefix_hit_rate", [0, 0.0, 1.0])
    assert summary.summarize(asked + found, 0.0, 2.0)["prefix_hit_rate"] == pytest.approx(0.1)


def test_a_hit_rate_of_nothing_looked_up_is_no_figure() -> None:
    idle = points("prefix_queries_per_s", [0, 0, 0])
    assert summary.summarize(idle, 0.0, 2.0) == {"prefix_queries_per_s": 0.0}


def test_exporters_of_two_nodes_average_their_shares_and_sum_their_watts() -> None:
    seen = [
        *points("utilization", [0, 0.8, 0.8], "a"),
        *points("utilization", [0, 0.4, 0.6], "b"),
        *points("power_w", [0, 100, 100], "a"),
        *points("power_w", [0, 50, 50], "b"),
    ]
    assert summary.summarize(seen, 0.0, 2.0) == {
        "utilization_mean": pytest.approx(0.65), "utilization_max": 0.8, "power_w": 150.0,
    }  # fmt: skip


def test_what_an_exporter_tells_the_target_does_not_tell_again() -> None:
    replicas = points("running", [0, 3, 3], "r1") + points("running", [0, 5, 5], "r2")
    one_of_them = points("running", [0, 3, 5])
    assert summary.summarize(replicas + one_of_them, 0.0, 2.0) == {"running_mean": 8.0, "running_max": 8.0}


def test_nothing_read_within_the_level_gives_no_figures() -> None:
    assert summary.summarize(points("waiting", [5]), 1.0, 4.0) == {}


@pytest.mark.parametrize(("values", "told"), [([0.37] * 6, True), ([0.37] * 5 + [0.38], False), ([1.0] * 6, False)])
def test_a_utilisation_that_never_moves_is_told(values: list[float], told: bool) -> None:
    assert ("the same in all of 6 readings" in summary.stale(points("utilization", values, "gpu"))) == told


def rows(table: ServerTable | None) -> list[tuple[float, str, str, float]]:
    if table is None:
        return []
    return list(zip(*(column.tolist() for column in vars(table).values()), strict=True))


def test_a_log_is_read_while_it_grows_and_when_it_is_whole(tmp_path: Path) -> None:
    log = ServerLog(tmp_path)
    log.append(points("waiting", [1, 2.5]))
    assert len(rows(read_server(tmp_path))) == 2
    log.append(points("kv_usage", [0.125], "x"))
    expected = [(0, "target", "waiting", 1), (1, "target", "waiting", 2.5), (0, "x", "kv_usage", 0.125)]
    assert rows(read_server(tmp_path)) == expected
    log.finish()
    assert [path.name for path in tmp_path.iterdir()] == ["server.parquet"]
    assert rows(read_server(tmp_path)) == expected


def test_a_log_that_was_cut_in_mid_line_keeps_the_lines_before(tmp_path: Path) -> None:
    ServerLog(tmp_path).append(points("waiting", [1, 2]))
    whole = (tmp_path / "server.csv").read_bytes()
    for end in range(len(whole)):
        (tmp_path / "server.csv").write_bytes(whole[:end])
        assert len(rows(read_server(tmp_path))) == max(0, whole[:end].count(b"\n") - 1)


def test_a_run_without_metrics_leaves_no_file(tmp_path: Path) -> None:
    ServerLog(tmp_path).finish()
    assert not list(tmp_path.iterdir())
    assert read_server(tmp_path) is None


def test_a_run_that_was_killed_in_mid_line_goes_on_with_its_series(tmp_path: Path) -> None:
    ServerLog(tmp_path).append(points("waiting", [1, 2]))
    whole = (tmp_path / "server.csv").read_bytes()
    (tmp_path / "server.csv").write_bytes(whole[:-3])
    ServerLog(tmp_path).append(points("waiting", [3]))
    assert [row[3] for row in rows(read_server(tmp_path))] == [1.0, 3.0]


def test_a_run_that_is_resumed_goes_on_with_its_series(tmp_path: Path) -> None:
    for value in (1.0, 2.0):
        log = ServerLog(tmp_path)
        log.append(points("waiting", [value]))
        assert rows(read_server(tmp_path))[-1][3] == value
        log.finish()
    assert [row[3] for row in rows(read_server(tmp_path))] == [1.0, 2.0]


def test_a_disk_that_refuses_the_series_is_told_at_the_end(tmp_path: Path) -> None:
    log = ServerLog(tmp_path / "gone")
    log.append(points("waiting", [1]))
    log.finish()
    assert "cannot write results" in str(log.trouble)
