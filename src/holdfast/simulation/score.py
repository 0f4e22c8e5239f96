"""What a run is worth: its figures, its objective, and the clairvoyant optimum that they are held against."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

import numpy as np

from holdfast.limits import statistics
from holdfast.model.simulation import Best, PolicyResult, Score, Spread
from holdfast.simulation import supplied
from holdfast.simulation.fleet import Pool
from holdfast.simulation.optimum import Resource, objective, optimum, worth
from holdfast.simulation.outcome import Outcome
from holdfast.simulation.scenario import Scenario
from holdfast.simulation.supply import Change
from holdfast.simulation.traffic import Service

PERIODS_MOST = 1500
"""Of the clairvoyant's program: longer runs are cut into fewer periods than minutes, which only raises the bound."""

CONFIDENCE = 0.95
_BISECTIONS = 200


def score(outcome: Outcome, best: Best, requests_per_usd: float) -> Score:
    """The figures of a run, beside the optimum of its seed."""
    value = objective(outcome.served - outcome.late, outcome.cost_usd, requests_per_usd)
    return Score(
        policy=outcome.policy,
        seed=outcome.seed,
        cost_usd=outcome.cost_usd,
        offered=outcome.offered,
        served=outcome.served,
        failed=outcome.failed,
        refused=outcome.refused,
        late=outcome.late,
        unfinished=outcome.unfinished,
        latency_p50_s=outcome.latency_s(0.50),
        latency_p95_s=outcome.latency_s(0.95),
        slo_minutes_lost=outcome.slo_minutes_lost,
        switches=outcome.switches,
        weight_changes=outcome.weight_changes,
        events=len(outcome.recoveries),
        restored_s=_longest([each.restored_s for each in outcome.recoveries]),
        recovery_s=_longest([each.recovery_s for each in outcome.recoveries]),
        usd=outcome.usd,
        objective=value,
        share_of_optimum=value / best.value if best.value > 0 else None,
        violations=tuple(f"at {each.t_s:,.0f} s: {each.text}" for each in outcome.violations),
    )


def _longest(times_s: Sequence[float | None]) -> float | None:
    """None where there is none, or one that never ended."""
    known = [time_s for time_s in times_s if time_s is not None]
    return max(known) if known and len(known) == len(times_s) else None


def best(
    outcome: Outcome, pools: Sequence[Pool], scenario: Scenario, changes: Sequence[Change], requests_per_usd: float
) -> Best:
    """The clairvoyant optimum for the requests that came in a run; the same for all policies of its seed."""
    offered, spans_s = _periods(outcome)
    most = supplied.most_replicas(pools, scenario, changes, spans_s)
    prices = supplied.lowest_prices(pools, scenario, spans_s)
    resources = [
        Resource(pool.name, most_per_s(pool.service), _startup_s(pool), price, upper)
        for pool, price, upper in zip(pools, prices, most, strict=True)
    ]
    found = optimum(resources, offered / spans_s, spans_s, requests_per_usd)
    usd = {pool.name: float(part) for pool, part in zip(pools, found.usd, strict=True)}
    return Best(outcome.seed, found.value, found.served, found.cost_usd, usd)


def default_lambda(pools: Sequence[Pool]) -> tuple[float, str]:
    """Lambda in requests/USD, and its reason."""
    dearest = max(pools, key=lambda pool: pool.usd_per_million_requests)
    price = dearest.usd_per_million_requests
    reason = (
        f"a good request is worth twice what the dearest pool, {dearest.name}, takes for one (${price:,.2f} a million)"
    )
    return worth([price / 1e6]), reason


def most_per_s(service: Service) -> float:
    """The most requests/s that a replica completes, at whatever latency."""
    return max(n / seconds for n, seconds in enumerate(service.seconds, 1))


def _startup_s(pool: Pool) -> float:
    """The shortest time from the launch of a replica's instance, from which on it is paid, until it is ready."""
    return (pool.cold_start.node_s + pool.cold_start.starting_s) * (1 - pool.cold_start.spread)


def _periods(outcome: Outcome) -> tuple[supplied.Floats, supplied.Floats]:
    """Requests and length of each period: whole intervals of the timeline, joined where there are many."""
    ends_s = np.array([interval.end_s for interval in outcome.intervals])
    offered = np.array([interval.offered for interval in outcome.intervals], dtype=float)
    firsts = np.arange(0, len(ends_s), math.ceil(len(ends_s) / PERIODS_MOST))
    lasts = np.append(firsts[1:], len(ends_s)) - 1
    return np.add.reduceat(offered, firsts), np.diff(ends_s[lasts], prepend=0.0)


def over_seeds(policy: str, runs: Sequence[Score]) -> PolicyResult:
    """A policy's runs, one for each seed, and the spread of their figures."""
    rows = [asdict(run) for run in runs]
    spreads = {
        figure: spread([row[figure] for row in rows])
        for figure in rows[0]
        if figure not in ("policy", "seed", "usd", "violations")
    }
    for figure in ("restored_s", "recovery_s"):
        if any(run.events and getattr(run, figure) is None for run in runs):
            spreads[figure] = spread([])
    return PolicyResult(policy, tuple(runs), spreads)


def over_best(found: Sequence[Best]) -> Mapping[str, Spread]:
    """The spread of the optimum's figures over seeds."""
    figures: Mapping[str, Callable[[Best], float]] = {
        "objective": lambda one: one.value,
        "served": lambda one: one.served,
        "cost_usd": lambda one: one.cost_usd,
    }
    return {figure: spread([of(one) for one in found]) for figure, of in figures.items()}


def spread(values: Sequence[float | None]) -> Spread:
    """The mean of a figure over seeds and its 95 % interval by Student's t (Student 1908, doi:10.2307/2331554).

    Where a seed lacks the figure, those that have it count.
    """
    known = np.array([value for value in values if value is not None and not math.isnan(value)], dtype=float)
    if not known.size:
        return Spread(math.nan, None)
    mean = float(known.mean())
    if known.size < 2:
        return Spread(mean, None)
    half = student_t(known.size - 1) * float(known.std(ddof=1)) / math.sqrt(known.size)
    return Spread(mean, (mean - half, mean + half))


def student_t(freedom: int, confidence: float = CONFIDENCE) -> float:
    """What |T| stays below with this probability, for T of Student's distribution with so many degrees of freedom."""
    # P(|T| > t) = I_x(v/2, 1/2) with x = v / (v + t^2).
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        x = (low + high) / 2
        low, high = (x, high) if statistics.beta_cdf(x, freedom / 2, 0.5) < 1 - confidence else (low, x)
    return math.sqrt(freedom * (1 - low) / low)
