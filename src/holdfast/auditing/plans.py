"""A plan against its own arithmetic, its promises, and the catalogue.

Nothing of the planner is used: everything is worked out anew from what the file says. `plan_shape` comes first, since
nothing can be worked out of a plan that has, say, 23 hours.

shape       what the sums need               sums      weights, traffic, latency, cost and what follows
capacity    what each hour holds             scaling   when each pool grows
sizes       requests that differ             tables    those that repeat the plan; here: age of prices, catalogue
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from holdfast import catalog
from holdfast.auditing import equipment, plan_capacity, plan_scaling, plan_shape, plan_sizes, plan_sums, plan_tables
from holdfast.model.findings import Audit, Checked, Finding, Kind, Severity
from holdfast.model.fleet import CapacityType, DeploymentUnit
from holdfast.model.hardware import Offering
from holdfast.model.plan import Plan, PlanStatus, PoolPlan

_TOKENS = 0.1


def audit_plan(plan: Plan, where: str, *, today: datetime.date, region: str | None = None) -> Audit:
    """Does the plan add up? today: what the age of its prices is counted to. region: of its prices, else the fleet's.

    Raises InputError for a region that the catalogue does not have.
    """
    area = region or (plan.fleet.spec.region if plan.fleet.spec.region in catalog.regions() else None)
    shape = plan_shape.shape(plan, where)
    if not shape.findings:
        shape = Checked(shape.check, shape.judged, tuple(plan_sizes.misshapen(plan, where)))
    checked = (shape,) if shape.findings else (shape, *_sound(plan, where, today, area))
    return Audit(where, Kind.PLAN, len(plan.pools), checked)


def _sound(plan: Plan, where: str, today: datetime.date, region: str | None) -> tuple[Checked, ...]:
    """The checks of a plan whose parts fit together."""
    feasible = plan.status is PlanStatus.FEASIBLE
    return (
        plan_sums.weights(plan, where),
        plan_sums.traffic(plan, where),
        plan_sums.latency(plan, where),
        plan_sizes.sizes(plan, where),
        plan_capacity.demand(plan, where) if feasible else Checked("demand", 0, ()),
        plan_capacity.survival(plan, where) if feasible else Checked("survival", 0, ()),
        plan_capacity.limits(plan, where),
        plan_capacity.quotas(plan, where),
        plan_sums.cost(plan, where),
        plan_sums.request_cost(plan, where),
        plan_scaling.autoscaling(plan, where),
        plan_tables.tables(plan, where),
        _token_count(plan, where),
        _price_age(plan, today, region, where),
        _price(plan, region, where),
        Checked("evidence", len(plan.findings), tuple(_evidence(plan, where))),
    )


def _token_count(plan: Plan, where: str) -> Checked:
    """Tokens per dollar x dollars per request are the tokens of a request, and should be the workload's."""
    found, judged = [], 0
    for pool in plan.pools:
        mean = plan_tables.output_tokens(plan, pool.unit)
        if mean is None or pool.tokens_per_usd is None:
            continue
        judged += 1
        per_request = pool.tokens_per_usd * pool.usd_per_million_requests / 1e6
        if abs(per_request / mean - 1) > _TOKENS:
            found.append(
                Finding(
                    where,
                    0,
                    "token-count",
                    Severity.SUSPICIOUS,
                    f"{per_request:.4g} tokens per request",
                    f"{mean:.4g} tokens per request",
                    f"The tokens per dollar of {pool.unit} are of {per_request:.4g} tokens per request, and the "
                    f"workload has {mean:.4g}.",
                    "The evidence counted tokens otherwise, or measured requests of another length.",
                )
            )
    return Checked("token-count", judged, tuple(found))


def _price_age(plan: Plan, today: datetime.date, region: str | None, where: str) -> Checked:
    """Prices of the catalogue that its own rule calls stale: by the day that the plan cites, and where it buys in a
    second way without citing one, by the catalogue's offering of the same price."""
    dates: dict[tuple[str, str], str] = {}
    for pool in plan.pools:
        declared = plan.fleet.unit(pool.unit)
        cited = catalog.cited_date(pool.price_source)
        if cited is not None:
            dates[pool.unit, declared.capacity_type.value] = cited
        for allotment in pool.allotments:
            way = allotment.capacity_type
            if way is not declared.capacity_type and way not in declared.prices_usd_per_h:
                for offer in _listed(declared, way, region):
                    if offer.price_usd_per_h == allotment.instance_usd_per_h:
                        dates[pool.unit, way.value] = offer.date
    found = (_aged(unit, way, date, today, where) for (unit, way), date in dates.items())
    return Checked("price-age", len(dates), tuple(finding for finding in found if finding is not None))


