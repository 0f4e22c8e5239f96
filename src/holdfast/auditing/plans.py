"""A plan against its own arithmetic, its promises, and the catalogue."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterator

from holdfast import catalog
from holdfast.auditing import equipment
from holdfast.model.findings import Audit, Checked, Finding, Kind, Severity
from holdfast.model.fleet import DeploymentUnit, Loss
from holdfast.model.plan import TOTAL_WEIGHT, Plan, PlanStatus, PoolPlan

OLD_DAYS = 90
"""A price that was read longer ago than this may have changed."""
_SAME = 1e-6
_TOKENS = 0.1

_DATE = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")


def audit_plan(plan: Plan, where: str, *, today: datetime.date, region: str | None = None) -> Audit:
    """Does the plan add up? today: what the age of its prices is counted to. region: of its prices, else the fleet's.

    Raises InputError for a region that the catalogue does not have.
    """
    area = region or (plan.fleet.spec.region if plan.fleet.spec.region in catalog.regions() else None)
    pools = len(plan.pools)
    checked = (
        Checked("weights", pools, tuple(_weights(plan, where))),
        Checked("demand", pools, tuple(_demand(plan, where))),
        Checked("limits", pools, tuple(f for pool in plan.pools for f in _limits(plan, pool, where))),
        Checked("survival", pools, tuple(_survival(plan, where))),
        Checked("cost", pools, tuple(_cost(plan, where))),
        Checked("cost-of-request", pools, tuple(f for pool in plan.pools for f in _request_cost(pool, where))),
        _token_count(plan, where),
        Checked("price-age", pools, tuple(f for pool in plan.pools for f in _price_age(pool, today, where))),
        Checked("price", pools, tuple(f for pool in plan.pools for f in _price(plan, pool, area, where))),
        Checked("evidence", len(plan.findings), tuple(_evidence(plan, where))),
    )
    return Audit(where, Kind.PLAN, pools, checked)


def _weights(plan: Plan, where: str) -> Iterator[Finding]:
    """Integers that sum to the total, on pools that have a replica; an infeasible plan may weigh nothing."""
    total = sum(pool.weight for pool in plan.pools)
    if total != TOTAL_WEIGHT and (plan.status is PlanStatus.FEASIBLE or total):
        message = f"The weights sum to {total} and should sum to {TOTAL_WEIGHT}."
        yield _impossible(where, "weights", str(total), str(TOTAL_WEIGHT), message)
    for pool in plan.pools:
        if pool.weight > 0 and pool.replicas == 0:
            message = f"{pool.unit} has a weight of {pool.weight} and no replica: its share of the traffic is lost."
            yield _impossible(where, "weights", f"weight {pool.weight}", "weight 0", message)
        if not 0 <= pool.weight <= 999:
            message = f"{pool.unit} has a weight of {pool.weight}; a target group takes 0 to 999."
            yield _impossible(where, "weights", f"weight {pool.weight}", "0 to 999", message)


def _demand(plan: Plan, where: str) -> Iterator[Finding]:
    """A feasible plan's limits sum to the demand or more, and what its pools expect sums to the demand."""
    if plan.status is not PlanStatus.FEASIBLE:
        return
    carried = math.fsum(pool.replicas * pool.limit_per_s for pool in plan.pools)
    if carried < plan.demand_per_s * (1 - _SAME):
        message = f"The pools carry {carried:.4g}/s at their limits, and the plan is called feasible for "
        message += f"{plan.demand_per_s:.4g}/s."
        yield _impossible(where, "demand", f"{carried:.4g}/s", f"at least {plan.demand_per_s:.4g}/s", message)
    expected = math.fsum(pool.expected_per_s for pool in plan.pools)
    if not math.isclose(expected, plan.demand_per_s, rel_tol=_SAME):
        message = f"The pools expect {expected:.4g}/s together, and the demand is {plan.demand_per_s:.4g}/s."
        yield _impossible(where, "demand", f"{expected:.4g}/s", f"{plan.demand_per_s:.4g}/s", message)


