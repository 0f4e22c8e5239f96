"""Alerts about what the operator does and sees. They are silent without it."""

from __future__ import annotations

from holdfast.manifests.manifest import Object
from holdfast.manifests.observing import series
from holdfast.manifests.observing.alert import Severity, alert
from holdfast.model import metrics
from holdfast.model.fleet import InferenceFleet
from holdfast.model.pools import RoutingMode

_STALE_S = 120


def alerts(fleet: InferenceFleet) -> list[Object]:
    """The fleet has failed over; the operator sees it no more."""
    name = fleet.metadata.name
    mode = series.of_operator(metrics.FLEET_MODE, fleet, mode=RoutingMode.CAPACITY_OPTIMIZED.value)
    return [
        alert(
            fleet,
            "HoldfastFailoverActive",
            f"max({mode}) == 1",
            held="0s",
            severity=Severity.TICKET,
            summary=f"Fleet {name} has failed over: it takes capacity where it is, at what that costs",
            description="Its traffic is shared out by what is ready, not by what is cheapest, until the lost pools "
            "have proved themselves.",
        ),
        alert(
            fleet,
            "HoldfastObservationStale",
            f"time() - max({series.of_operator(metrics.FLEET_OBSERVED, fleet)}) > {_STALE_S}",
            held="1m",
            severity=Severity.PAGE,
            summary=f"The operator does not see fleet {name} any more",
            description="It last saw all of it {{ $value | humanizeDuration }} ago, and holds the last good weights: "
            "lost capacity would keep its traffic.",
        ),
    ]
