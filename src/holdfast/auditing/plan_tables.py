"""The tables of a plan that say again what the plan says: cost, adjusted throughput, placement, day, traffic by size.

The others (grid, peak, low latency and so on) are of the measurements or estimates that the plan was made from, which
are not in it: they cannot be checked here. `holdfast audit` of the measurements does that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from holdfast.auditing import plan_shape
from holdfast.auditing.plan_shape import differ, impossible
from holdfast.model.findings import Checked, Finding
from holdfast.model.plan import Plan, PoolPlan
from holdfast.model.tables import Cell, Table

_Row = dict[str, Cell]


def tables(plan: Plan, where: str) -> Checked:
    """Cells that are not what the plan makes them, by table, row and column."""
    judged = {
        "cost": _cost,
        "adjusted_throughput": _adjusted,
        "placement": _placement,
        "day": _day,
        "traffic_by_size": _traffic,
    }
    found = [
        finding
        for name, expected in judged.items()
        if name in plan.tables
        for finding in _compared(plan.tables[name], expected(plan, _rows(plan.tables[name])), where)
    ]
    return Checked("tables", sum(name in plan.tables for name in judged), tuple(found))


def output_tokens(plan: Plan, unit: str) -> float | None:
    """Mean output tokens of the requests that the unit gets: the workload's, where traffic goes by size its own."""
    workload, given = plan.fleet.spec.workload, plan.pool(unit).traffic_by_size_per_s
    if workload.output_tokens is None or not given:
        return None if workload.output_tokens is None else workload.output_tokens.mean
    rates = given[plan_shape.peak(plan)]
    whole = math.fsum(rates)
    if whole <= 0:
        return workload.output_tokens.mean
    return math.fsum(rate * size.output_tokens for rate, size in zip(rates, workload.sizes, strict=True)) / whole


def _compared(table: Table, expected: Sequence[_Row], where: str) -> Iterator[Finding]:
    shown = _rows(table)
    if len(shown) != len(expected):
        message = f"The table {table.title!r} has {len(shown)} rows and should have {len(expected)}."
        yield impossible(where, "tables", f"{len(shown)} rows", f"{len(expected)} rows", message)
        return
    for row, right in zip(shown, expected, strict=True):
        for name, value in right.items():
            if not _alike(row.get(name), value):
                first = next(iter(row.values()))
                message = f"The table {table.title!r} has {_text(row.get(name))} under {name!r} in the row of {first}, "
                message += f"and the plan makes it {_text(value)}."
                yield impossible(where, "tables", _text(row.get(name)), _text(value), message)


def _cost(plan: Plan, shown: Sequence[_Row]) -> list[_Row]:
    """Price over limit. The limit is the pool's, and the price that of the first allotment in the unit's main way."""
    expected = []
    for row in shown:
        limit, price, tokens = (_number(row, name) for name in ("limit", "price", "tokens per USD"))
        right: _Row = {}
        if limit and price is not None:
            right = {"cost": price / limit / 3600 * 1e6, "cost of inference": price / (limit * 60)}
        if limit and price:
            right["RPS per $"] = limit / price
        pool = _pool(plan, row)
        if pool is not None:
            right["limit"] = pool.limit_per_s
            way = plan.fleet.unit(pool.unit).capacity_type
            main = (one for one in pool.allotments if one.capacity_type is way)
            each = next((one.replica_usd_per_h for one in main), None)
            if each is not None or not pool.replicas:
                right["price"] = each or pool.price_usd_per_h
            if price and tokens is not None and pool.tokens_per_usd is not None:
                right["tokens per USD"] = pool.tokens_per_usd * pool.price_usd_per_h / price
        expected.append(right)
    return expected


def _adjusted(plan: Plan, shown: Sequence[_Row]) -> list[_Row]:
    limits = [_number(row, "limit") or 0.0 for row in shown]
    target = math.fsum(limits) / max(1, len(limits))
    expected: list[_Row] = []
    for row, limit in zip(shown, limits, strict=True):
        pool = _pool(plan, row)
        adjusted = min(target, limit)
        expected.append(
            {
                "limit": limit if pool is None else pool.limit_per_s,
                "limit per minute": limit * 60,
                "adjusted": adjusted,
                "adjusted per minute": adjusted * 60,
                **({} if pool is None else {"latency": pool.latency_s}),
            }
        )
    return expected


def _placement(plan: Plan, shown: Sequence[_Row]) -> list[_Row]:
    at = plan_shape.peak(plan)
    counted = any("instances" in row for row in shown)
    return [
        {
            "unit": one.unit,
            "zone": one.zone or None,
            "capacity type": one.capacity_type.value,
            "replicas": one.replicas[at],
            **({"instances": one.instances(at)} if counted else {}),
            "cost": one.instances(at) * one.instance_usd_per_h,
        }
        for one in plan_shape.allotments(plan)
        if one.replicas[at]
    ]


def _day(plan: Plan, _: Sequence[_Row]) -> list[_Row]:
    expected: list[_Row] = []
    for hour, period in enumerate(plan.periods):
        row: _Row = {"hour": hour, "demand": period.demand_per_s, "cost": period.cost_usd_per_h}
        for one in plan_shape.allotments(plan):
            row[one.unit] = int(row.get(one.unit) or 0) + one.replicas[hour]
        expected.append(row)
    return expected


def _traffic(plan: Plan, _: Sequence[_Row]) -> list[_Row]:
    at = plan_shape.peak(plan)
    given = {pool.unit: pool.traffic_by_size_per_s[at] for pool in plan.pools if pool.traffic_by_size_per_s}
    return [
        {unit: rates[index] for unit, rates in given.items()} for index in range(len(plan.fleet.spec.workload.sizes))
    ]


def _rows(table: Table) -> list[_Row]:
    names = [column.name for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in table.rows]


def _pool(plan: Plan, row: _Row) -> PoolPlan | None:
    return next((pool for pool in plan.pools if pool.unit == row.get("unit")), None)


def _number(row: _Row, name: str) -> float | None:
    value = row.get(name)
    return float(value) if isinstance(value, int | float) and abs(value) <= plan_shape.MOST else None


def _alike(found: Cell, right: Cell) -> bool:
    if isinstance(found, int | float) and isinstance(right, int | float):
        return not differ(found, right)
    return found == right


def _text(cell: Cell) -> str:
    return "nothing" if cell is None else f"{cell:.6g}" if isinstance(cell, float) else str(cell)
