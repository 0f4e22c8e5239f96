"""What follows from other figures of a plan: weights and traffic, cost, and cost per request."""

from __future__ import annotations

import math
from collections.abc import Iterator

from holdfast.auditing import plan_shape
from holdfast.auditing.plan_shape import figure, impossible
from holdfast.model.findings import Checked, Finding
from holdfast.model.plan import TOTAL_WEIGHT, Allotment, Plan, PlanStatus, PoolPlan


def weights(plan: Plan, where: str) -> Checked:
    """Integers that sum to the total, on pools that have a replica; an infeasible plan weighs nothing."""
    return Checked("weights", len(plan.pools), tuple(_weights(plan, where)))


def traffic(plan: Plan, where: str) -> Checked:
    """What a pool expects is its weight's part of the demand; its utilisation that over what its replicas hold."""
    found = (_traffic(plan, pool, where) for pool in plan.pools)
    return Checked("traffic", len(plan.pools), tuple(f for findings in found for f in findings))


def cost(plan: Plan, where: str) -> Checked:
    """Of each period the whole instances that hold its replicas, and where there are several what those cost that start
    at its beginning; of the plan the mean. A pool's price is the mean over the replicas of the busiest period."""
    found: list[Finding | None] = []
    for index, period in enumerate(plan.periods):
        right = math.fsum(_usd_per_h(plan, allotment, index) for allotment in plan_shape.allotments(plan))
        name = f"The cost{plan_shape.at_hour(plan, index)}"
        found.append(figure(where, "cost", name, period.cost_usd_per_h, right, " USD/h"))
    mean = math.fsum(period.cost_usd_per_h for period in plan.periods) / len(plan.periods)
    found.append(figure(where, "cost", "The plan's cost", plan.cost_usd_per_h, mean, " USD/h"))
    for pool in plan.pools:
        paid = _mean_price(plan, pool)
        if paid is not None:
            found.append(
                figure(where, "cost", f"The price of a replica of {pool.unit}", pool.price_usd_per_h, paid, " USD/h")
            )
    return Checked("cost", len(plan.periods) + len(plan.pools), tuple(f for f in found if f is not None))


def latency(plan: Plan, where: str) -> Checked:
    """The mean latency that a pool's requests are expected to have is that of its load curve at their rate."""
    found, judged = list[Finding | None](), 0
    for pool in plan.pools:
        judged += pool.curve is not None or pool.expected_latency_s is not None
        found.append(_expected_latency(plan, pool, where))
    return Checked("latency", judged, tuple(f for f in found if f is not None))


def request_cost(plan: Plan, where: str) -> Checked:
    """USD per million requests = price / (limit x 3600) x 1e6."""
    found = []
    for pool in plan.pools:
        right = pool.price_usd_per_h / (pool.limit_per_s * 3600) * 1e6
        name = f"The cost of a million requests on {pool.unit}"
        found.append(figure(where, "cost-of-request", name, pool.usd_per_million_requests, right, " USD"))
    return Checked("cost-of-request", len(plan.pools), tuple(f for f in found if f is not None))


def _weights(plan: Plan, where: str) -> Iterator[Finding]:
    total = sum(pool.weight for pool in plan.pools)
    if plan.status is PlanStatus.INFEASIBLE:
        if any(pool.weight for pool in plan.pools):
            message = f"The plan is infeasible, and its pools have weights, {total} together."
            yield impossible(where, "weights", f"{total}", "0", message)
    elif total != TOTAL_WEIGHT:
        message = f"The weights sum to {total} and should sum to {TOTAL_WEIGHT}."
        yield impossible(where, "weights", str(total), str(TOTAL_WEIGHT), message)
    for pool in plan.pools:
        if pool.weight > 0 and pool.replicas == 0:
            message = f"{pool.unit} has a weight of {pool.weight} and no replica: its share of the traffic is lost."
            yield impossible(where, "weights", f"weight {pool.weight}", "weight 0", message)
        if not 0 <= pool.weight <= TOTAL_WEIGHT:
            message = f"{pool.unit} has a weight of {pool.weight}, not of 0 to {TOTAL_WEIGHT}."
            yield impossible(where, "weights", f"weight {pool.weight}", f"0 to {TOTAL_WEIGHT}", message)


def _traffic(plan: Plan, pool: PoolPlan, where: str) -> Iterator[Finding]:
    share_per_s = plan.demand_per_s * pool.weight / TOTAL_WEIGHT
    most_per_s = pool.replicas * pool.limit_per_s
    expected = figure(where, "traffic", f"The traffic of {pool.unit}", pool.expected_per_s, share_per_s, "/s")
    used = figure(
        where,
        "traffic",
        f"The utilisation of {pool.unit}",
        pool.utilization,
        pool.expected_per_s / most_per_s if most_per_s > 0 else 0.0,
    )
    yield from (finding for finding in (expected, used) if finding is not None)
    if plan.status is PlanStatus.FEASIBLE and pool.expected_per_s > most_per_s * (1 + plan_shape.ENOUGH):
        message = f"{pool.unit} is given {pool.expected_per_s:.4g}/s, and its {pool.replicas} replicas hold "
        message += f"{most_per_s:.4g}/s."
        yield impossible(where, "traffic", f"{pool.expected_per_s:.4g}/s", f"at most {most_per_s:.4g}/s", message)


def _expected_latency(plan: Plan, pool: PoolPlan, where: str) -> Finding | None:
    name, found = f"The expected latency of {pool.unit}", pool.expected_latency_s
    right = _latency_s(plan, pool)
    if found is not None and right is not None:
        return figure(where, "latency", name, found, right, " s")
    if found is None and right is None:
        return None
    said = ("no latency", f"{right:.6g} s") if found is None else (f"{found:.6g} s", "no latency")
    why = "its load curve says so" if found is None else "it has no load curve up to its traffic"
    return impossible(where, "latency", *said, f"{name} is {said[0]} and should be {said[1]}: {why}.")


def _latency_s(plan: Plan, pool: PoolPlan) -> float | None:
    """Of a replica at its part of the traffic, by the pool's load curve; None without traffic or beyond the curve."""
    if pool.curve is None or not pool.replicas or not pool.expected_per_s:
        return None
    rate_per_s = pool.expected_per_s / pool.replicas
    return pool.curve.latency_s(rate_per_s) if rate_per_s <= pool.curve.plateau_per_s else None


def _usd_per_h(plan: Plan, allotment: Allotment, period: int) -> float:
    """US dollars per hour of a period, its starts against the period before it (the day repeats) included."""
    held = allotment.instances(period)
    usd = held * allotment.instance_usd_per_h
    if len(plan.periods) == 1:
        return usd
    started = max(0, held - allotment.instances(period - 1))
    return usd + started * allotment.instance_usd_per_h * plan.fleet.unit(allotment.unit).startup_s / 3600


def _mean_price(plan: Plan, pool: PoolPlan) -> float | None:
    """US dollars per hour of a replica, over those of the busiest period; None where there are none."""
    at = plan_shape.peak(plan)
    counts = [allotment.replicas[at] for allotment in pool.allotments]
    if not any(counts):
        return None
    each = (one.replica_usd_per_h * one.replicas[at] for one in pool.allotments)
    return math.fsum(each) / sum(counts)
