"""The SLO as objectives over requests, and the alerts on how fast their error budgets burn.

A bound on p95 says that 5 % of requests may be slower: that is a budget, and the rate at which it is used up is the
share of slow requests over 5 %. Alerts follow "The Site Reliability Workbook", chapter 5, "Alerting on SLOs", with its
recommended parameters for a budget of 30 days: each looks at a long window, and at a short one so that it ends when the
trouble does.

Latencies are the servers' own, without the load balancer, the network and the client: the truth is a little worse. A
histogram counts requests below fixed bounds: the nearest one that is not above the SLO's is taken, so that what lies
between counts as slow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from holdfast.manifests.manifest import Object
from holdfast.manifests.observing import series
from holdfast.manifests.observing.alert import Severity, alert
from holdfast.manifests.placement import Placement
from holdfast.model import metrics, quantities
from holdfast.model.fleet import InferenceFleet

BAD = "fleet:holdfast_slo_bad:ratio_rate"
"""Share of requests that miss an objective; the window follows, e.g. `5m`."""

MEAN = "fleet:holdfast_slo_mean:seconds_rate"
"""Mean of a latency over a window."""

_HISTOGRAMS = {"latency": metrics.LATENCY, "ttft": metrics.TTFT, "itl": metrics.ITL}
_QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True)
class Objective:
    """One bound of the SLO. name: e.g. `ttft-p95`; budget: share of requests that may miss it; None bounds the mean."""

    name: str
    histogram: str
    bound_s: float
    budget: float | None

    @property
    def words(self) -> str:
        return f"{self.name.replace('-', ' ')} within {quantities.format_duration(self.bound_s)}"


@dataclass(frozen=True)
class _Burn:
    """Alerts when the budget of 30 days burns so many times too fast over both windows."""

    factor: float
    long: str
    short: str
    held: str
    severity: Severity


_BURNS = (
    _Burn(14.4, "1h", "5m", "2m", Severity.PAGE),
    _Burn(6, "6h", "30m", "15m", Severity.PAGE),
    _Burn(3, "1d", "2h", "1h", Severity.TICKET),
    _Burn(1, "3d", "6h", "3h", Severity.TICKET),
)
_WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
_ERRORS = "errors"


def objectives(placed: Sequence[Placement]) -> tuple[Objective, ...]:
    """The latencies that the SLO bounds and that some of the pools measure."""
    return tuple(objective for objective in _bounds(placed[0].fleet) if measured(placed, objective))


def measured(placed: Sequence[Placement], objective: Objective) -> tuple[Placement, ...]:
    """The pools whose servers measure it as a client does."""
    return tuple(placement for placement in placed if _bucket_s(placement, objective) is not None)


def recorded(placed: Sequence[Placement]) -> list[Object]:
    """The share of bad requests, or the mean, over each window."""
    fleet, found = placed[0].fleet, []
    for objective in objectives(placed):
        pools, given = measured(placed, objective), series.labels(fleet) | {"objective": objective.name}
        for window in _WINDOWS:
            if objective.budget is None:
                found.append(series.record(f"{MEAN}{window}", _mean(pools, objective, window), given))
            else:
                found.append(series.record(f"{BAD}{window}", _slow(pools, objective, window), given))
    failing = series.labels(fleet) | {"objective": _ERRORS}
    return [*found, *(series.record(f"{BAD}{window}", _failed(placed, window), failing) for window in _WINDOWS)]


def alerts(placed: Sequence[Placement]) -> list[Object]:
    """Budgets that burn, means that are above their bounds, and objectives that nobody can see."""
    fleet = placed[0].fleet
    found = [*_burning(fleet, _ERRORS, "requests answered without error", fleet.spec.slo.error_rate)]
    for objective in objectives(placed):
        if objective.budget is None:
            found.append(_slow_on_average(fleet, objective))
        else:
            found += _burning(fleet, objective.name, objective.words, objective.budget)
            found += [_unmeasured(placement, objective) for placement in measured(placed, objective)]
    return found


def unmeasured(placed: Sequence[Placement]) -> tuple[str, ...]:
    """Names of the bounds that none of the pools measures as a client does."""
    return tuple(objective.name for objective in _bounds(placed[0].fleet) if not measured(placed, objective))


def _bounds(fleet: InferenceFleet) -> Iterator[Objective]:
    slo = fleet.spec.slo
    for kind, bounds in (("latency", slo.latency), ("ttft", slo.ttft), ("itl", slo.itl)):
        for statistic, bound_s in bounds.bounds():
            quantile = _QUANTILES.get(statistic)
            budget = None if quantile is None else round(1 - quantile, 6)
            yield Objective(f"{kind}-{statistic}", _HISTOGRAMS[kind], bound_s, budget)


def _bucket_s(placement: Placement, objective: Objective) -> float | None:
    """The bucket of the pool's histogram that stands for the bound; None where servers do not measure it.

    Where prefill and decode are apart each sees a part of a request; only the gaps between tokens are whole.
    """
    unit = placement.unit
    if unit.disaggregated is not None and objective.histogram != metrics.ITL:
        return None
    if objective.histogram != metrics.LATENCY and not placement.fleet.spec.workload.api.makes_tokens:
        return None
    buckets: Mapping[str, tuple[float, ...]] = metrics.VLLM_BUCKETS_S if unit.runs_vllm else metrics.SERVER_BUCKETS_S
    return max((bound for bound in buckets.get(objective.histogram, ()) if bound <= objective.bound_s), default=None)


def _slow(pools: Sequence[Placement], objective: Objective, window: str) -> str:
    by_bucket: dict[float, list[Placement]] = {}
    for placement in pools:
        bucket_s = _bucket_s(placement, objective)
        assert bucket_s is not None
        by_bucket.setdefault(bucket_s, []).append(placement)
    below = " or ".join(
        series.of_pools(those, f"{objective.histogram}_bucket", le=str(float(bucket_s)))
        for bucket_s, those in sorted(by_bucket.items())
    )
    counted = series.rate(series.of_pools(pools, f"{objective.histogram}_count"), window)
    return f"1 - {series.rate(below, window)} / {counted}"


def _mean(pools: Sequence[Placement], objective: Objective, window: str) -> str:
    total, count = (series.of_pools(pools, f"{objective.histogram}_{part}") for part in ("sum", "count"))
    return f"{series.rate(total, window)} / {series.rate(count, window)}"


def _failed(placed: Sequence[Placement], window: str) -> str:
    """vLLM counts requests that failed among those that finished, and those that it turned away apart."""
    failed = series.rate(series.of_pools(placed, series.COMPLETED, finished_reason="error"), window)
    rejected = f"({series.rate(series.of_pools(placed, series.REJECTED), window)} or vector(0))"
    finished = series.rate(series.of_pools(placed, series.COMPLETED), window)
    return f"(({failed} or vector(0)) + {rejected}) / ({finished} + {rejected})"


def _burning(fleet: InferenceFleet, name: str, words: str, budget: float) -> Iterator[Object]:
    """Where most requests may miss the objective, a fast burn cannot happen, and has no alert."""
    for burn in _BURNS:
        bound = burn.factor * budget
        if not 0 < bound < 1:
            continue
        where = series.labels(fleet) | {"objective": name}
        above = (f"{series.select(f'{BAD}{window}', **where)} > {bound:.6g}" for window in (burn.long, burn.short))
        yield alert(
            fleet,
            "HoldfastSloBurn",
            " and ".join(above),
            held=burn.held,
            severity=burn.severity,
            summary=f"Fleet {fleet.metadata.name} uses up its error budget of {words} {burn.factor:g} times too fast",
            description=f"{{{{ $value | humanizePercentage }}}} of the requests of the last {burn.long} missed it; "
            f"{quantities.format_share(budget)} may, over 30 days.",
            objective=name,
            window=burn.long,
        )


def _slow_on_average(fleet: InferenceFleet, objective: Objective) -> Object:
    where = series.labels(fleet) | {"objective": objective.name}
    above = (f"{series.select(f'{MEAN}{window}', **where)} > {objective.bound_s:.6g}" for window in ("1h", "5m"))
    return alert(
        fleet,
        "HoldfastSloMean",
        " and ".join(above),
        held="2m",
        severity=Severity.PAGE,
        summary=f"Fleet {fleet.metadata.name} is slower on average than its SLO: {objective.words}",
        description="The mean over the last hour is {{ $value | humanizeDuration }}.",
        objective=objective.name,
    )


def _unmeasured(placement: Placement, objective: Objective) -> Object:
    """Another server version may have other buckets: then the objective would fail, or hold, unseen."""
    bucket_s = _bucket_s(placement, objective)
    counted = series.of_pool(placement, f"{objective.histogram}_count")
    below = series.of_pool(placement, f"{objective.histogram}_bucket", le=str(bucket_s))
    return alert(
        placement.fleet,
        "HoldfastSloUnmeasured",
        f"count({counted}) unless count({below})",
        held="15m",
        severity=Severity.TICKET,
        summary=f"Pool {placement.unit.name} does not count requests below {bucket_s:g} s of {objective.name}",
        description=f"All of its requests count as slow: {objective.histogram} has no bucket le={bucket_s}. Was the "
        "server updated?",
        objective=objective.name,
        pool=placement.unit.name,
    )
