"""Does the unit hold this level? Each criterion gives the probability that it does; the weakest decides.

A criterion is a plain function from what was measured to a `Check`. Percentile bounds are judged by the
share of late requests, with as many independent samples as the autocorrelation leaves; stability by the
slope of latency over time: a queue that grows by a fraction x of the time that passes is fed x more than it
can serve, even while its percentiles still look fine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from holdfast.limits import statistics
from holdfast.limits.criteria import Criterion, criteria
from holdfast.limits.measured import Measured
from holdfast.model import quantities
from holdfast.model.fleet import Slo
from holdfast.model.records import Floats, Outcome, RequestTable
from holdfast.model.stages import Arrivals, Cause

EXCESS = 0.01
"""Latency may grow by this share of the time that passes: an offered rate 1 % above the served one."""

_RANDOM_EXCESS = 0.05
"""Of random arrivals, growth up to this is left to the estimate from all levels together."""

UTILIZATION_ERROR = 0.02
"""Standard error of an exporter's utilisation figure: they sample and round to about this."""


@dataclass(frozen=True)
class Check:
    """One criterion's answer: `holds` is the probability, 0..1, that the criterion is met."""

    cause: Cause
    holds: float
    why: str


@dataclass(frozen=True)
class Verdict:
    """Whether a level holds, how sure that is (0.5..1), and the decisive criterion."""

    holds: bool
    confidence: float
    cause: Cause
    why: str


def judge(measured: Measured, slo: Slo) -> Verdict:
    """The verdict on one level. An open-loop level must also be stable."""
    checks = tuple(_checks(measured, slo))
    weakest = min(checks, key=lambda check: check.holds)
    if weakest.holds > 0.5:
        return Verdict(True, weakest.holds, Cause.NONE, weakest.why)
    # Of several broken criteria the first in order explains best: errors before latency before growth.
    broken = next(check for check in checks if check.holds <= 0.5)
    return Verdict(False, 1 - weakest.holds, broken.cause, broken.why)


def _checks(measured: Measured, slo: Slo) -> Iterator[Check]:
    steady, stage = measured.steady, measured.stage
    for criterion in criteria(slo):
        if criterion.cause is Cause.ERRORS:
            yield _errors(measured, slo.error_rate)
        else:
            yield _latencies(criterion, steady)
    if not steady.ok.any():
        yield Check(Cause.ERRORS if stage.errors else Cause.LATENCY, 0.0, "no request was answered")
    if slo.utilization is not None and stage.utilization is not None:
        yield _utilization(stage.utilization, slo.utilization)
    if stage.level.rate_per_s is not None:
        yield _stability(measured)


def _errors(measured: Measured, bound: float) -> Check:
    stage = measured.stage
    failed, answered = sum(stage.errors.values()), stage.requests
    kinds = ", ".join(f"{count} {kind}" for kind, count in stage.errors.items()) or "none"
    why = f"errors: {kinds} of {answered} (bound {quantities.format_share(bound)})"
    if bound == 0:
        return Check(Cause.ERRORS, 0.0 if failed else 1 - 1 / (answered + 2), why)
    # The prior Beta(0.05, 1) says that errors are rare until they are seen: no error in 20 requests is enough
    # for a bound of 1 %, and one error in 20 is not forgiven.
    alike = statistics.correlation_length(measured.table.failed.astype(float))
    holds = statistics.beta_cdf(bound, failed / alike + 0.05, (answered - failed) / alike + 1)
    return Check(Cause.ERRORS, holds, why)


def _latencies(criterion: Criterion, rows: RequestTable) -> Check:
    values, scores = criterion.values(rows), criterion.scores(rows)
    values, scores = values[~np.isnan(scores)], scores[~np.isnan(scores)]
    if not len(scores):
        return Check(criterion.cause, 0.0, f"no {criterion.name} was measured: no request was answered")
    bound = f"(bound {_ms(criterion.bound)})"
    mean = float(scores.mean())
    if criterion.allowed is None:
        samples = len(values) / statistics.correlation_length(values)
        error = max(float(values.std()) / math.sqrt(samples), 1e-9 * criterion.bound)
        holds = statistics.normal_cdf((criterion.bound - mean) / error)
        return Check(criterion.cause, holds, f"mean {criterion.name} {_ms(mean)} {bound}")
    samples = len(values) / max(statistics.correlation_length(values), statistics.correlation_length(scores))
    # Jeffreys' prior on the share of late requests.
    holds = statistics.beta_cdf(criterion.allowed, samples * mean + 0.5, samples * (1 - mean) + 0.5)
    at_least = "at least " if np.any(rows.outcome == Outcome.CANCELLED) else ""
    seen = float(np.quantile(values, 1 - criterion.allowed))
    return Check(criterion.cause, holds, f"{criterion.statistic} {criterion.name} {at_least}{_ms(seen)} {bound}")


def _utilization(found: float, ceiling: float) -> Check:
    holds = statistics.normal_cdf((ceiling - found) / UTILIZATION_ERROR)
    return Check(Cause.UTILIZATION, holds, f"utilisation {found:.0%} (ceiling {ceiling:.0%})")


def _stability(measured: Measured) -> Check:
    steady, stage = measured.steady, measured.stage
    waited = steady.where(~steady.failed)
    growth, error = statistics.slope(waited.intended_s, waited.latency_s)
    # A perfectly regular server leaves no residual; the clock's own resolution keeps the error above zero.
    holds = statistics.normal_cdf((EXCESS - growth) / max(error, 1e-4)) if math.isfinite(error) else 0.6
    falls_behind = stage.achieved_per_s < 0.95 * stage.offered_per_s
    if stage.level.arrivals is Arrivals.POISSON and growth < _RANDOM_EXCESS:
        # Random arrivals fill a queue for a while and drain it again; over a short level that looks like growth.
        holds = max(holds, 0.6)
    why = f"latency grew by {growth * 1000:+.0f} ms per second at {stage.offered_per_s:.3g}/s offered"
    if falls_behind:
        return Check(Cause.PLATEAU, holds, f"{why}, {stage.achieved_per_s:.3g}/s served: throughput no longer follows")
    return Check(Cause.UNSTABLE, holds, f"{why}: the queue has no bound" if growth > EXCESS else why)


def hopeless(slo: Slo, planned: int, latencies_s: Floats, ages_s: Floats) -> bool:
    """Whether an end-to-end percentile is already lost, whatever the rest of the level brings.

    planned: requests of the whole level. latencies_s: of those answered; ages_s: of those still waited for.
    Four times as many late requests as the bound allows, and a few: levels just above the limit tell most about it.
    """
    for criterion in criteria(slo):
        if criterion.cause is Cause.LATENCY and criterion.allowed is not None:
            late = np.count_nonzero(latencies_s > criterion.bound) + np.count_nonzero(ages_s > criterion.bound)
            if late > 4 * criterion.allowed * planned + 5:
                return True
    return False


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"
