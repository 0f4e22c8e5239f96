"""The tables that the field publishes, from evidence and from measured rows, with their units said.

of_evidence   cost, adjusted_throughput                     what a plan knows of its units
of_rows       peak, low_latency, equal_budget             what a measurement file shows

The grid of TP and batch, data parallelism and the scaling of TP are in `parallelism`.

Rows are of all their replicas, and their price is that of the instances which hold them (`prices.priced_rows`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from holdfast.model.fleet import Slo
from holdfast.model.measurements import Measurement
from holdfast.model.plan import UnitEvidence
from holdfast.model.tables import Cell, Column, Table

_PRICE = Column("price", "USD/h", 4)


def of_evidence(evidence: Sequence[UnitEvidence]) -> dict[str, Table]:
    """The tables `cost` and `adjusted_throughput`; none when there is no evidence."""
    if not evidence:
        return {}
    return {"cost": cost(evidence), "adjusted_throughput": adjusted_throughput(evidence)}


def of_rows(rows: Sequence[Measurement], slo: Slo) -> dict[str, Table]:
    """The tables that the rows have figures for, by name; rows without a price have no place in any.

    peak, low_latency:  where some unit was measured at several levels; low_latency also wants a bound of the SLO
                        on an end-to-end statistic that the rows publish, and takes the first.
    """
    priced = [row for row in rows if row.price_usd_per_h and row.rate_per_s]
    if not priced:
        return {}
    found = {"equal_budget": equal_budget(priced, max(map(_price, priced)))}
    if any(len(own) > 1 for own in _units(priced).values()):
        found["peak"] = peak(priced)
        found |= _low_latency_by_slo(priced, slo)
    return found


def _low_latency_by_slo(rows: Sequence[Measurement], slo: Slo) -> dict[str, Table]:
    for statistic, bound_s in slo.latency.bounds():
        if any(row.latency_s(statistic) is not None for row in rows):
            return {"low_latency": low_latency(rows, statistic, bound_s)}
    return {}


def cost(evidence: Sequence[UnitEvidence]) -> Table:
    """What a request costs on each unit at its limit, cheapest first."""
    ordered = sorted(evidence, key=lambda known: known.usd_per_million_requests)
    return Table(
        title="Cost at the limit, per replica",
        columns=(
            Column("unit"),
            Column("limit", "requests/s", 4),
            _PRICE,
            Column("cost", "USD per million requests", 2),
            Column("tokens per USD", "tokens/USD", 0),
            Column("RPS per $", "requests/s per USD/h", 2),
            Column("cost of inference", "USD/h per request/min", 5),
        ),
        rows=tuple(
            (
                known.unit,
                known.limit_per_s,
                known.price_usd_per_h,
                known.usd_per_million_requests,
                known.tokens_per_usd,
                known.limit_per_s / known.price_usd_per_h,
                known.price_usd_per_h / (known.limit_per_s * 60),
            )
            for known in ordered
        ),
        notes=(
            "cost of inference is price / (requests per minute), the figure that the field prints as "
            "'cost of inference / second'; it is 60 times the US dollars of one request.",
        ),
    )


def adjusted_throughput(evidence: Sequence[UnitEvidence]) -> Table:
    """The capacity-optimised figures: target = mean of the limits, adjusted = min(target, limit)."""
    target_per_s = math.fsum(known.limit_per_s for known in evidence) / len(evidence)
    return Table(
        title="Throughput of one replica, adjusted for round robin (capacity optimised)",
        columns=(
            Column("unit"),
            Column("latency", "s", 2),
            Column("limit", "requests/s", 4),
            Column("limit per minute", "requests/min", 1),
            Column("adjusted", "requests/s", 4),
            Column("adjusted per minute", "requests/min", 1),
        ),
        rows=tuple(_adjusted_row(known, min(target_per_s, known.limit_per_s)) for known in evidence),
        notes=(
            f"target throughput {target_per_s:.4g} requests/s is the mean of the limits. Round robin over equal "
            "replica counts gives every unit the same rate, so it reaches no more than the smallest limit each.",
        ),
    )


def _adjusted_row(known: UnitEvidence, adjusted_per_s: float) -> tuple[Cell, ...]:
    return (
        known.unit,
        known.latency_s,
        known.limit_per_s,
        known.limit_per_s * 60,
        adjusted_per_s,
        adjusted_per_s * 60,
    )


@dataclass(frozen=True)
class _Throughput:
    """What rows are compared by: output tokens where every row states them, else requests."""

    unit: str
    digits: int
    of: Callable[[Measurement], float]

    def column(self, name: str) -> Column:
        return Column(name, self.unit, self.digits)

    @property
    def per_dollar(self) -> Column:
        return Column("per dollar", f"{self.unit} per USD/h", self.digits + 1)


def _throughput(rows: Sequence[Measurement]) -> _Throughput:
    if all(row.output_tokens_per_s is not None for row in rows):
        return _Throughput("tokens/s", 0, lambda row: row.output_tokens_per_s or 0.0)
    return _Throughput("requests/s", 2, lambda row: row.rate_per_s or 0.0)


def peak(rows: Sequence[Measurement]) -> Table:
    """The highest throughput of each unit whatever its latency, and what a dollar buys there."""
    measure = _throughput(rows)
    best = [max(own, key=measure.of) for own in _units(rows).values()]
    return Table(
        title="Peak throughput per dollar",
        columns=(
            Column("unit"),
            Column("instance type"),
            measure.column("peak"),
            Column("concurrency"),
            _PRICE,
            measure.per_dollar,
        ),
        rows=tuple(
            (
                row.unit,
                row.instance_type,
                measure.of(row),
                row.concurrency,
                _price(row),
                measure.of(row) / _price(row),
            )
            for row in best
        ),
        notes=("The peak is the highest figure measured, whatever its latency.",),
    )


def low_latency(rows: Sequence[Measurement], statistic: str, bound_s: float) -> Table:
    """The highest throughput of each unit among rows whose latency statistic is within the bound.

    statistic: one of avg p50 p90 p95 p99. Units without such a row are named in the notes.
    """
    measure = _throughput(rows)
    held = {name: [row for row in own if _within(row, statistic, bound_s)] for name, own in _units(rows).items()}
    best = [max(own, key=measure.of) for own in held.values() if own]
    missing = [name for name, own in held.items() if not own]
    return Table(
        title=f"Throughput per dollar with {statistic} latency within {bound_s:g} s",
        columns=(
            Column("unit"),
            Column(f"{statistic} latency", "s", 2),
            Column("concurrency"),
            measure.column("throughput"),
            _PRICE,
            measure.per_dollar,
        ),
        rows=tuple(
            (
                row.unit,
                row.latency_s(statistic),
                row.concurrency,
                measure.of(row),
                _price(row),
                measure.of(row) / _price(row),
            )
            for row in best
        ),
        notes=(f"Left out, no row within the bound: {', '.join(missing)}.",) if missing else (),
    )


def equal_budget(rows: Sequence[Measurement], budget_usd_per_h: float) -> Table:
    """What each unit gives when bought as often as the budget allows, never above it."""
    measure = _throughput(rows)
    best = [max(own, key=measure.of) for own in _units(rows).values()]
    return Table(
        title=f"Peak throughput for at most {budget_usd_per_h:.2f} USD/h",
        columns=(
            Column("unit"),
            Column("times"),
            measure.column("throughput"),
            Column("price", "USD/h", 2),
            measure.per_dollar,
        ),
        rows=tuple(_budget_row(row, measure, budget_usd_per_h) for row in best),
        notes=("times is how often the measured set-up of a unit is bought: whole instances within the budget.",),
    )


def _budget_row(row: Measurement, measure: _Throughput, budget_usd_per_h: float) -> tuple[Cell, ...]:
    # A budget of exactly n instances must buy n: the product of floats may lie an ulp above it.
    times = math.floor(budget_usd_per_h / _price(row) * (1 + 1e-9))
    return (
        row.unit,
        times,
        times * measure.of(row),
        times * _price(row),
        measure.of(row) / _price(row) if times else None,
    )


def _units(rows: Sequence[Measurement]) -> dict[str, list[Measurement]]:
    units: dict[str, list[Measurement]] = {}
    for row in rows:
        units.setdefault(row.unit, []).append(row)
    return units


def _within(row: Measurement, statistic: str, bound_s: float) -> bool:
    latency_s = row.latency_s(statistic)
    return latency_s is not None and latency_s <= bound_s


def _price(row: Measurement) -> float:
    assert row.price_usd_per_h is not None
    return row.price_usd_per_h
