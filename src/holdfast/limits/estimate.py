"""The limit of random arrivals from all levels together: the lowest of the criteria's crossings, and its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from holdfast.limits import flow
from holdfast.limits.criteria import Criterion, criteria
from holdfast.limits.flow import Bound, Crossing
from holdfast.limits.paths import Visit
from holdfast.limits.unit import Unit
from holdfast.model.fleet import Slo
from holdfast.model.records import Outcome, RequestTable
from holdfast.model.stages import Cause, Stage

CONFIDENCE = 0.9
"""What is said of the interval; benchmarks/limit_accuracy.py counts how often it holds the truth."""

_ERRORS = 2.13
"""Half the interval, in standard errors: Student's t of 95 % with 15 degrees of freedom. The jackknife does not see
all of the model's error, so more is taken than the 1.75 of 90 %."""

_MODEL = 0.01
"""Least standard error: no model of a queue is nearer to a real unit than this."""

_NEAR = 1.12
"""Levels further away than this factor say how the unit behaves elsewhere."""

_FILLED = 2.0
"""Median latencies that a level is given to fill the unit."""

_BROKEN = 3.0
"""Where every level is above the bound by this factor, the limit is further below than can be told."""

_SETTLED = 0.02
"""A centre that would move by less than this, as a logarithm, is left where it is."""

_WAITS = (Cause.LATENCY, Cause.TTFT)
"""What grows with every request that is in flight already."""

_ENOUGH = 2500
"""Requests that tell a unit's departures well enough to look near the centre alone."""

_LEAST = 40
"""Fewer requests in a window say nothing of a unit's flow."""


@dataclass(frozen=True)
class Seen:
    """A stage and all of its requests by intended start."""

    stage: Stage
    rows: RequestTable

    @property
    def steady(self) -> RequestTable:
        start_s, end_s = self.stage.window_s
        return self.rows.where((self.rows.intended_s >= start_s) & (self.rows.intended_s <= end_s))


@dataclass(frozen=True)
class Estimate:
    """The limit and its interval in 1/s, what breaks first there, and from how many levels that is known.

    firm: the levels lie on both sides of it; otherwise it says no more than where to look next.
    """

    rate_per_s: float
    low_per_s: float
    high_per_s: float
    cause: Cause
    why: str
    levels: int
    firm: bool = True

    @property
    def width(self) -> float:
        return self.high_per_s / self.low_per_s


def limit(levels: Sequence[tuple[Seen, float]], slo: Slo, centre_per_s: float, served_per_s: float) -> Estimate | None:
    """The estimate from levels of random arrivals and their rates; None when they do not tell.

    centre_per_s: about where the limit is; levels far away from it are left out.
    served_per_s: the most that the unit has been seen to complete; its capacity is no lower.
    """
    countable = [(seen, rate) for seen, rate in levels if _countable(seen)]
    if len(countable) < 2:
        return None
    for _ in range(3):
        about = _about([seen for seen, _ in _near(countable, centre_per_s)], slo)
        if about is None or abs(math.log(about / centre_per_s)) < _SETTLED:
            break
        centre_per_s = about
    near = _near(countable, centre_per_s)
    found = _lowest([seen for seen, _ in near], slo, served_per_s)
    if found is None:
        return None
    least, most = min(rate for _, rate in near), max(rate for _, rate in near)
    return replace(found, firm=least <= found.rate_per_s <= most)


def _near(levels: Sequence[tuple[Seen, float]], centre_per_s: float) -> list[tuple[Seen, float]]:
    """Those near the centre; and the nearest of the others, as long as there are few requests in them."""
    ordered = sorted(levels, key=lambda level: abs(math.log(level[1] / centre_per_s)))
    near = list[tuple[Seen, float]]()
    for seen, rate in ordered:
        enough = len(near) >= 2 and sum(len(each.rows) for each, _ in near) >= _ENOUGH
        if enough and not 1 / _NEAR <= rate / centre_per_s <= _NEAR:
            break
        near.append((seen, rate))
    return near


def strain(seen: Seen, slo: Slo) -> float:
    """How far a level went towards its bounds: the largest of its means over what is allowed; 1 is the limit."""
    strains = [0.0]
    for criterion in criteria(slo):
        scores = criterion.scores(seen.steady)
        bound = criterion.allowed if criterion.allowed is not None else criterion.bound
        if not np.isnan(scores).all():
            strains.append(float(np.nanmean(scores)) / max(bound, 1e-3))
    if slo.utilization and seen.stage.utilization is not None:
        strains.append(seen.stage.utilization / slo.utilization)
    return max(strains)


