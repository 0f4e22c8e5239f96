"""The mix of a plan by pool, zone, hour and size: what its pools and tables show of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from holdfast.model.fleet import InferenceFleet
from holdfast.model.plan import UnitEvidence
from holdfast.model.tables import Cell, Column, Table
from holdfast.planning import supplies
from holdfast.planning.mix import Mix


def as_bought(known: UnitEvidence, mix: Mix, period: int) -> UnitEvidence:
    """The evidence at the mean price of the replicas that are planned in the period."""
    own = [
        (a.replica_usd_per_h, a.replicas[period]) for a in mix.allotments if a.unit == known.unit and a.replicas[period]
    ]
    if len({price for price, _ in own}) < 2 and all(math.isclose(p, known.price_usd_per_h) for p, _ in own):
        return known
    mean = math.fsum(price * count for price, count in own) / sum(count for _, count in own)
    said = f"{known.price_source}; mean over the zones and capacity types as planned"
    return replace(known, price_usd_per_h=mean, price_source=said)


def as_given(fleet: InferenceFleet, known: UnitEvidence, mix: Mix, period: int) -> UnitEvidence:
    """The evidence of the requests that the unit is given in the period, where traffic goes by size; else as it is."""
    rates = mix.traffic.get(known.unit, ())
    if not fleet.spec.routing.by_size or not rates or not any(rates[period]):
        return known
    return supplies.given(fleet, known, rates[period])


def pools(fleet: InferenceFleet, evidence: Sequence[UnitEvidence], mix: Mix) -> list[UnitEvidence]:
    """The units that get a pool: all, or with capacity.maxPools those with replicas and then the cheapest others.

    All of an infeasible mix, of which nothing is chosen.
    """
    most = fleet.spec.capacity.max_pools
    if most is None or most >= len(evidence) or not mix.feasible:
        return list(evidence)
    used = {allotment.unit for allotment in mix.allotments}
    order = sorted(evidence, key=lambda known: (known.unit not in used, known.usd_per_million_requests, known.unit))
    chosen = {known.unit for known in order[: max(most, len(used))]}
    return [known for known in evidence if known.unit in chosen]


def traffic_shares(mix: Mix, replicas: Mapping[str, int]) -> dict[str, float]:
    """Share of all requests by unit, in the period with the highest demand."""
    totals = {unit: [math.fsum(sizes) for sizes in periods] for unit, periods in mix.traffic.items()}
    sums = [math.fsum(rates) for rates in zip(*totals.values(), strict=True)]
    peak = sums.index(max(sums))
    return {unit: totals[unit][peak] / sums[peak] if unit in totals else 0.0 for unit in replicas}


def tables(fleet: InferenceFleet, mix: Mix, peak: int) -> dict[str, Table]:
    """Replicas by zone and capacity type, by hour, and traffic by size; each where there is more than one."""
    found = {}
    if len({(a.zone, a.capacity_type) for a in mix.allotments}) > 1:
        found["placement"] = _placement(mix, peak)
    if len(mix.cost_by_period_usd_per_h) > 1:
        found["day"] = _day(fleet, mix)
    if fleet.spec.routing.by_size and mix.traffic:
        found["traffic_by_size"] = _sizes(fleet, mix, peak)
    return found


def _placement(mix: Mix, peak: int) -> Table:
    placed = [a for a in mix.allotments if a.replicas[peak]]
    spanned = any(a.packing.spans for a in placed)
    rows = [
        (
            *(a.unit, a.zone or None, a.capacity_type.value, a.replicas[peak]),
            *((a.instances(peak),) if spanned else ()),
            a.instances(peak) * a.instance_usd_per_h,
        )
        for a in placed
    ]
    return Table(
        "Replicas by zone and capacity type",
        (
            *(Column("unit"), Column("zone"), Column("capacity type"), Column("replicas")),
            *((Column("instances"),) if spanned else ()),
            Column("cost", "USD/h", 4),
        ),
        tuple(rows),
        ("At the highest demand. A NodePool buys in any zone and type of its unit: units apart hold it to these.",),
    )


def _day(fleet: InferenceFleet, mix: Mix) -> Table:
    units = list(dict.fromkeys(allotment.unit for allotment in mix.allotments))
    rates = fleet.spec.demand.periods_per_s
    rows = [
        (hour, rate, cost, *(mix.replicas(unit, hour) for unit in units))
        for hour, (rate, cost) in enumerate(zip(rates, mix.cost_by_period_usd_per_h, strict=True))
    ]
    return Table(
        "Replicas hour by hour",
        (Column("hour"), Column("demand", "1/s", 2), Column("cost", "USD/h", 4), *map(Column, units)),
        tuple(rows),
        ("The cost of an hour has the starts at its beginning in it; the day repeats.",),
    )


def _sizes(fleet: InferenceFleet, mix: Mix, peak: int) -> Table:
    units = list(mix.traffic)
    rows: list[tuple[Cell, ...]] = [
        (f"{size.input_tokens:g} + {size.output_tokens:g}", *(mix.traffic[unit][peak][index] for unit in units))
        for index, size in enumerate(fleet.spec.workload.sizes)
    ]
    return Table(
        "Traffic by size of request",
        (Column("tokens in + out"), *(Column(unit, "1/s", 2) for unit in units)),
        tuple(rows),
        ("At the highest demand, headroom included. Whoever routes must know the sizes: weights alone do not do it.",),
    )
