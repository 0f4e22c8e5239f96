"""Two plans held against each other, pool by pool."""

from __future__ import annotations

from holdfast.model.plan import Plan, PlanStatus, PoolPlan
from holdfast.model.tables import Cell, Column, Table


def difference(plan: Plan, other: Plan, name: str) -> Table:
    """The pools of both plans side by side; `name` is the other's. A pool that one plan lacks is a gap there."""
    here, there = {pool.unit: pool for pool in plan.pools}, {pool.unit: pool for pool in other.pools}
    return Table(
        title=f"This plan and {name}",
        columns=(
            Column("unit"),
            Column("replicas"),
            Column("replicas there"),
            Column("weight", "%"),
            Column("weight there", "%"),
            Column("cost", "USD/h", 2),
            Column("cost there", "USD/h", 2),
            Column("limit of a replica", "requests/s", 2),
            Column("limit there", "requests/s", 2),
        ),
        rows=tuple(_row(unit, here.get(unit), there.get(unit)) for unit in dict.fromkeys((*here, *there))),
        notes=(
            f"{_whole('This plan', plan)} {_whole(name, other)}{_more(plan, other)}",
            "The cost of a pool is its replicas times the price of one; the whole counts instances only partly filled.",
        ),
    )


def _row(unit: str, here: PoolPlan | None, there: PoolPlan | None) -> tuple[Cell, ...]:
    pairs = zip(_figures(here), _figures(there), strict=True)
    return (unit, *(figure for pair in pairs for figure in pair))


def _figures(pool: PoolPlan | None) -> tuple[Cell, ...]:
    if pool is None:
        return (None, None, None, None)
    return pool.replicas, pool.weight, pool.replicas * pool.price_usd_per_h, pool.limit_per_s


def _whole(name: str, plan: Plan) -> str:
    if plan.status is PlanStatus.INFEASIBLE:
        return f"{name} does not hold {plan.demand_per_s:.4g} requests/s."
    policy = plan.fleet.spec.routing.weights.value
    return f"{name}: {plan.cost_usd_per_h:.2f} USD/h for {plan.demand_per_s:.4g} requests/s, weights by {policy}."


def _more(plan: Plan, other: Plan) -> str:
    """How much dearer this plan is, by the hour and, where the demands differ, by the request."""
    if PlanStatus.INFEASIBLE in (plan.status, other.status):
        return ""
    more = plan.cost_usd_per_h - other.cost_usd_per_h
    share = f" ({more / other.cost_usd_per_h:+.1%})" if other.cost_usd_per_h else ""
    if plan.demand_per_s == other.demand_per_s:
        return f" {more:+.2f} USD/h{share}."
    per_request = (plan.cost_usd_per_h / plan.demand_per_s) / (other.cost_usd_per_h / other.demand_per_s) - 1
    return f" {more:+.2f} USD/h{share}; per request {per_request:+.1%}."


def sentences(plan: Plan, before: Plan | None) -> tuple[str, ...]:
    """What a plan changes of the one before, a sentence for the whole and one for each pool that it changes.

    Both are feasible; `before` is None where nothing runs yet.
    """
    whole = f"{plan.cost_usd_per_h:.2f} USD/h for {plan.demand_per_s:.4g} requests/s"
    if before is None:
        return f"{whole}; there is no plan yet.", *(_added(pool) for pool in plan.pools)
    old, new = {pool.unit: pool for pool in before.pools}, {pool.unit: pool for pool in plan.pools}
    changes = [_changed(unit, old.get(unit), new.get(unit)) for unit in dict.fromkeys((*new, *old))]
    said = tuple(change for change in changes if change)
    whole = f"{whole} instead of {before.cost_usd_per_h:.2f} USD/h for {before.demand_per_s:.4g} requests/s."
    return whole, *(said or ("No pool changes.",))


def _added(pool: PoolPlan) -> str:
    return f"{pool.unit}: new, {pool.replicas} replicas, weight {pool.weight}."


def _changed(unit: str, old: PoolPlan | None, new: PoolPlan | None) -> str:
    """Empty where nothing did that a person would see."""
    if new is None:
        assert old is not None
        return f"{unit}: goes, with its {old.replicas} replicas."
    if old is None:
        return _added(new)
    bounds = [f"{pool.autoscaling.min_replicas} to {pool.autoscaling.max_replicas}" for pool in (new, old)]
    pairs = (
        ("replicas", str(new.replicas), str(old.replicas)),
        ("scaled from", bounds[0], bounds[1]),
        ("weight", str(new.weight), str(old.weight)),
        ("limit of a replica", f"{new.limit_per_s:.4g}/s", f"{old.limit_per_s:.4g}/s"),
        ("price of a replica", f"{new.price_usd_per_h:.4g} USD/h", f"{old.price_usd_per_h:.4g} USD/h"),
    )
    said = ", ".join(f"{what} {now} instead of {then}" for what, now, then in pairs if now != then)
    return f"{unit}: {said}." if said else ""
