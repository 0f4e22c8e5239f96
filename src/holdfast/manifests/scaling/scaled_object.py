"""KEDA ScaledObject: a pool's number of replicas follows the requests that it serves."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests import metadata
from holdfast.manifests.manifest import Manifest, Object
from holdfast.manifests.observing import pod_monitor
from holdfast.manifests.placement import Placement, ScaleTarget
from holdfast.manifests.scaling import bounds, cloudwatch, prometheus, trigger_authentication
from holdfast.model.cluster import Scaler

_COOLDOWN_S = 300
"""From the last request to no replica, for pools that may have none; KEDA's own default."""

_CLOUDWATCH_POLL_S = 60
"""An ALB reports once a minute."""


def manifest(placement: Placement, target: ScaleTarget, placed: Sequence[Placement]) -> Manifest:
    """The scaling of the pool's servers, on the metrics that the fleet's scaler reads.

    Raises InputError where there are none.
    """
    within = bounds.of(placement, target)
    described = metadata.of_pool(placement, limit_source=placement.pool.limit_source, least=within.reason)
    scaled = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": described | {"name": target.name},
        "spec": {
            "scaleTargetRef": target.reference,
            "minReplicaCount": within.least,
            "maxReplicaCount": within.most,
            "pollingInterval": _poll_s(placement),
            "cooldownPeriod": _COOLDOWN_S,
            "fallback": _fallback(within),
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": bounds.behavior()}},
            "triggers": _triggers(placement, target, placed),
        },
    }
    name = "scaled-object" if target.role is None else f"scaled-object-{target.role.value}"
    return Manifest(f"{placement.folder}/{name}.yaml", scaled)


def _triggers(placement: Placement, target: ScaleTarget, placed: Sequence[Placement]) -> list[Object]:
    authentication = trigger_authentication.name(placement.fleet)
    if _on_cloudwatch(placement):
        return cloudwatch.triggers(placement, target, authentication, placed)
    return prometheus.triggers(placement, target, authentication)


def _poll_s(placement: Placement) -> int:
    return _CLOUDWATCH_POLL_S if _on_cloudwatch(placement) else pod_monitor.INTERVAL_S


def _on_cloudwatch(placement: Placement) -> bool:
    return placement.fleet.spec.cluster.scaler is Scaler.KEDA_CLOUDWATCH


def _fallback(within: bounds.Bounds) -> Object:
    """Without metrics: the planned replicas, or those that are there if they are more."""
    return {"failureThreshold": 3, "replicas": within.planned, "behavior": "currentReplicasIfHigher"}