def _limits(plan: Plan, pool: PoolPlan, where: str) -> Iterator[Finding]:
    """No pool is given more than its limit, or has more replicas than its fleet allows."""
    most_per_s = pool.replicas * pool.limit_per_s
    if pool.expected_per_s > most_per_s * (1 + _SAME) and plan.status is PlanStatus.FEASIBLE:
        message = f"{pool.unit} is given {pool.expected_per_s:.4g}/s, and its {pool.replicas} replicas hold "
        message += f"{most_per_s:.4g}/s."
        yield _impossible(where, "limits", f"{pool.expected_per_s:.4g}/s", f"at most {most_per_s:.4g}/s", message)
    if most_per_s and not math.isclose(pool.utilization, pool.expected_per_s / most_per_s, rel_tol=1e-3, abs_tol=1e-6):
        right = pool.expected_per_s / most_per_s
        message = f"{pool.unit} is said to be used {pool.utilization:.1%}, and expected over limit is {right:.1%}."
        yield _impossible(where, "limits", f"{pool.utilization:.1%}", f"{right:.1%}", message)
    unit = _unit(plan, pool)
    if unit is None:
        names = ", ".join(unit.name for unit in plan.fleet.spec.units)
        message = f"The plan has a pool {pool.unit!r}, and its fleet has {names}."
        yield _impossible(where, "limits", pool.unit, names, message)
    elif not 0 <= pool.replicas <= unit.max_replicas:
        message = f"{pool.unit} has {pool.replicas} replicas, and its fleet allows {unit.max_replicas}."
        yield _impossible(where, "limits", f"{pool.replicas}", f"at most {unit.max_replicas}", message)


def _survival(plan: Plan, where: str) -> Iterator[Finding]:
    """With `survive: one-pool`, the rest carry the demand at their limits whichever pool is lost."""
    if plan.status is not PlanStatus.FEASIBLE or Loss.POOL not in plan.fleet.spec.capacity.survive:
        return
    for lost in plan.pools:
        left = math.fsum(pool.replicas * pool.limit_per_s for pool in plan.pools if pool is not lost)
        if lost.replicas and left < plan.demand_per_s * (1 - _SAME):
            message = (
                f"Without {lost.unit} the rest hold {left:.4g}/s of {plan.demand_per_s:.4g}/s, and the fleet asks to "
            )
            message += "survive the loss of any one pool."
            yield _impossible(where, "survival", f"{left:.4g}/s", f"at least {plan.demand_per_s:.4g}/s", message)


def _cost(plan: Plan, where: str) -> Iterator[Finding]:
    """Instances are bought whole: the cost lies between the replicas' and that of the instances which hold them."""
    least = math.fsum(pool.replicas * pool.price_usd_per_h for pool in plan.pools)
    most = math.fsum(_whole(plan, pool) * pool.price_usd_per_h for pool in plan.pools)
    if not least * (1 - _SAME) - 1e-9 <= plan.cost_usd_per_h <= most * (1 + _SAME) + 1e-9:
        expected = f"{least:.4f}" if math.isclose(least, most, rel_tol=_SAME) else f"{least:.4f} to {most:.4f}"
        message = f"The plan costs {plan.cost_usd_per_h:.4f} USD/h, and its pools cost {expected} USD/h."
        yield _impossible(where, "cost", f"{plan.cost_usd_per_h:.4f} USD/h", f"{expected} USD/h", message)


def _whole(plan: Plan, pool: PoolPlan) -> int:
    """The replicas that the instances of the pool have room for."""
    fitting = _fitting(plan, pool)
    return math.ceil(pool.replicas / fitting) * fitting


def _unit(plan: Plan, pool: PoolPlan) -> DeploymentUnit | None:
    return next((unit for unit in plan.fleet.spec.units if unit.name == pool.unit), None)


