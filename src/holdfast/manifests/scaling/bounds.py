"""Between how many replicas a pool scales, and what it falls back to when nobody measures."""

from __future__ import annotations

import math
from dataclasses import dataclass

from holdfast.manifests.manifest import Object
from holdfast.manifests.placement import Placement, ScaleTarget
from holdfast.model.errors import InputError
from holdfast.model.fleet import InferenceFleet, Loss
from holdfast.model.plan import PoolPlan


@dataclass(frozen=True)
class Bounds:
    """Least and most servers of a pool, and why not fewer.

    planned: servers at the highest demand that is planned for, within the bounds.
    """

    least: int
    most: int
    planned: int
    reason: str


def of(placement: Placement, target: ScaleTarget) -> Bounds:
    """The bounds of what is scaled: its unit's, raised by what the plan needs at its lowest demand, in servers."""
    pool = placement.pool
    least, reason = fewest(placement.fleet, pool)
    most = pool.autoscaling.max_replicas
    planned = min(max(pool.replicas, least), most)
    servers = target.servers_per_replica
    return Bounds(least * servers, most * servers, planned * servers, reason)


def fewest(fleet: InferenceFleet, pool: PoolPlan) -> tuple[int, str]:
    """The least replicas of the pool that a scaler may leave, and why not fewer.

    What survives a loss is idle until then, and a scaler that follows load alone would take it away. So there are no
    fewer than the plan has in the hour of its lowest demand; of a plan for a peak alone, the share of its replicas that
    the usual rate has of the peak: if the rest carries the peak after a loss, the same share of it carries the usual
    rate. At a higher demand the reserve for that demand is larger, which a scaler does not know. With a weight the
    least is 1: an empty target group still gets its share. Raises InputError for a maximum below the minimum.
    """
    scaling = pool.autoscaling
    if scaling.min_replicas > scaling.max_replicas:
        raise InputError(
            f"pool {pool.unit} scales between {scaling.min_replicas} and {scaling.max_replicas} replicas",
            mend="plan anew",
        )
    survive = fleet.spec.capacity.survive
    floors = [(scaling.min_replicas, "minReplicas of its unit")]
    if pool.weight > 0:
        floors.append((1, "an empty target group still gets its share"))
    if survive:
        lowest_per_s, replicas = _lowest(fleet, pool)
        floors.append(
            (replicas, f"{_reserve(survive)} at {lowest_per_s:.6g} requests/s; at more, the reserve may shrink")
        )
    least, reason = max(floors, key=lambda floor: floor[0])
    return min(least, scaling.max_replicas), reason


def behavior() -> Object:
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


def _lowest(fleet: InferenceFleet, pool: PoolPlan) -> tuple[float, int]:
    """The lowest demand that is known, requests/s, and the replicas of the pool that belong to it."""
    demand = fleet.spec.demand
    if demand.day_per_s and pool.allotments:
        hour = demand.day_per_s.index(min(demand.day_per_s))
        return demand.day_per_s[hour], sum(allotment.replicas[hour] for allotment in pool.allotments)
    share = demand.rate_per_s / demand.planned_per_s
    # A product such as 3 x (1 / 3) must not come out one replica too many.
    return demand.rate_per_s, math.ceil(pool.replicas * share - 1e-9)


def _reserve(survive: tuple[Loss, ...]) -> str:
    return f"the loss of one {' or '.join(loss.value for loss in survive)} must be survived"
