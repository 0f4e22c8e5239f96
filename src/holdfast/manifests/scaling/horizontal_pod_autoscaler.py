"""HorizontalPodAutoscaler without KEDA: the same targets, as means over a pool's pods.

It cannot go to no replica, and has no fallback: while metrics are missing it leaves the pool as it is. A bound on the
time to first token is not among its metrics, as the mean of the pods' quantiles is not the pool's.
"""

from __future__ import annotations

from decimal import Decimal

from holdfast.manifests import metadata
from holdfast.manifests.manifest import Manifest, Object
from holdfast.manifests.placement import Placement, ScaleTarget
from holdfast.manifests.scaling import bounds, pod_metrics, queries
from holdfast.model.errors import InputError


def manifest(placement: Placement, target: ScaleTarget) -> Manifest:
    """The scaling of the pool's servers. Raises InputError where the plan has no target that its pods show."""
    within = bounds.of(placement, target)
    described = metadata.of_pool(placement, limit_source=placement.pool.limit_source, least=within.reason)
    autoscaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": described | {"name": target.name},
        "spec": {
            "scaleTargetRef": target.reference,
            "minReplicas": max(within.least, 1),
            "maxReplicas": within.most,
            "behavior": bounds.behavior(),
            "metrics": _metrics(placement, target),
        },
    }
    note = f"Its metrics come by prometheus-adapter with the rules of {pod_metrics.PATH}."
    if within.least == 0:
        note += "\nA HorizontalPodAutoscaler keeps one replica at least; KEDA would let the pool be empty."
    name = "horizontal-pod-autoscaler" if target.role is None else f"horizontal-pod-autoscaler-{target.role.value}"
    return Manifest(f"{placement.folder}/{name}.yaml", autoscaler, note)


def _metrics(placement: Placement, target: ScaleTarget) -> list[Object]:
    scaling = placement.pool.autoscaling
    queries.check(placement.unit.name, scaling)
    found = [
        _metric(name, wanted.value if wanted.unit == "of 1" else wanted.value / target.servers_per_replica)
        for wanted in scaling.targets
        if (name := pod_metrics.name(wanted)) is not None and queries.is_of(wanted, target)
    ]
    if not found:
        raise InputError(
            f"the plan has no target for pool {placement.unit.name} that an HPA can read", mend="plan anew"
        )
    return found


def _metric(name: str, value: float) -> Object:
    return {
        "type": "Pods",
        "pods": {
            "metric": {"name": name},
            "target": {"type": "AverageValue", "averageValue": quantity(value)},
        },
    }


def quantity(value: float) -> str:
    """A Kubernetes quantity, to a thousandth: `1400m`, `3`."""
    milli = round(Decimal(str(value)) * 1000)
    return str(milli // 1000) if milli % 1000 == 0 else f"{milli}m"
