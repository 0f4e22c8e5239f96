"""A plan for requests of several sizes: what a replica carries of them, how long they take, and who is given which."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from holdfast.auditing import plan_shape
from holdfast.auditing.plan_carried import Carrying
from holdfast.auditing.plan_shape import at_hour, figure, impossible
from holdfast.model.findings import Checked, Finding
from holdfast.model.plan import Allotment, Plan, PlanStatus, PoolPlan

_SUMS = 1e-9
"""Relative: sums of a few rates, which are written in full."""


def sizes(plan: Plan, where: str) -> Checked:
    """A pool's limit and latency are those of its sizes, by their traffic at the highest demand where that goes by
    size, else by their shares: limit = 1 / sum(part / limit), latency = sum(part x latency)."""
    judged = [pool for pool in plan.pools if pool.limits_by_size_per_s]
    found = (finding for pool in judged for finding in _mixture(plan, pool, where))
    return Checked("sizes", len(judged), tuple(finding for finding in found if finding is not None))


def demand(plan: Plan, where: str) -> Checked:
    """In every period the pools are given all of each size, headroom included, and none beyond what its replicas carry
    of its sizes when they are filled to the utilisation target."""
    found = [*_given(plan, where), *_overfilled(plan, where)]
    return Checked("demand", len(plan.periods), tuple(found))


def holding(plan: Plan) -> Callable[[Sequence[Allotment], int, float], float]:
    """What the replicas of allotments hold in a period, filled to their limits, in requests/s in the shares of the
    sizes; at least what is asked, where they hold that."""
    shares = np.array([size.share for size in plan.fleet.spec.workload.sizes])
    pools = [pool for pool in plan.pools if pool.limits_by_size_per_s]
    carrying = Carrying(np.array([pool.limits_by_size_per_s for pool in pools]), shares / shares.sum())

    def holds_per_s(allotments: Sequence[Allotment], period: int, asked_per_s: float) -> float:
        replicas = [sum(one.replicas[period] for one in allotments if one.unit == pool.unit) for pool in pools]
        low, high = carrying.between_per_s(replicas, asked_per_s)
        return high if high < asked_per_s else low

    return holds_per_s


def _parts(plan: Plan, pool: PoolPlan) -> tuple[float, ...]:
    """How much of the pool's traffic is of each size."""
    given = pool.traffic_by_size_per_s[plan_shape.peak(plan)] if pool.traffic_by_size_per_s else ()
    whole = math.fsum(given)
    if whole > 0:
        return tuple(rate / whole for rate in given)
    return tuple(size.share for size in plan.fleet.spec.workload.sizes)


def _mixture(plan: Plan, pool: PoolPlan, where: str) -> Iterator[Finding | None]:
    parts = _parts(plan, pool)
    work = math.fsum(part / limit for part, limit in zip(parts, pool.limits_by_size_per_s, strict=True))
    yield figure(where, "sizes", f"The limit of {pool.unit}", pool.limit_per_s, 1 / work, "/s")
    if not pool.latencies_by_size_s:
        return
    right = math.fsum(part * each for part, each in zip(parts, pool.latencies_by_size_s, strict=True)) / sum(parts)
    if pool.latency_s is None:
        message = f"{pool.unit} has a latency for each size and none at its limit, which should be {right:.6g} s."
        yield impossible(where, "sizes", "no latency", f"{right:.6g} s", message)
    else:
        yield figure(where, "sizes", f"The latency of {pool.unit} at its limit", pool.latency_s, right, " s")


def _given(plan: Plan, where: str) -> Iterator[Finding]:
    """The worst period of each size whose requests are not given to anyone, or given twice."""
    above = 1 + plan.fleet.spec.capacity.headroom
    for index, size in enumerate(plan.fleet.spec.workload.sizes):
        wrong = []
        for number, period in enumerate(plan.periods):
            asked = period.demand_per_s * above * size.share
            given = math.fsum(pool.traffic_by_size_per_s[number][index] for pool in _with_traffic(plan))
            if not math.isclose(given, asked, rel_tol=_SUMS, abs_tol=1e-12):
                wrong.append((abs(given - asked), given, asked, number))
        if wrong:
            _, given, asked, number = max(wrong)
            which = f"of {size.input_tokens:g} + {size.output_tokens:g} tokens"
            message = f"Of the requests {which} {asked:.6g}/s come{at_hour(plan, number)}, headroom included, and the "
            message += f"pools are given {given:.6g}/s{plan_shape.and_more(len(wrong))}."
            yield impossible(where, "demand", f"{given:.6g}/s", f"{asked:.6g}/s", message)


def _overfilled(plan: Plan, where: str) -> Iterator[Finding]:
    target = plan.fleet.spec.capacity.utilization_target
    for pool in _with_traffic(plan):
        over = []
        for number, rates in enumerate(pool.traffic_by_size_per_s):
            held = sum(one.replicas[number] for one in pool.allotments)
            busy = math.fsum(rate / limit for rate, limit in zip(rates, pool.limits_by_size_per_s, strict=True))
            if busy > target * held * (1 + plan_shape.ENOUGH):
                over.append((busy - target * held, busy, held, number))
        if over:
            _, busy, held, number = max(over)
            message = (
                f"{pool.unit} is given what keeps {busy:.4g} replicas busy{at_hour(plan, number)}, and has {held} to "
            )
            message += f"be filled to {target:.0%}{plan_shape.and_more(len(over))}."
            yield impossible(where, "demand", f"{busy:.4g} replicas", f"at most {target * held:.4g}", message)


def _with_traffic(plan: Plan) -> list[PoolPlan]:
    return [pool for pool in plan.pools if pool.traffic_by_size_per_s]


def misshapen(plan: Plan, where: str) -> Iterator[Finding]:
    """Pools without a figure for each size and period, or with one that is not above 0."""
    spec = plan.fleet.spec
    count = len(spec.workload.sizes)
    goes_by_size = spec.routing.by_size and plan.status is PlanStatus.FEASIBLE
    for pool in plan.pools:
        figures = (
            ("limits", pool.limits_by_size_per_s, (count,)),
            ("latencies", pool.latencies_by_size_s, (0, count)),
        )
        for name, values, lengths in figures:
            if len(values) not in lengths or not all(0 < value < plan_shape.MOST for value in values):
                message = f"{pool.unit} has {len(values)} {name} by size, and its fleet's workload {count} sizes; each "
                message += "has one, above 0."
                yield impossible(where, "shape", f"{len(values)} {name}", f"{count} {name}", message)
        given, periods = pool.traffic_by_size_per_s, len(plan.periods)
        if given and not goes_by_size:
            message = f"The traffic of {pool.unit} goes by size, and its fleet or an infeasible plan has no such."
            yield impossible(where, "shape", f"{len(given)} periods", "none", message)
        rates = [rate for period in given for rate in period]
        whole = len(given) in (0, periods) and all(len(period) == count for period in given)
        if not whole or not all(0 <= rate < plan_shape.MOST for rate in rates):
            message = f"{pool.unit} does not have one rate for each of {periods} periods and {count} sizes, 0 or more."
            yield impossible(where, "shape", f"{len(rates)} rates", f"{periods * count} rates", message)
