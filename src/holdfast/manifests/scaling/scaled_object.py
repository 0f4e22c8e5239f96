"""KEDA ScaledObject: a pool's number of replicas follows the requests that it serves.

The target is a rate per replica below its breaking point. Completions level off where a replica breaks, so
that the counter of completed requests still rises past the target before they do.
"""

from __future__ import annotations

from holdfast.manifests import metadata
from holdfast.manifests.manifest import Manifest, Object
from holdfast.manifests.observing import pod_monitor
from holdfast.manifests.placement import Placement, ScaleTarget
from holdfast.model.errors import InputError
from holdfast.model.plan import Autoscaling

_METRIC = "requests_per_replica"
_PER_SECOND = ("/s", "per second")
_WINDOW = "1m"


def manifest(placement: Placement, target: ScaleTarget) -> Manifest:
    """The scaling of the pool's servers, so many for each replica.

    Raises InputError for a metric or a unit other than requests per second and replica.
    """
    low, high = _bounds(placement, target)
    scaled = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": metadata.of_pool(placement, limit_source=placement.pool.limit_source) | {"name": target.name},
        "spec": {
            "scaleTargetRef": target.reference,
            "minReplicaCount": low,
            "maxReplicaCount": high,
            "pollingInterval": pod_monitor.INTERVAL_S,
            "cooldownPeriod": 300,
            "fallback": _fallback(placement, target),
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _behavior()}},
            "triggers": [_trigger(placement, target)],
        },
    }
    name = "scaled-object" if target.role is None else f"scaled-object-{target.role.value}"
    return Manifest(f"{placement.folder}/{name}.yaml", scaled)


def request_rate(placement: Placement) -> str:
    """PromQL: requests per second that the pool completes.

    vLLM counts them (vllm:request_success_total, vLLM 0.33), and holdfast's own server under the same name. Where
    prefill and decode are apart both count a request, and one count is enough.
    """
    role = placement.scale_target.role
    counted = "" if role is None else f',llm_d_ai_role="{role.value}"'
    return f'sum(rate(vllm:request_success_total{{job="{pod_monitor.job(placement)}"{counted}}}[{_WINDOW}]))'


def _trigger(placement: Placement, target: ScaleTarget) -> Object:
    scaling = placement.pool.autoscaling
    _check(placement.unit.name, scaling)
    low, _ = _bounds(placement, target)
    return {
        "type": "prometheus",
        "metricType": "AverageValue",
        "metadata": {
            "serverAddress": placement.fleet.spec.cluster.prometheus,
            "query": request_rate(placement),
            "threshold": f"{scaling.target / target.servers_per_replica:.6g}",
            # No series means that nobody is measuring, which the fallback is for, not that nobody is asking;
            # except where a pool may have no replica to be measured.
            "ignoreNullValues": "true" if low == 0 else "false",
        },
    }


def _bounds(placement: Placement, target: ScaleTarget) -> tuple[int, int]:
    """Least and most servers. With a weight the least is 1: an empty target group still gets its share."""
    scaling = placement.pool.autoscaling
    least = 1 if placement.pool.weight > 0 else 0
    servers = target.servers_per_replica
    return max(scaling.min_replicas, least) * servers, scaling.max_replicas * servers


def _fallback(placement: Placement, target: ScaleTarget) -> Object:
    """Without metrics: the planned replicas, or those that are there if they are more."""
    low, high = _bounds(placement, target)
    return {
        "failureThreshold": 3,
        "replicas": min(max(placement.pool.replicas * target.servers_per_replica, low), high),
        "behavior": "currentReplicasIfHigher",
    }


def _behavior() -> Object:
    """Up at once, by half of what is there or by two a minute; down slowly, as replicas take minutes to come back."""
    return {
        "scaleUp": {
            "stabilizationWindowSeconds": 0,
            "policies": [
                {"type": "Percent", "value": 50, "periodSeconds": 60},
                {"type": "Pods", "value": 2, "periodSeconds": 60},
            ],
        },
        "scaleDown": {
            "stabilizationWindowSeconds": 300,
            "policies": [
                {"type": "Percent", "value": 10, "periodSeconds": 60},
                {"type": "Pods", "value": 1, "periodSeconds": 60},
            ],
        },
    }


def _check(unit: str, scaling: Autoscaling) -> None:
    if scaling.metric != _METRIC:
        raise InputError(f"pool {unit} scales on {scaling.metric!r}, which cannot be rendered", mend=f"use {_METRIC}")
    if not scaling.unit.endswith(_PER_SECOND):
        raise InputError(
            f"the autoscaling target of pool {unit} is in {scaling.unit!r}, and the query counts per second",
            mend="give the target in requests/s",
        )
    if scaling.min_replicas > scaling.max_replicas:
        raise InputError(f"pool {unit} scales between {scaling.min_replicas} and {scaling.max_replicas} replicas")
    if not scaling.target > 0:
        raise InputError(
            f"the autoscaling target of pool {unit} is {scaling.target:g} {scaling.unit}", mend="plan anew"
        )
