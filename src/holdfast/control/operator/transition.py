"""From a plan to one without some of its units: traffic stays with what serves until others can take it.

A route is made for the units of one plan. When a unit is taken out of a fleet while its replicas carry traffic, and
the units that replace it have yet to start, decisions go on by the plan before, while all that the new plan needs is
made. Who starts in the middle of it knows no plan before: then the route stays as it is. Objects of the unit go when
weights have left it for DRAIN_S. Units that both plans have need none of this: decisions move their weights.
"""

from __future__ import annotations

from holdfast.control.look import LEAVE_S, SLACK
from holdfast.control.observation import Applied, Observation
from holdfast.control.operator.desired import Desired
from holdfast.control.operator.seen import Seen
from holdfast.kube.kinds import Object

UNIT = "holdfast.dev/unit"

DRAIN_S = LEAVE_S
"""From weights that leave a unit to the end of its objects: load balancers apply them in seconds, and what is in flight
still ends."""


def leaves(wanted: Desired, applied: Applied) -> frozenset[str]:
    """The units that have weight and that the plan no longer has."""
    planned = {placement.unit.name for placement in wanted.placed}
    return frozenset(name for name, weight in applied.weights.items() if weight and name not in planned)


def waits(wanted: Desired, applied: Applied, observation: Observation, seen: Seen) -> bool:
    """Whether traffic stays as it is for now: units that the plan no longer has serve what its own cannot yet.

    observation: of the plan's pools.
    """
    if not leaves(wanted, applied) & {pod["metadata"]["labels"].get(UNIT) for pod in seen.pods if _is_ready(pod)}:
        return False
    there_per_s = sum(pool.lasting_limit_per_s for pool in observation.pools)
    asked_per_s = wanted.plan.demand_per_s
    if observation.rate_per_s is not None and observation.rate_known:
        asked_per_s = observation.rate_per_s
    return there_per_s <= 0 or there_per_s < asked_per_s * (1 - SLACK)


def _is_ready(pod: Object) -> bool:
    told = pod.get("status", {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in told)
