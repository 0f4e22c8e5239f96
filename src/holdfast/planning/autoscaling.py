"""When each pool grows: the target that an autoscaler holds per replica."""

from __future__ import annotations

from holdfast.model.fleet import CapacityPolicy, DeploymentUnit
from holdfast.model.plan import Autoscaling


def autoscaling(unit: DeploymentUnit, limit_per_s: float, capacity: CapacityPolicy) -> Autoscaling:
    """Scale the unit so that each replica carries limit x utilisation target, within the unit's own bounds.

    limit_per_s: breaking point of one replica. The target is per second; whoever renders it for a counter
    over a period multiplies by the period.
    """
    return Autoscaling(
        metric="requests_per_replica",
        target=limit_per_s * capacity.utilization_target,
        unit="requests/s",
        min_replicas=unit.min_replicas,
        max_replicas=unit.max_replicas,
    )
