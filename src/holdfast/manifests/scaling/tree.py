"""The files of what adds and removes replicas."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests.manifest import File
from holdfast.manifests.placement import Placement
from holdfast.manifests.scaling import (
    cloudwatch,
    horizontal_pod_autoscaler,
    prometheus,
    scaled_object,
    trigger_authentication,
)
from holdfast.model.cluster import Scaler
from holdfast.model.plan import Plan


def files(plan: Plan, placed: Sequence[Placement]) -> tuple[File, ...]:
    """A scaler for each pool, for prefill and decode where they are apart, and what it needs to read its metrics."""
    cluster = plan.fleet.spec.cluster
    if cluster.scaler is Scaler.HPA:
        return tuple(
            horizontal_pod_autoscaler.manifest(placement, target)
            for placement in placed
            for target in placement.scale_targets
        )
    if cluster.scaler is Scaler.KEDA_CLOUDWATCH:
        cloudwatch.check(placed)
    scaled = (
        scaled_object.manifest(placement, target, placed) for placement in placed for target in placement.scale_targets
    )
    return *_authentication(plan), *scaled


def _authentication(plan: Plan) -> tuple[File, ...]:
    cluster = plan.fleet.spec.cluster
    if cluster.scaler is Scaler.KEDA_CLOUDWATCH:
        return (trigger_authentication.manifest(plan, "cloudwatch:GetMetricData"),)
    if prometheus.is_managed(cluster.prometheus):
        return (trigger_authentication.manifest(plan, "aps:QueryMetrics on the workspace"),)
    return ()
