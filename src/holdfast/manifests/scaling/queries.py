"""PromQL for the targets of a plan.

vLLM counts and exports under these names (vllm 0.33, vllm/v1/metrics/loggers.py), and holdfast's own server under the
same. Completions level off where a replica breaks, so that the counter of completed requests still rises past the
target before they do.
"""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.manifests.observing import pod_monitor
from holdfast.manifests.placement import Placement, Role, ScaleTarget
from holdfast.model.errors import InputError
from holdfast.model.plan import Autoscaling, ScalingTarget

_METRIC = "requests_per_replica"
_PER_SECOND = ("/s", "per second")
_PERIOD_S = 60.0
_QUANTILES = {"p50": "0.5", "p90": "0.9", "p95": "0.95", "p99": "0.99"}

_TTFT = "vllm:time_to_first_token_seconds"


@dataclass(frozen=True)
class Query:
    """What servers of a pool show, and what they should show.

    name:      a word or two, for a trigger's name: lower case and hyphens.
    per_server: whether `value` is of one server and the query of all of them; else both are of all.
    """

    name: str
    query: str
    value: float
    per_server: bool


def of(placement: Placement, target: ScaleTarget) -> tuple[Query, ...]:
    """The plan's targets for Prometheus, and the SLO's bound on the time to first token.

    Raises InputError for a target that nobody can ask for.
    """
    scaling = placement.pool.autoscaling
    check(placement.unit.name, scaling)
    planned = [target for target in scaling.targets if target.system == "prometheus"] or [_completed(scaling)]
    found = [_planned(placement, target, wanted) for wanted in planned if is_of(wanted, target)]
    return *found, *_first_token(placement)


def is_of(wanted: ScalingTarget, target: ScaleTarget) -> bool:
    """Whether it says something of these servers: a prefill server has a request in flight for a part of its time."""
    return not (target.role is Role.PREFILL and wanted.name == "in flight")


def check(unit: str, scaling: Autoscaling) -> None:
    """Raises InputError for a metric or unit other than requests per second and replica, or a target of nothing."""
    if scaling.metric != _METRIC:
        raise InputError(f"pool {unit} scales on {scaling.metric!r}, which cannot be rendered", mend=f"use {_METRIC}")
    if not scaling.unit.endswith(_PER_SECOND):
        raise InputError(
            f"the autoscaling target of pool {unit} is in {scaling.unit!r}, and the query counts per second",
            mend="give the target in requests/s",
        )
    for value, what in ((scaling.target, scaling.unit), *((target.value, target.unit) for target in scaling.targets)):
        if not value > 0:
            raise InputError(f"the autoscaling target of pool {unit} is {value:g} {what}", mend="plan anew")


def _completed(scaling: Autoscaling) -> ScalingTarget:
    """The plan's own target, of a plan that says it in no other terms."""
    return ScalingTarget(
        "completed", "prometheus", "vllm:request_success_total", "rate", _PERIOD_S, scaling.target, scaling.unit, ""
    )


def _planned(placement: Placement, target: ScaleTarget, wanted: ScalingTarget) -> Query:
    name = wanted.name.lower().replace(" ", "-")
    window, per_server = _window(wanted.period_s), wanted.value / target.servers_per_replica
    if wanted.statistic == "rate":
        # Where prefill and decode are apart both count a request, and one count is enough.
        completed = _series(placement, wanted.metric, placement.scale_target.role)
        return Query(name, _rate(completed, wanted.period_s), per_server, per_server=True)
    if wanted.statistic != "average":
        raise InputError(
            f"pool {placement.unit.name} has a target for the {wanted.statistic} of {wanted.metric}, which Prometheus "
            "is not asked for",
            mend="plan anew",
        )
    series = [_series(placement, metric, target.role) for metric in wanted.metric.split(" + ")]
    if wanted.unit == "of 1":
        return Query(name, f"avg(avg_over_time({series[0]}{window}))", wanted.value, per_server=False)
    held = " + ".join(f"sum(avg_over_time({one}{window}))" for one in series)
    return Query(name, held, per_server, per_server=True)


def _first_token(placement: Placement) -> tuple[Query, ...]:
    """The SLO's bounds on the time to first token, where the servers measure it as clients do."""
    if not placement.unit.runs_vllm or placement.unit.disaggregated is not None:
        return ()
    bounds = placement.fleet.spec.slo.ttft.bounds()
    return tuple(
        Query(f"ttft-{statistic}", _ttft(placement, statistic), bound_s, per_server=False)
        for statistic, bound_s in bounds
    )


def _ttft(placement: Placement, statistic: str) -> str:
    """Nobody waits where nobody asks: without requests there is no quantile, and the query says 0."""
    if statistic == "avg":
        total, count = (_rate(_series(placement, f"{_TTFT}_{part}", None), _PERIOD_S) for part in ("sum", "count"))
        return f"({total} / {count} >= 0) or vector(0)"
    buckets = f"sum by (le) (rate({_series(placement, f'{_TTFT}_bucket', None)}{_window(_PERIOD_S)}))"
    return f"(histogram_quantile({_QUANTILES[statistic]}, {buckets}) >= 0) or vector(0)"


def _rate(series: str, period_s: float) -> str:
    return f"sum(rate({series}{_window(period_s)}))"


def _series(placement: Placement, metric: str, role: Role | None) -> str:
    """The metric of the pool's servers, of one role where they have roles (a label that the PodMonitor adds)."""
    of_role = "" if role is None else f',llm_d_ai_role="{role.value}"'
    return f'{metric}{{job="{pod_monitor.job(placement)}"{of_role}}}'


def _window(period_s: float) -> str:
    return f"[{period_s / 60:g}m]" if period_s % 60 == 0 else f"[{period_s:g}s]"
