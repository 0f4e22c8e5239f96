"""Does the unit hold this level? Each criterion gives the probability that it does; the weakest decides.

A criterion is a plain function from what was measured to a `Check`. Percentile bounds are judged by the
share of late requests, with as many independent samples as the autocorrelation leaves; stability by the
slope of latency over time: a queue that grows by a fraction x of the time that passes is fed x more than it
can serve, even while its percentiles still look fine.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from holdfast.limits import statistics
from holdfast.limits.measured import Measured
from holdfast.model import quantities
from holdfast.model.fleet import Slo
from holdfast.model.records import Floats
from holdfast.model.stages import Cause

EXCESS = 0.01
"""Latency may grow by this share of the time that passes: an offered rate 1 % above the served one."""

UTILIZATION_ERROR = 0.02
"""Standard error of an exporter's utilisation figure: they sample and round to about this."""

_QUANTILE = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}


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
    yield _errors(measured, slo.error_rate)
    yield from _bounds(Cause.LATENCY, "latency", slo.latency.bounds(), *_latencies(measured))
    good = steady.where(steady.ok)
    if not len(good):
        yield Check(Cause.ERRORS if stage.errors else Cause.LATENCY, 0.0, "no request was answered")
    yield from _bounds(Cause.TTFT, "time to first token", slo.ttft.bounds(), *_first_tokens(measured))
    yield from _bounds(Cause.ITL, "inter-token latency", slo.itl.bounds(), good.itl_s[~np.isnan(good.itl_s)], 0)
    if slo.utilization is not None and stage.utilization is not None:
        yield _utilization(stage.utilization, slo.utilization)
    if stage.level.rate_per_s is not None:
        yield _stability(measured)


def _latencies(measured: Measured) -> tuple[Floats, int]:
    """Latencies of the answers, and how many more were cancelled: those were late by at least their age."""
    waited = measured.steady.where(~measured.steady.failed)
    return waited.latency_s, int(np.count_nonzero(~waited.ok))


def _first_tokens(measured: Measured) -> tuple[Floats, int]:
    """Times to the first token; a request that was cancelled before its first was late by at least its age."""
    waited = measured.steady.where(~measured.steady.failed)
    unseen = np.isnan(waited.ttft_s)
    return np.where(unseen, waited.latency_s, waited.ttft_s), int(np.count_nonzero(unseen))


def _errors(measured: Measured, bound: float) -> Check:
    stage = measured.stage
    failed, answered = sum(stage.errors.values()), stage.requests
    kinds = ", ".join(f"{count} {kind}" for kind, count in stage.errors.items()) or "none"
    why = f"errors: {kinds} of {answered} (bound {quantities.format_share(bound)})"
    if bound == 0:
        return Check(Cause.ERRORS, 0.0 if failed else 1 - 1 / (answered + 2), why)
    # The prior Beta(0.05, 1) says that errors are rare until they are seen: no error in 20 requests is enough
    # for a bound of 1 %, and one error in 20 is not forgiven.
    holds = statistics.beta_cdf(bound, failed + 0.05, answered - failed + 1)
    return Check(Cause.ERRORS, holds, why)


def _bounds(
    cause: Cause, name: str, bounds: Iterable[tuple[str, float]], values: Floats, cancelled: int
) -> Iterator[Check]:
    for statistic, bound_s in bounds:
        if not len(values):
            yield Check(cause, 0.0, f"no {name} was measured: no request was answered")
        elif statistic == "avg":
            yield _mean(cause, name, values, bound_s)
        else:
            yield _percentile(cause, name, statistic, values, bound_s, cancelled)


def _mean(cause: Cause, name: str, values: Floats, bound_s: float) -> Check:
    mean = float(values.mean())
    samples = len(values) / statistics.correlation_length(values)
    error = max(float(values.std()) / math.sqrt(samples), 1e-9 * bound_s)
    holds = statistics.normal_cdf((bound_s - mean) / error)
    return Check(cause, holds, f"mean {name} {_ms(mean)} (bound {_ms(bound_s)})")


def _percentile(cause: Cause, name: str, statistic: str, values: Floats, bound_s: float, cancelled: int) -> Check:
    late = values > bound_s
    seen = float(np.quantile(values, _QUANTILE[statistic]))
    samples = len(values) / max(
        statistics.correlation_length(values), statistics.correlation_length(late.astype(float))
    )
    share = float(late.mean())
    # Jeffreys' prior on the share of late requests.
    holds = statistics.beta_cdf(1 - _QUANTILE[statistic], samples * share + 0.5, samples * (1 - share) + 0.5)
    at_least = "at least " if cancelled else ""
    return Check(cause, holds, f"{statistic} {name} {at_least}{_ms(seen)} (bound {_ms(bound_s)})")


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
    why = f"latency grew by {growth * 1000:+.0f} ms per second at {stage.offered_per_s:.3g}/s offered"
    if falls_behind:
        return Check(Cause.PLATEAU, holds, f"{why}, {stage.achieved_per_s:.3g}/s served: throughput no longer follows")
    return Check(Cause.UNSTABLE, holds, f"{why}: the queue has no bound" if growth > EXCESS else why)


def hopeless(slo: Slo, planned: int, latencies_s: Floats, ages_s: Floats) -> bool:
    """Whether an end-to-end percentile is already lost, whatever the rest of the level brings.

    planned: requests of the whole level. latencies_s: of those answered; ages_s: of those still waited for.
    Half as many late requests again as the bound allows, and a few, leave room for a rough start.
    """
    for statistic, bound_s in slo.latency.bounds():
        if statistic == "avg":
            continue
        late = np.count_nonzero(latencies_s > bound_s) + np.count_nonzero(ages_s > bound_s)
        if late > 1.5 * (1 - _QUANTILE[statistic]) * planned + 5:
            return True
    return False


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"
