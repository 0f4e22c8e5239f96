"""Plans and cost curves as tables, for the terminal and for pages alike."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping

from holdfast.model.cost_curve import CostCurve, CostPoint
from holdfast.model.plan import Plan, PlanStatus, PoolPlan, ScalingTarget
from holdfast.model.tables import Cell, Column, Table


def surety(plan: Plan) -> str:
    """How much of a plan rests on estimates, in a few words; empty where all was measured."""
    guessed = sum(pool.estimate_error is not None for pool in plan.pools)
    if not guessed:
        return ""
    return "by estimates alone" if guessed == len(plan.pools) else f"{guessed} of {len(plan.pools)} pools by estimate"


def pools(plan: Plan) -> Table:
    """The pools of a plan: replicas, share of traffic, how full, at what cost. Nothing is given to those of an
    infeasible plan, so it says nothing of their traffic."""
    tokens = any(pool.tokens_per_usd is not None for pool in plan.pools)
    guessed = any(pool.estimate_error is not None for pool in plan.pools)
    feasible = plan.status is PlanStatus.FEASIBLE
    spanned = any(one.packing.spans for pool in plan.pools for one in pool.allotments)
    columns: tuple[tuple[Column, Callable[[PoolPlan], Cell], bool], ...] = (
        (Column("unit"), lambda pool: pool.unit, True),
        (Column("replicas"), lambda pool: pool.replicas, True),
        (Column("instances"), lambda pool: _instances(plan, pool), spanned),
        (Column("weight", "%"), lambda pool: pool.weight, feasible),
        (Column("expected", "requests/s", 2), lambda pool: pool.expected_per_s, feasible),
        (Column("limit of a replica", "requests/s", 2), lambda pool: pool.limit_per_s, True),
        (Column("known from"), _known_from, guessed),
        (Column("filled to", "%", 0), lambda pool: pool.utilization * 100, feasible),
        (Column("price of a replica", "USD/h", 3), lambda pool: pool.price_usd_per_h, True),
        (Column("cost of a million requests", "USD", 2), lambda pool: pool.usd_per_million_requests, True),
        (Column("output", "tokens/USD", 0), lambda pool: pool.tokens_per_usd, tokens),
    )
    shown = [(column, of) for column, of, wanted in columns if wanted]
    return Table(
        title="Pools" if feasible else "As far as the limits go, which is not enough",
        columns=tuple(column for column, _ in shown),
        rows=tuple(tuple(of(pool) for _, of in shown) for pool in plan.pools),
        notes=(
            f"Weights by {plan.fleet.spec.routing.weights.value}. “Filled to” is the expected traffic over what the "
            "replicas hold at their breaking points."
            if feasible
            else "No traffic is planned, so no pool has a weight.",
            *(("The percentage of an estimate is the median error of a step of the model.",) if guessed else ()),
        ),
    )


def _instances(plan: Plan, pool: PoolPlan) -> int:
    """In the period with the highest demand, as the pool's replicas are."""
    rates = [period.demand_per_s for period in plan.periods]
    return sum(one.instances(rates.index(max(rates))) for one in pool.allotments)


def _known_from(pool: PoolPlan) -> str:
    return "measured" if pool.estimate_error is None else f"estimate ±{pool.estimate_error:.0%}"


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
        notes=tuple(f"{one.name}: {_reading(one)}{_exported(one.name, shown)}" for one in known.values()),
    )


def _exported(name: str, shown: Mapping[str, Mapping[str, ScalingTarget]]) -> str:
    """By whom the metric is exported; of which units, where that differs."""
    units: dict[str, list[str]] = {}
    for unit, own in shown.items():
        if name in own and own[name].exporter:
            units.setdefault(own[name].exporter, []).append(unit)
    if len(units) == 1:
        return f"; exported by {next(iter(units))}"
    return "".join(f"; of {', '.join(names)} exported by {exporter}" for exporter, names in units.items())


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
