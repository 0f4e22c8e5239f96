"""How much of what the ready replicas hold is in use, and the alerts about it.

Servers are counted as those that answer Prometheus: they do so once they have loaded. A pool holds its replicas times
the breaking point of one, which the plan has.
"""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests.manifest import Object
from holdfast.manifests.observing import series
from holdfast.manifests.observing.alert import Severity, alert
from holdfast.manifests.placement import Placement
from holdfast.model import quantities
from holdfast.model.fleet import InferenceFleet

REQUESTS = "pool:holdfast_requests:rate1m"
REPLICAS = "pool:holdfast_replicas:up"
CAPACITY = "pool:holdfast_capacity:requests_per_second"
UTILIZATION = "fleet:holdfast_utilization:ratio"


def recorded(placed: Sequence[Placement]) -> list[Object]:
    """Of each pool its requests per second, replicas and capacity, and of the fleet what share is in use."""
    pools = [rule for placement in placed for rule in _of_pool(placement)]
    where = series.labels(placed[0].fleet)
    requests, capacity = (f"sum({series.select(name, **where)})" for name in (REQUESTS, CAPACITY))
    return [*pools, series.record(UTILIZATION, f"{requests} / {capacity}", where)]


def alerts(placed: Sequence[Placement]) -> list[Object]:
    """Too little headroom in the fleet, pools that cannot grow, pools of which nothing is heard."""
    fleet = placed[0].fleet
    return [
        _headroom(fleet),
        *(_at_maximum(placement) for placement in placed),
        *(_silent(placement) for placement in placed if _least_replicas(placement) > 0),
    ]


def _of_pool(placement: Placement) -> list[Object]:
    where = series.pool_labels(placement)
    up, servers = series.of_pool(placement, "up"), placement.scale_target.servers_per_replica
    count = f"sum({up})" if servers == 1 else f"sum({up}) / {servers}"
    limit = f"{placement.pool.limit_per_s:.6g}"
    return [
        series.record(REQUESTS, series.rate(series.of_pool(placement, series.COMPLETED), "1m"), where),
        series.record(REPLICAS, count, where),
        series.record(CAPACITY, f"{series.select(REPLICAS, **where)} * {limit}", where),
    ]


def _headroom(fleet: InferenceFleet) -> Object:
    """Half way from where replicas are added to where they break: adding has not helped, or is too late."""
    target = fleet.spec.capacity.utilization_target
    bound = (1 + target) / 2
    return alert(
        fleet,
        "HoldfastHeadroomLow",
        f"{series.select(UTILIZATION, **series.labels(fleet))} > {bound:.6g}",
        held="5m",
        severity=Severity.PAGE,
        summary=f"Fleet {fleet.metadata.name} has little room left",
        description="Its ready replicas carry {{ $value | humanizePercentage }} of their breaking points; planned are "
        f"{quantities.format_share(target)}.",
    )


def _at_maximum(placement: Placement) -> Object:
    most = placement.pool.autoscaling.max_replicas
    where = series.pool_labels(placement)
    target = placement.fleet.spec.capacity.utilization_target
    full = f"{series.select(REQUESTS, **where)} > {target:.6g} * {series.select(CAPACITY, **where)}"
    return alert(
        placement.fleet,
        "HoldfastPoolAtMaximum",
        f"{series.select(REPLICAS, **where)} >= {most} and {full}",
        held="10m",
        severity=Severity.TICKET,
        summary=f"Pool {placement.unit.name} of fleet {placement.fleet.metadata.name} cannot grow any more",
        description=f"It has all of its {most} replicas, and carries more than is planned for them.",
        pool=placement.unit.name,
    )


def _silent(placement: Placement) -> Object:
    up = series.of_pool(placement, "up")
    return alert(
        placement.fleet,
        "HoldfastMetricsMissing",
        f"absent({up} == 1)",
        held="5m",
        severity=Severity.PAGE,
        summary=f"Nothing is heard of pool {placement.unit.name} of fleet {placement.fleet.metadata.name}",
        description="No server of it answers Prometheus, though it has at least one replica: it has none, or its "
        "metrics cannot be read, and then scaling stands still too.",
        pool=placement.unit.name,
    )


def _least_replicas(placement: Placement) -> int:
    return max(placement.pool.autoscaling.min_replicas, 1 if placement.pool.weight > 0 else 0)
