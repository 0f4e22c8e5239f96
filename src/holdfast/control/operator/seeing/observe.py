"""What the API server and the metrics tell of a fleet, as the value that decisions are made on.

Nothing is remembered here but since when a pool stands, which the status of the fleet keeps: the same cluster at the
same moment is the same observation, whoever looks.

A plan of a day has 24 periods, the hours of UTC: a fleet names no time zone, and one whose clock is put back twice a
year would plan one hour twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from holdfast.control.observation import Applied, Observation
from holdfast.control.operator.seeing import capacity, interruptions, replicas
from holdfast.control.operator.seeing.seen import Reading, Seen
from holdfast.kube.kinds import Object
from holdfast.manifests.placement import Placement
from holdfast.model import instants
from holdfast.model.plan import PoolPlan
from holdfast.model.pools import CapacityPool, Shortage

HOUR_S = 3600.0


@dataclass(frozen=True)
class Standing:
    """Since when a pool stands as it does: its lasting replicas, and when they last fell or first rose from 0."""

    lasting: int
    since_s: float

    def followed_by(self, lasting: int, now_s: float) -> Standing:
        """The standing after a look that finds so many."""
        changed = lasting < self.lasting or (lasting > 0 and self.lasting == 0)
        return Standing(lasting, now_s if changed else self.since_s)


def observe(
    placed: Sequence[Placement],
    seen: Seen,
    reading: Reading,
    applied: Applied,
    before: Mapping[str, Standing],
    now_s: float,
) -> Observation:
    """One look at the fleet, at `now_s` in Unix seconds.

    placed:  the pools of the plan that runs. applied: the routing in force.
    before:  how the pools stood at the look before, by unit: `kept` of that, and after a start what `standings` reads.
             A pool that is not there stands since now.
    """
    notices = interruptions.notices(seen)
    facts = capacity.short(placed, seen, now_s)
    pools = tuple(
        _pool(placement, replicas.count(placement, seen, notices), facts[placement.unit.name], before, now_s)
        for placement in placed
    )
    weights = {placement.unit.name: placement.pool.weight for placement in placed}
    return Observation(pools, reading.rate_per_s, reading.age_s, seen.age_s, applied, weights)


def kept(observation: Observation) -> dict[str, Standing]:
    """What has to be known of this look at the next one, and stands in the status, by unit."""
    return {pool.name: Standing(pool.lasting, pool.ready_since_s) for pool in observation.pools}


def standings(fleet: Object) -> dict[str, Standing]:
    """The same as the status of the InferenceFleet keeps it; empty before there is one."""
    pools = (fleet.get("status") or {}).get("pools") or ()
    return {pool["unit"]: Standing(pool["lastingReplicas"], instants.unix_s(pool["stableSince"])) for pool in pools}


def planned_at(pool: PoolPlan, at_s: float) -> int:
    """The replicas that the plan gives the pool at a moment: in the hour of the day in UTC, or for all time."""
    if not pool.allotments:
        return pool.replicas
    hour = int(at_s // HOUR_S)
    return sum(allotment.replicas[hour % len(allotment.replicas)] for allotment in pool.allotments)


def _pool(
    placement: Placement,
    found: replicas.Replicas,
    shortages: tuple[Shortage, ...],
    before: Mapping[str, Standing],
    now_s: float,
) -> CapacityPool:
    plan, name = placement.pool, placement.unit.name
    lasting = found.ready - found.draining
    standing = before.get(name, Standing(0, now_s)).followed_by(lasting, now_s)
    return CapacityPool(
        name=name,
        limit_per_s=plan.limit_per_s,
        usd_per_million_requests=plan.usd_per_million_requests,
        ready=found.ready,
        pending=found.pending,
        planned=planned_at(plan, now_s),
        min_replicas=plan.autoscaling.min_replicas,
        max_replicas=plan.autoscaling.max_replicas,
        ready_since_s=standing.since_s,
        shortages=shortages,
        draining=found.draining,
        gone_at_s=found.gone_at_s,
        starting=found.starting,
        obtained_s=found.obtained_s,
        planned_ahead=planned_at(plan, now_s + placement.unit.startup_s),
        at_once=plan.at_once,
    )
