"""When each pool grows: what an autoscaler should hold per replica, in the terms of what it scrapes.

Every target is the breaking point times the utilisation target, said again in another unit:

    completed   requests/s            rate of vLLM's counter of finished requests
    received    requests per period   ALB RequestCountPerTarget, whose Sum is the mean over the targets of the group
                                      (Elastic Load Balancing user guide, "CloudWatch metrics for your ALB")
    in flight   requests              rate x latency, Little (1961), doi:10.1287/opre.9.3.383
    waiting     requests              what of these does not fit into the batch
    KV cache    share                 vLLM preempts at 1, so this metric's own breaking point is 1

A counter's sum over a period read as a rate per second is the factor of 60 of docs/published-errata.md; so each
target names its statistic and its period. (KEDA's aws-cloudwatch trigger sums over 300 s unless metricStatPeriod says
otherwise: keda.sh/docs/latest/scalers/aws-cloudwatch.) Metric names: vLLM 0.33, vllm/v1/metrics/loggers.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.model.fleet import CapacityPolicy, DeploymentUnit
from holdfast.model.plan import Autoscaling, ScalingTarget

PERIOD_S = 60.0
"""An ALB reports once a minute; a shorter period has no more in it."""

_QUEUE = "vllm:num_requests_waiting"
_RUNNING = "vllm:num_requests_running"
_ENGINES_WITH_A_BATCH = ("vllm",)
"""Frameworks that export vLLM's gauges of queue and KV cache."""


def autoscaling(
    unit: DeploymentUnit,
    limit_per_s: float,
    capacity: CapacityPolicy,
    latency_s: float | None = None,
    period_s: float = PERIOD_S,
) -> Autoscaling:
    """Scale the unit so that each replica carries limit x utilisation target, within the unit's own bounds.

    limit_per_s: breaking point of one replica.
    latency_s:   mean latency there; without one there is no target for what is in flight or waits.
    period_s:    that sums are made over.
    """
    return Autoscaling(
        metric="requests_per_replica",
        target=limit_per_s * capacity.utilization_target,
        unit="requests/s",
        min_replicas=unit.min_replicas,
        max_replicas=unit.max_replicas,
        targets=tuple(_targets(unit, limit_per_s, capacity.utilization_target, latency_s, period_s)),
    )


def _targets(
    unit: DeploymentUnit, limit_per_s: float, utilization: float, latency_s: float | None, period_s: float
) -> Iterator[ScalingTarget]:
    rate_per_s = limit_per_s * utilization
    share = f"{utilization:.0%} of the breaking point, {limit_per_s:.4g}/s"
    yield ScalingTarget(
        "completed", "prometheus", "vllm:request_success_total", "rate", period_s, rate_per_s, "requests/s", f"{share}."
    )
    yield ScalingTarget(
        "received",
        "cloudwatch",
        "AWS/ApplicationELB RequestCountPerTarget",
        "sum",
        period_s,
        rate_per_s * period_s,
        "requests/min" if period_s == PERIOD_S else f"requests per {period_s:g} s",
        f"{share}, counted over {period_s:g} s (KEDA: metricStatPeriod). It counts what arrives, served or not.",
    )
    if latency_s is not None:
        yield from _held(unit, rate_per_s, latency_s, period_s)
    if unit.framework in _ENGINES_WITH_A_BATCH:
        yield ScalingTarget(
            "KV cache",
            "prometheus",
            "vllm:kv_cache_usage_perc",
            "average",
            period_s,
            utilization,
            "of 1",
            f"{utilization:.0%} of a full cache; vLLM preempts requests when it is full.",
        )


def _held(unit: DeploymentUnit, rate_per_s: float, latency_s: float, period_s: float) -> Iterator[ScalingTarget]:
    """What a replica holds at the target rate: in flight, and of that in the queue."""
    in_flight = rate_per_s * latency_s
    yield ScalingTarget(
        "in flight",
        "prometheus",
        f"{_RUNNING} + {_QUEUE}",
        "average",
        period_s,
        in_flight,
        "requests",
        f"Little's law: {rate_per_s:.4g}/s x {latency_s:.4g} s, the mean latency at the breaking point. Below it "
        "answers are quicker, so this scales a little later than the rate does.",
    )
    if unit.framework in _ENGINES_WITH_A_BATCH and unit.max_num_seqs is not None:
        waiting = in_flight - unit.max_num_seqs
        reason = (
            f"{in_flight:.4g} in flight at the target, {unit.max_num_seqs} of them in the batch (maxNumSeqs)."
            if waiting > 1
            else f"The batch (maxNumSeqs {unit.max_num_seqs}) holds all {in_flight:.4g} in flight at the target, so a "
            "queue of one, the shortest there is, means that it is full."
        )
        yield ScalingTarget("waiting", "prometheus", _QUEUE, "average", period_s, max(1.0, waiting), "requests", reason)