def _fitting(plan: Plan, pool: PoolPlan) -> int:
    unit = _unit(plan, pool)
    instance = equipment.known_instance(unit.instance_type if unit else None)
    return 1 if unit is None or instance is None else max(1, instance.devices // unit.devices_per_replica)


def _request_cost(pool: PoolPlan, where: str) -> Iterator[Finding]:
    """USD per million requests = price / (limit x 3600) x 1e6."""
    if not pool.limit_per_s > 0 or not math.isfinite(pool.limit_per_s):
        message = f"{pool.unit} has a limit of {pool.limit_per_s:g}/s: nothing follows from that."
        yield _impossible(where, "cost-of-request", f"{pool.limit_per_s:g}/s", "a limit above 0", message)
        return
    right = pool.price_usd_per_h / (pool.limit_per_s * 3600) * 1e6
    if not math.isclose(pool.usd_per_million_requests, right, rel_tol=1e-3):
        message = (
            f"A million requests on {pool.unit} are said to cost {pool.usd_per_million_requests:.4g} USD, and price "
        )
        message += f"over limit is {right:.4g} USD."
        yield _impossible(where, "cost-of-request", f"{pool.usd_per_million_requests:.4g}", f"{right:.4g}", message)


def _token_count(plan: Plan, where: str) -> Checked:
    """Tokens per dollar x dollars per request are the tokens of a request, and should be the workload's."""
    lengths = plan.fleet.spec.workload.output_tokens
    judged = [pool for pool in plan.pools if pool.tokens_per_usd is not None and lengths is not None]
    found = []
    for pool in judged:
        assert lengths is not None and pool.tokens_per_usd is not None
        per_request = pool.tokens_per_usd * pool.usd_per_million_requests / 1e6
        if abs(per_request / lengths.mean - 1) > _TOKENS:
            found.append(
                Finding(
                    where,
                    0,
                    "token-count",
                    Severity.SUSPICIOUS,
                    f"{per_request:.4g} tokens per request",
                    f"{lengths.mean:g} tokens per request",
                    f"The tokens per dollar of {pool.unit} are of {per_request:.4g} tokens per request, and the "
                    f"workload has {lengths.mean:g}.",
                    "The evidence counted tokens otherwise, or measured requests of another length.",
                )
            )
    return Checked("token-count", len(judged), tuple(found))


def _price_age(pool: PoolPlan, today: datetime.date, where: str) -> Iterator[Finding]:
    dates = [date for found in _DATE.finditer(pool.price_source) if (date := _date(found)) is not None]
    age_days = (today - max(dates)).days if dates else 0
    if age_days > OLD_DAYS:
        yield Finding(
            where,
            0,
            "price-age",
            Severity.NOTE,
            f"{age_days} days",
            f"at most {OLD_DAYS} days",
            f"The price of {pool.unit} was read {age_days} days ago, on {max(dates)}.",
            "Prices may have changed: read them anew and plan again.",
        )


def _date(found: re.Match[str]) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(found[0])
    except ValueError:  # digits that look like a date and are none
        return None


def _price(plan: Plan, pool: PoolPlan, region: str | None, where: str) -> Iterator[Finding]:
    """The instance price that a replica's price stands for, against the catalogue in the fleet's region."""
    unit = _unit(plan, pool)
    if unit is None:
        return
    known = [
        offer
        for offer in catalog.offerings(region)
        if offer.instance_type == unit.instance_type and offer.capacity_type is unit.capacity_type
    ]
    if not known:
        return
    usd_per_h = pool.price_usd_per_h * _fitting(plan, pool)
    if not any(equipment.same_price(usd_per_h, offer.price_usd_per_h) for offer in known):
        listed = known[0]
        yield Finding(
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


def _impossible(where: str, check: str, found: str, expected: str, message: str) -> Finding:
    return Finding(where, 0, check, Severity.IMPOSSIBLE, found, expected, message)
