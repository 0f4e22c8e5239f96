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

A unit of another framework is asked for the same names, for those are what `holdfast render` scrapes and what
holdfast's own server exports whatever it emulates. Triton Inference Server, for one, does not: it counts
nv_inference_request_success, and of what is in flight only nv_inference_pending_request_count, those that wait
(docs.nvidia.com/deeplearning/triton-inference-server, "Metrics"). So each target names its exporter too.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.model.fleet import CapacityPolicy, DeploymentUnit
from holdfast.model.plan import Autoscaling, ScalingTarget

PERIOD_S = 60.0
"""An ALB reports once a minute; a shorter period has no more in it."""

_QUEUE = "vllm:num_requests_waiting"
_RUNNING = "vllm:num_requests_running"
_VLLM = "vLLM"
_OWN_SERVER = "the unit's own server, under vLLM's name"
_LOAD_BALANCER = "the load balancer"


def autoscaling(
    unit: DeploymentUnit,
    limit_per_s: float,
    capacity: CapacityPolicy,
    latency_s: float | None = None,
    period_s: float = PERIOD_S,
    latency_source: str = "",
) -> Autoscaling:
    """Scale the unit so that each replica carries limit x utilisation target, within the unit's own bounds.

    limit_per_s: breaking point of one replica.
    latency_s:   mean latency there; without one there is no target for what is in flight or waits.
    period_s:    that sums are made over.
    latency_source: where the latency comes from, if that is to be said.
    """
    return Autoscaling(
        metric="requests_per_replica",
        target=limit_per_s * capacity.utilization_target,
        unit="requests/s",
        min_replicas=unit.min_replicas,
        max_replicas=unit.max_replicas,
        targets=tuple(_targets(unit, limit_per_s, capacity.utilization_target, latency_s, period_s, latency_source)),
    )


def _targets(
    unit: DeploymentUnit,
    limit_per_s: float,
    utilization: float,
    latency_s: float | None,
    period_s: float,
    latency_source: str,
) -> Iterator[ScalingTarget]:
    rate_per_s = limit_per_s * utilization
    share = f"{utilization:.0%} of the breaking point, {limit_per_s:.4g}/s"
    yield ScalingTarget(
        name="completed",
        system="prometheus",
        metric="vllm:request_success_total",
        statistic="rate",
        period_s=period_s,
        value=rate_per_s,
        unit="requests/s",
        reason=f"{share}.{'' if unit.runs_vllm else _must_export(unit)}",
        exporter=_exporter(unit),
    )
    yield ScalingTarget(
        name="received",
        system="cloudwatch",
        metric="AWS/ApplicationELB RequestCountPerTarget",
        statistic="sum",
        period_s=period_s,
        value=rate_per_s * period_s,
        unit="requests/min" if period_s == PERIOD_S else f"requests per {period_s:g} s",
        reason=f"{share}, counted over {period_s:g} s (KEDA: metricStatPeriod). It counts what arrives, served or not.",
        exporter=_LOAD_BALANCER,
    )
    if latency_s is not None:
        yield from _held(unit, rate_per_s, latency_s, period_s, latency_source)
    # On Neuron a sequence has one block of its own, so that a full cache is a full batch and preempts nothing.
    if unit.runs_vllm and not unit.runs_vllm_neuron:
        yield ScalingTarget(
            name="KV cache",
            system="prometheus",
            metric="vllm:kv_cache_usage_perc",
            statistic="average",
            period_s=period_s,
            value=utilization,
            unit="of 1",
            reason=f"{utilization:.0%} of a full cache; vLLM preempts requests when it is full.",
            exporter=_VLLM,
        )


def _held(
    unit: DeploymentUnit, rate_per_s: float, latency_s: float, period_s: float, latency_source: str
) -> Iterator[ScalingTarget]:
    """What a replica holds at the target rate: in flight, and of that in the queue."""
    in_flight = rate_per_s * latency_s
    yield ScalingTarget(
        name="in flight",
        system="prometheus",
        metric=f"{_RUNNING} + {_QUEUE}",
        statistic="average",
        period_s=period_s,
        value=in_flight,
        unit="requests",
        reason=f"Little's law: {rate_per_s:.4g}/s x {latency_s:.4g} s, the mean latency at the breaking point"
        f"{f' ({latency_source})' if latency_source else ''}. Below it answers are quicker, so this scales a little "
        "later than the rate does.",
        exporter=_exporter(unit),
    )
    if unit.runs_vllm and unit.max_num_seqs is not None:
        waiting = in_flight - unit.max_num_seqs
        yield ScalingTarget(
            name="waiting",
            system="prometheus",
            metric=_QUEUE,
            statistic="average",
            period_s=period_s,
            value=max(1.0, waiting),
            unit="requests",
            reason=f"{in_flight:.4g} in flight at the target, {unit.max_num_seqs} of them in the batch (maxNumSeqs)."
            if waiting > 1
            else f"The batch (maxNumSeqs {unit.max_num_seqs}) holds all {in_flight:.4g} in flight at the target, so a "
            "queue of one, the shortest there is, means that it is full.",
            exporter=_VLLM,
        )


def _exporter(unit: DeploymentUnit) -> str:
    return _VLLM if unit.runs_vllm else _OWN_SERVER


def _must_export(unit: DeploymentUnit) -> str:
    if unit.own_framework is not None:
        return " The name is vLLM's, which holdfast's own server exports too."
    return (
        f" The name is vLLM's, which a {unit.framework} server has to export too, as holdfast's own does: it is what "
        "`holdfast render` scales by. Triton Inference Server has nv_inference_request_success instead."
    )
