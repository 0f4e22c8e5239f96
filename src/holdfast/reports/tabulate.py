"""Model values as tables, for the terminal and for pages alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from holdfast.model.findings import Finding
from holdfast.model.stages import Level, LoadCurve, Stage, Summary
from holdfast.model.tables import Cell, Column, Table
from holdfast.model.timeline import Timeline
from holdfast.reports import cells
from holdfast.reports.curves import by_load, statistic


def level(value: Level) -> str:
    """A load level in a few words: `4/s poisson`, `8 in flight`."""
    if value.rate_per_s is None:
        return f"{value.concurrency} in flight"
    return f"{cells.significant(value.rate_per_s)}/s {value.arrivals.value}"


@dataclass(frozen=True)
class _StageColumn:
    column: Column
    value: Callable[[Stage], Cell]
    optional: bool = False


def _stage_columns() -> list[_StageColumn]:
    return [
        _StageColumn(Column("load"), lambda stage: level(stage.level)),
        _StageColumn(Column("requests"), lambda stage: stage.requests),
        _StageColumn(Column("offered", "requests/s", 2), lambda stage: stage.offered_per_s),
        _StageColumn(Column("achieved", "requests/s", 2), lambda stage: stage.achieved_per_s),
        _StageColumn(Column("goodput", "requests/s", 2), lambda stage: stage.goodput_per_s, optional=True),
        _StageColumn(Column("p50", "s", 3), lambda stage: statistic(stage, "latency", "p50")),
        _StageColumn(Column("p95", "s", 3), lambda stage: statistic(stage, "latency", "p95")),
        _StageColumn(Column("p99", "s", 3), lambda stage: statistic(stage, "latency", "p99")),
        _StageColumn(Column("TTFT p95", "s", 3), lambda stage: statistic(stage, "ttft", "p95"), optional=True),
        _StageColumn(Column("TPOT p95", "ms", 1), lambda stage: _p95_ms(stage.tpot), optional=True),
        _StageColumn(Column("ITL p95", "ms", 1), lambda stage: _p95_ms(stage.itl), optional=True),
        _StageColumn(Column("output", "tokens/s", 0), lambda stage: stage.tokens_out_per_s or None, optional=True),
        _StageColumn(Column("errors", "%", 2), lambda stage: stage.error_rate * 100),
        _StageColumn(Column("in flight", digits=1), lambda stage: stage.in_flight),
        _StageColumn(Column("warm-up", "s", 1), lambda stage: stage.warm_up_s),
        _StageColumn(Column("utilisation", "%", 0), _utilization_percent, optional=True),
        _StageColumn(Column("queue mean", digits=1), _server("waiting_mean"), optional=True),
        _StageColumn(Column("queue max", digits=0), _server("waiting_max"), optional=True),
        _StageColumn(Column("KV cache max", "%", 0), _server("kv_usage_max", 100), optional=True),
        _StageColumn(Column("prefix hits", "%", 0), _server("prefix_hit_rate", 100), optional=True),
        _StageColumn(Column("remarks"), _remarks, optional=True),
    ]


def _p95_ms(summary: Summary | None) -> float | None:
    return None if summary is None else summary.p95_s * 1000


def _utilization_percent(stage: Stage) -> float | None:
    return None if stage.utilization is None else stage.utilization * 100


def _server(figure: str, factor: float = 1.0) -> Callable[[Stage], Cell]:
    """One of the server's own figures."""

    def value(stage: Stage) -> Cell:
        found = stage.server.get(figure)
        return None if found is None else found * factor

    return value


def _remarks(stage: Stage) -> str | None:
    invalid = [f"invalid: {stage.invalid}"] if stage.invalid else []
    return "; ".join([*invalid, *stage.notes]) or None


def stages(curve: LoadCurve) -> Table:
    """The stages of a unit, least loaded first. Columns that no stage has a value for are left out."""
    ordered = by_load(curve)
    shown = [
        column
        for column in _stage_columns()
        if not column.optional or any(not cells.is_gap(column.value(stage)) for stage in ordered)
    ]
    return Table(
        title=f"Stages of {curve.unit}",
        columns=tuple(column.column for column in shown),
        rows=tuple(tuple(column.value(stage) for column in shown) for stage in ordered),
    )


def breaking_points(curves: Sequence[LoadCurve]) -> Table:
    """Where each unit breaks: rate, interval, confidence, cause and evidence; gaps for a unit not searched."""
    return Table(
        title="Breaking points",
        columns=(
            Column("unit"),
            Column("holds", "requests/s", 2),
            Column("held at", "requests/s", 2),
            Column("broke at", "requests/s", 2),
            Column("confidence", "%", 0),
            Column("cause"),
            Column("why"),
        ),
        rows=tuple(_breaking_point(curve) for curve in curves),
        notes=("The breaking point lies between “held at” and “broke at”, with the confidence stated.",),
    )


def _breaking_point(curve: LoadCurve) -> tuple[Cell, ...]:
    point = curve.breaking_point
    if point is None:
        return (curve.unit, None, None, None, None, None, "not searched")
    confidence = point.confidence * 100
    return (
        curve.unit,
        point.rate_per_s,
        point.low_per_s,
        point.high_per_s,
        confidence,
        point.cause.value,
        point.why,
    )


def findings(found: Sequence[Finding]) -> Table:
    """What checks found, in the order given, each with its likeliest explanation if it has one."""
    return Table(
        title="Findings",
        columns=(
            Column("severity"),
            Column("check"),
            Column("message"),
            Column("file"),
            Column("row"),
            Column("found"),
            Column("expected"),
        ),
        rows=tuple(
            (one.severity.value, one.check, _explained(one), one.file, one.row or None, one.found, one.expected)
            for one in found
        ),
    )


def _explained(one: Finding) -> str:
    return f"{one.message} Likely: {one.likely}" if one.likely else one.message


def events(timeline: Timeline) -> Table:
    """The events of a timeline, numbered as its figures mark them."""
    return Table(
        title="Events",
        columns=(Column("no."), Column("time", "s", 1), Column("pool"), Column("what happened")),
        rows=tuple(
            (number, event.t_s, event.pool or None, event.text) for number, event in enumerate(timeline.events, 1)
        ),
        notes=("The numbers stand above the dotted lines in the figures.",),
    )
