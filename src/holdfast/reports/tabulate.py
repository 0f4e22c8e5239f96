"""Model values as tables, for the terminal and for pages alike."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from holdfast.model.cost_curve import CostCurve, CostPoint
from holdfast.model.findings import Finding
from holdfast.model.plan import Plan, PoolPlan, ScalingTarget
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


def pools(plan: Plan) -> Table:
    """The pools of a plan: replicas, share of traffic, how full, at what cost."""
    tokens = any(pool.tokens_per_usd is not None for pool in plan.pools)
    guessed = any(pool.estimate_error is not None for pool in plan.pools)
    return Table(
        title="Pools",
        columns=(
            Column("unit"),
            Column("replicas"),
            Column("weight", "%"),
            Column("expected", "requests/s", 2),
            Column("limit of a replica", "requests/s", 2),
            *((Column("known from"),) if guessed else ()),
            Column("filled to", "%", 0),
            Column("price of a replica", "USD/h", 3),
            Column("cost of a million requests", "USD", 2),
            *((Column("output", "tokens/USD", 0),) if tokens else ()),
        ),
        rows=tuple(_pool(pool, guessed) + ((pool.tokens_per_usd,) if tokens else ()) for pool in plan.pools),
        notes=(
            f"Weights by {plan.fleet.spec.routing.weights.value}. “Filled to” is the expected traffic over what the "
            "replicas hold at their breaking points.",
            *(("The percentage of an estimate is the median error of a step of the model.",) if guessed else ()),
        ),
    )


def _pool(pool: PoolPlan, guessed: bool) -> tuple[Cell, ...]:
    known = "measured" if pool.estimate_error is None else f"estimate ±{pool.estimate_error:.0%}"
    return (
        pool.unit,
        pool.replicas,
        pool.weight,
        pool.expected_per_s,
        pool.limit_per_s,
        *((known,) if guessed else ()),
        pool.utilization * 100,
        pool.price_usd_per_h,
        pool.usd_per_million_requests,
    )


def reasons(plan: Plan) -> Table:
    """Why each pool is as it is, and where its figures come from."""
    return Table(
        title="Why, and on what evidence",
        columns=(Column("unit"), Column("why"), Column("limit from"), Column("price from")),
        rows=tuple((pool.unit, pool.reason, pool.limit_source, pool.price_source) for pool in plan.pools),
    )


def scaling_targets(plan: Plan) -> Table:
    """What one replica of each pool that has any should show, a column per metric; the notes say how it is read."""
    shown = {pool.unit: {one.name: one for one in pool.autoscaling.targets} for pool in plan.pools if pool.replicas}
    known = {one.name: one for own in shown.values() for one in own.values()}
    return Table(
        title="Autoscaling targets of one replica",
        columns=(Column("unit"), *(Column(one.name, one.unit) for one in known.values())),
        rows=tuple(
            (unit, *(own[name].value if name in own else None for name in known)) for unit, own in shown.items()
        ),
        notes=tuple(f"{one.name}: {_reading(one)}" for one in known.values()),
    )


def _reading(target: ScalingTarget) -> str:
    return f"{target.system}, {target.statistic} of {target.metric} over {target.period_s:g} s"


def autoscaling(plan: Plan) -> Table:
    """When each pool gets another replica, its bounds, and the same target for each metric that may be scraped."""
    return Table(
        title="Autoscaling",
        columns=(
            Column("unit"),
            Column("metric of a replica"),
            Column("target"),
            Column("in"),
            Column("least", "replicas"),
            Column("most", "replicas"),
            Column("why"),
        ),
        rows=tuple(row for pool in plan.pools for row in _scaling_rows(pool)),
    )


def _scaling_rows(pool: PoolPlan) -> list[tuple[Cell, ...]]:
    scale = pool.autoscaling
    bounds = (scale.min_replicas, scale.max_replicas)
    if not scale.targets:
        return [(pool.unit, scale.metric, scale.target, scale.unit, *bounds, None)]
    return [
        (pool.unit, f"{one.name}: {_reading(one)}", one.value, one.unit, *bounds, one.reason) for one in scale.targets
    ]


def cost_curve(curve: CostCurve, most_rows: int | None = None) -> Table:
    """The cheapest mix by demand, with the replicas of each pool; rates that have the same mix are one row.

    most_rows: of more rows only so many are shown, at even distances and with the last.
    """
    last = [
        point
        for point, after in itertools.zip_longest(curve.points, curve.points[1:])
        if after is None or (point.pools, point.holds) != (after.pools, after.holds)
    ]
    rows = [_rate_row(curve, point) for point in last]
    every = 1 if most_rows is None else math.ceil(len(rows) / most_rows)
    why_not = next((point.why_not for point in curve.points if not point.holds), "")
    shown = f"; every {every} rows one is shown, all are in the JSON and on the page" if every > 1 else ""
    return Table(
        title=f"The cheapest mix of {curve.fleet} by demand, in replicas",
        columns=(
            Column("up to", "requests/s"),
            Column("cost", "USD/h", 2),
            Column("of a million requests", "USD", 2),
            *(Column(unit) for unit in curve.units),
        ),
        rows=tuple(reversed(rows[::-1][::every])),
        notes=(
            f"{len(curve.points)} rates were planned, each by itself{shown}.",
            *((f"Where there is no cost, no plan holds. {why_not}",) if why_not else ()),
        ),
    )


def _rate_row(curve: CostCurve, point: CostPoint) -> tuple[Cell, ...]:
    replicas = {pool.unit: pool.replicas for pool in point.pools}
    cost = (point.cost_usd_per_h, point.usd_per_million_requests) if point.holds else (None, None)
    return (point.rate_per_s, *cost, *(replicas.get(unit) for unit in curve.units))


def findings(found: Sequence[Finding]) -> Table:
    """What checks found, in the order given; without a column of explanations where none is likelier than another."""
    explained = any(one.likely for one in found)
    return Table(
        title="Findings",
        columns=(
            Column("severity"),
            Column("check"),
            Column("file"),
            Column("row"),
            Column("found"),
            Column("expected"),
            Column("message"),
            *((Column("likely"),) if explained else ()),
        ),
        rows=tuple(
            (one.severity.value, one.check, one.file, one.row or None, one.found, one.expected, one.message)
            + ((one.likely or None,) if explained else ())
            for one in found
        ),
    )


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