def _aged(unit: str, way: str, read: str, today: datetime.date, where: str) -> Finding | None:
    days = catalog.days_since(read, today)
    if not catalog.too_old(days):
        return None
    known = days is not None
    return Finding(
        where,
        0,
        "price-age",
        Severity.NOTE,
        f"{days} days" if known else f"no known age ({read})",
        f"at most {catalog.STALE_AFTER_DAYS} days",
        f"The {way} price of {unit} was read {days} days ago, on {read}."
        if known
        else f"The {way} price of {unit} is of no known age ({read}).",
        "Prices may have changed: `holdfast prices refresh` reads them anew; then plan again.",
    )


def _price(plan: Plan, region: str | None, where: str) -> Checked:
    """The price of each instance that is bought, against the catalogue's in the fleet's region; against the fleet
    document's where that states one."""
    found: dict[tuple[str, CapacityType, float], Finding] = {}
    judged = 0
    for pool, unit in ((pool, plan.fleet.unit(pool.unit)) for pool in plan.pools):
        for way, usd_per_h in _bought(plan, pool, unit):
            stated = unit.price_usd_per_h if way is unit.capacity_type else unit.prices_usd_per_h.get(way)
            known = _listed(unit, way, region)
            judged += stated is not None or bool(known)
            if stated is not None and not equipment.same_price(usd_per_h, stated):
                found[pool.unit, way, usd_per_h] = _not_as_stated(unit, way, usd_per_h, stated, where)
            elif stated is None and known and not any(_same(usd_per_h, offer) for offer in known):
                found[pool.unit, way, usd_per_h] = _not_as_listed(pool, usd_per_h, known[0], where)
    return Checked("price", judged, tuple(found.values()))


def _bought(plan: Plan, pool: PoolPlan, unit: DeploymentUnit) -> Iterator[tuple[CapacityType, float]]:
    """How the pool's instances are bought and their prices; of a pool without any what one would cost."""
    bought = dict.fromkeys((one.capacity_type, one.instance_usd_per_h) for one in pool.allotments)
    packed = plan_shape.packing(plan, pool)
    one_usd_per_h = pool.price_usd_per_h * packed.replicas_per_instance / packed.instances_per_replica
    yield from bought or ((unit.capacity_type, one_usd_per_h),)


def _listed(unit: DeploymentUnit, way: CapacityType, region: str | None) -> list[Offering]:
    alike = (offer for offer in catalog.offerings(region) if offer.instance_type == unit.instance_type)
    return [offer for offer in alike if offer.capacity_type is way]


def _same(usd_per_h: float, offer: Offering) -> bool:
    return equipment.same_price(usd_per_h, offer.price_usd_per_h)


def _not_as_stated(unit: DeploymentUnit, way: CapacityType, usd_per_h: float, stated: float, where: str) -> Finding:
    return Finding(
        where,
        0,
        "price",
        Severity.IMPOSSIBLE,
        f"{usd_per_h:.4f} USD/h",
        f"{stated:.4f} USD/h",
        f"{unit.name} is planned at {usd_per_h:.4f} USD/h ({way.value}), and its fleet document says {stated:.4f}.",
        "The plan or the fleet document in it was changed by hand.",
    )


def _not_as_listed(pool: PoolPlan, usd_per_h: float, listed: Offering, where: str) -> Finding:
    return Finding(
        where,
        0,
        "price",
        Severity.SUSPICIOUS,
        f"{usd_per_h:.4f} USD/h",
        f"{listed.price_usd_per_h:g} USD/h",
        f"{pool.unit} is planned at {usd_per_h:.4f} USD/h for {listed.instance_type}, which the catalogue has at "
        f"{listed.price_usd_per_h:g} ({listed.capacity_type.value}, {listed.region}, read {listed.date}).",
        f"The plan took it from: {pool.price_source}.",
    )


def _evidence(plan: Plan, where: str) -> Iterator[Finding]:
    """The figures that the plan was made of, as it was told of them itself."""
    worst = [finding for finding in plan.findings if finding.severity is Severity.IMPOSSIBLE]
    if worst:
        lines = ", ".join(dict.fromkeys(f"{finding.file}:{finding.row} ({finding.check})" for finding in worst))
        yield Finding(
            where,
            0,
            "evidence",
            Severity.SUSPICIOUS,
            f"{len(worst)} impossible figures",
            "none",
            f"The plan was made on a file with impossible figures: {lines}.",
        )
