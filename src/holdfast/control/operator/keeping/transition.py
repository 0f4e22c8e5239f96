"""From a plan to one without some of its units: traffic stays with what serves until others can take it.

A route is made for the units of one plan. When a unit is taken out of a fleet while its replicas carry traffic, and
the units that replace it have yet to start, decisions go on by the plan before, while all that the new plan needs is
made. Who starts in the middle of it knows no plan before: then the route stays as it is, but for the weight of units
that nothing serves any more. Objects of the unit go when weights have left it for DRAIN_S. Units that both plans have
need none of this: decisions move their weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from holdfast.control.look import LEAVE_S, SLACK
from holdfast.control.observation import Applied, Observation
from holdfast.control.operator.keeping import desired, routing_record
from holdfast.control.operator.keeping.desired import Desired
from holdfast.control.operator.keeping.routing_record import Record
from holdfast.control.operator.seeing.seen import Seen
from holdfast.kube.kinds import Object
from holdfast.manifests import metadata
from holdfast.model.pools import RoutingMode
from holdfast.planning.weights import integer_weights

DRAIN_S = LEAVE_S
"""From weights that leave a unit to the end of its objects: load balancers apply them in seconds, and what is in flight
still ends."""


@dataclass(frozen=True)
class StayingRoute:
    """A route that stays for now, to be applied, and the routing that it means."""

    route: Object
    applied: Applied


def leaves(wanted: Desired, applied: Applied) -> frozenset[str]:
    """The units that have weight and that the plan no longer has."""
    planned = {placement.unit.name for placement in wanted.placed}
    return frozenset(name for name, weight in applied.weights.items() if weight and name not in planned)


def waits(wanted: Desired, applied: Applied, observation: Observation, seen: Seen) -> bool:
    """Whether traffic stays as it is for now: units that the plan no longer has serve what its own cannot yet.

    observation: of the plan's pools.
    """
    if not leaves(wanted, applied) & {
        pod["metadata"]["labels"].get(metadata.UNIT) for pod in seen.pods if _is_ready(pod)
    }:
        return False
    there_per_s = sum(pool.lasting_limit_per_s for pool in observation.pools)
    asked_per_s = wanted.plan.demand_per_s
    if observation.rate_per_s is not None and observation.rate_known:
        asked_per_s = observation.rate_per_s
    return there_per_s <= 0 or there_per_s < asked_per_s * (1 - SLACK)


def relieved(
    wanted: Desired, route: Object, record: Record, term: int, seen: Seen, now_s: float
) -> StayingRoute | None:
    """The route that stays, with all weight on units that it finds a ready pod of, and stamped with the term.

    None where it is so already, or forwards to no pools. A Service is of the units whose pods it selects:
    the plan that the route was made for may not be known any more.
    """
    found = _serving(routing_record.services(route), seen)
    before = record.applied
    kept = {unit: weight if unit in found else 0 for unit, weight in before.weights.items()}
    if not any(kept.values()) or (kept == before.weights and record.term == term):
        return None
    weights, after = integer_weights(kept), before
    if not before.routes_by(weights):
        since_s = before.mode_since_s if before.mode is RoutingMode.CAPACITY_OPTIMIZED else now_s
        after = Applied(weights, RoutingMode.CAPACITY_OPTIMIZED, since_s, now_s)
    by_service: dict[str, int] = {}
    for unit, service in found.items():
        by_service[service] = by_service.get(service, 0) + weights.get(unit, 0)
    return StayingRoute(desired.remade(wanted, route, by_service, replace(record, applied=after, term=term)), after)


def _serving(services: Sequence[str], seen: Seen) -> dict[str, str]:
    """The units with a ready pod behind one of the Services, and which."""
    found = [(name, seen.managed.get(("Service", name))) for name in services]
    selectors = [(name, one["spec"].get("selector") or {}) for name, one in found if one is not None]
    return {
        pod["metadata"]["labels"][metadata.UNIT]: name
        for pod in seen.pods
        if _is_ready(pod) and metadata.UNIT in pod["metadata"]["labels"]
        for name, selector in selectors
        if selector and selector.items() <= pod["metadata"]["labels"].items()
    }


def _is_ready(pod: Object) -> bool:
    told = pod.get("status", {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in told)