def guess(probes: Sequence[tuple[Seen, int]], slo: Slo) -> float | None:
    """About where the limit of random arrivals is, from closed loops by number in flight; None when they do not tell.

    A closed loop of n shows the departures and the risk with n in flight; between two of them both are interpolated,
    and beyond the last the latencies grow with n, as its throughput no longer does.
    """
    users = np.array([n for _, n in probes])
    last = probes[-1][0]
    states = np.arange(1, 8 * users[-1] + 1)
    rates = np.interp(states, users, np.maximum.accumulate([m.stage.achieved_per_s for m, _ in probes]))
    if not rates[0] > 0:
        return None
    found = [rates[-1]]
    for criterion in criteria(slo):
        beyond = np.arange(2, 9) * users[-1]
        scores = [criterion.scores(m.rows) for m, _ in probes] + [
            criterion.scores(_stretched(last.rows, n / users[-1])) for n in beyond
        ]
        if any(np.isnan(score).all() for score in scores):
            continue
        means = np.maximum.accumulate([float(np.nanmean(score)) for score in scores])
        risk = np.interp(states, np.concatenate([users, beyond]), means)
        unit = Unit(np.concatenate([[0.0], rates]), np.append(risk, risk[-1]), np.ones(len(states) + 1))
        crossing = flow.solve(unit, _bound(criterion))
        if crossing is not None:
            found.append(crossing)
    return float(min(found))


def _stretched(rows: RequestTable, factor: float) -> RequestTable:
    """The same requests with all that they waited for taking `factor` times as long."""
    start = rows.intended_s
    times = {name: start + (getattr(rows, name) - start) * factor for name in ("first_token_s", "end_s")}
    return replace(rows, **times)


def _countable(seen: Seen) -> bool:
    start_s, end_s = seen.stage.window_s
    inside = (seen.rows.intended_s >= start_s) & (seen.rows.intended_s <= end_s)
    return bool(np.count_nonzero(inside) >= _LEAST)


def _lowest(levels: Sequence[Seen], slo: Slo, served_per_s: float) -> Estimate | None:
    found = list[tuple[Crossing, Cause, str]]()
    flows = flow.flow([_visit(seen, criteria(slo)[0]) for seen in levels])
    for criterion in criteria(slo):
        visits, bound = [_visit(seen, criterion) for seen in levels], _bound(criterion)
        means = [float(np.nanmean(visit.scores)) for visit in visits if not np.isnan(visit.scores).all()]
        if not means:
            continue
        if min(means) > _BROKEN * bound.value:
            return None
        crossing = flow.crossing(visits, flows, bound)
        if crossing is not None:
            found.append((crossing, criterion.cause, criterion.says()))
    saturated = flows.capacity
    if saturated is not None and saturated.rate_per_s >= served_per_s:
        found.append((saturated, Cause.UNSTABLE, "the queue has no bound above it"))
    if slo.utilization is not None:
        found += _utilization(levels, slo.utilization)
    if not found:
        return None
    crossing, cause, why = min(found, key=lambda each: each[0].rate_per_s)
    reach = _ERRORS * math.hypot(crossing.error, _MODEL)
    rate = crossing.rate_per_s
    return Estimate(rate, rate * math.exp(-reach), rate * math.exp(reach), cause, why, len(levels))


def _about(levels: Sequence[Seen], slo: Slo) -> float | None:
    """Roughly where the first of the criteria meets its bound."""
    bounds = criteria(slo)
    speeds = flow.speeds([_visit(seen, bounds[0]) for seen in levels])
    found = [flow.glance([_visit(seen, each) for seen in levels], speeds, _bound(each)) for each in bounds]
    return min((rate for rate in found if rate is not None), default=None)


def _bound(criterion: Criterion) -> Bound:
    if criterion.allowed is None:
        return Bound(criterion.bound, criterion.bound, share=False, waits=criterion.cause in _WAITS)
    # A share of none cannot be met by any rate; less than one in a thousand is as good as none.
    return Bound(max(criterion.allowed, 1e-3), criterion.bound, share=True, waits=criterion.cause in _WAITS)


def _visit(seen: Seen, criterion: Criterion) -> Visit:
    rows = seen.rows
    first_s, last_s = float(rows.intended_s[0]), float(rows.intended_s[-1])
    # From where the first requests have ended and others have taken their places; a longer warm-up is a busy spell as
    # often as not.
    filled_s = min(_FILLED * float(np.median(rows.latency_s)), (last_s - first_s) / 3)
    window_s = (first_s + filled_s, last_s)
    return Visit(rows.intended_s, rows.end_s, _stays(rows), criterion.values(rows), criterion.scores(rows), window_s)


def _stays(rows: RequestTable) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which requests were in flight for a while; an error answer or a refused connection comes at once."""
    at_once = [Outcome.HTTP_ERROR, Outcome.REJECTED, Outcome.CONNECT, Outcome.EXHAUSTED]
    return np.asarray(~np.isin(rows.outcome, at_once))


def _utilization(levels: Sequence[Seen], ceiling: float) -> list[tuple[Crossing, Cause, str]]:
    """Utilisation is in proportion to the rate: the ratio of the two, and how it scatters."""
    per_rate = [
        seen.stage.utilization / seen.stage.offered_per_s
        for seen in levels
        if seen.stage.utilization and seen.stage.offered_per_s
    ]
    if len(per_rate) < 2:
        return []
    logs = np.log(per_rate)
    error = float(logs.std(ddof=1)) / math.sqrt(len(logs))
    rate = ceiling / float(np.exp(logs.mean()))
    return [(Crossing(rate, error), Cause.UTILIZATION, f"utilisation reaches its ceiling of {ceiling:.0%}")]
