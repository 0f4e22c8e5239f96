"""What an SLO bounds, one criterion at a time: a value per request, and how it may be distributed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from holdfast.model import quantities
from holdfast.model.fleet import Slo
from holdfast.model.records import Floats, Outcome, RequestTable
from holdfast.model.stages import Cause

_QUANTILE = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True)
class Criterion:
    """One bound of an SLO on requests.

    statistic: avg, p50, p90, p95 or p99 of a latency; `share` for errors.
    bound:     in seconds; of errors, what one request may be (0: it must not fail).
    allowed:   share of requests that may be above the bound, 0..1; None where the mean is bounded.
    values:    the value of each request, NaN where it is not known: shape (n,). A request that was cancelled has at
    least its
               age, and so is known only once that is above the bound.
    """

    cause: Cause
    name: str
    statistic: str
    bound: float
    allowed: float | None
    values: Callable[[RequestTable], Floats]

    def says(self) -> str:
        """`p95 latency reaches its bound of 0.5 s`."""
        if self.allowed is not None and self.cause is Cause.ERRORS:
            return f"errors reach their bound of {quantities.format_share(self.allowed)}"
        return f"{self.statistic} {self.name} reaches its bound of {quantities.format_duration(self.bound)}"

    def scores(self, rows: RequestTable) -> Floats:
        """1 for a request above the bound, 0 for one below it, NaN where that is not known; the value, of a mean."""
        values = self.values(rows)
        if self.allowed is None:
            return values
        unknown = np.isnan(values) | (np.equal(rows.outcome, Outcome.CANCELLED) & (values <= self.bound))
        return np.where(unknown, np.nan, values > self.bound)


def criteria(slo: Slo) -> tuple[Criterion, ...]:
    """Every bound of the SLO on requests, errors first, in the order in which a broken one explains best."""
    bounds = (
        (Cause.LATENCY, "latency", slo.latency.bounds(), _latency),
        (Cause.TTFT, "time to first token", slo.ttft.bounds(), _first_token),
        (Cause.ITL, "inter-token latency", slo.itl.bounds(), _gap),
    )
    errors = Criterion(Cause.ERRORS, "errors", "share", 0.0, slo.error_rate, _failed)
    return errors, *(
        Criterion(cause, name, statistic, bound_s, 1 - _QUANTILE[statistic] if statistic in _QUANTILE else None, values)
        for cause, name, given, values in bounds
        for statistic, bound_s in given
    )


def _failed(rows: RequestTable) -> Floats:
    return np.where(np.equal(rows.outcome, Outcome.CANCELLED), math.nan, rows.failed)


def _latency(rows: RequestTable) -> Floats:
    return np.where(rows.failed, math.nan, rows.latency_s)


def _first_token(rows: RequestTable) -> Floats:
    never = np.isnan(rows.first_token_s)
    return np.where(rows.failed, math.nan, np.where(never, rows.latency_s, rows.ttft_s))


def _gap(rows: RequestTable) -> Floats:
    return np.where(rows.ok, rows.itl_s, math.nan)
