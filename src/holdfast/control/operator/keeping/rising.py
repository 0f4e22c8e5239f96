"""A fleet that comes up for the first time: its replicas are on their way, and none of them is lost.

A decision takes a pool that lacks the replicas of its share for one that lost them, and asks others to stand in. Of
a fleet that was just declared this holds for all pools but the first to have a replica, which would be asked for the
load of all. So until a fleet has stood once, no pool is asked for more than the plan gives it: unless one can get no
capacity, or it takes RISE_S.
"""

from __future__ import annotations

from dataclasses import replace

from holdfast.control import shortages
from holdfast.control.look import SLACK
from holdfast.control.observation import Observation
from holdfast.control.operator.seeing import stamps
from holdfast.control.shortages import Supply
from holdfast.control.verdict import Verdict
from holdfast.kube.kinds import Object
from holdfast.model.fleet import CapacityPolicy

RISE_S = 1800.0
"""From the route of a fleet to its first standing, at most: our estimate of an instance, a large image, the weights of
a large model and their compilation, one after another."""


def stands(observation: Observation, capacity: CapacityPolicy) -> bool:
    """Whether the lasting replicas carry the rate at the target, or are all that are planned."""
    pools = observation.pools
    if all(pool.lasting >= pool.planned for pool in pools):
        return True
    whole_per_s = sum(pool.lasting_limit_per_s for pool in pools) * capacity.utilization_target
    rate_per_s = observation.rate_per_s
    return observation.rate_known and rate_per_s is not None and 0 < whole_per_s >= rate_per_s * (1 - SLACK)


def held(reached: Verdict, route: Object | None) -> Verdict:
    """What was decided of a fleet that has not stood yet, with what is asked for while it comes up.

    route: as it is in the cluster; None where it is not.
    """
    decision, observation, now_s = reached.decision, reached.observation, reached.now_s
    began_s = now_s if route is None else stamps.created_s(route)
    if began_s is None or now_s >= began_s + RISE_S:
        return reached
    if any(shortages.supply(pool, now_s) is not Supply.OPEN for pool in observation.pools):
        return reached
    most = {pool.name: max(pool.planned, pool.planned_ahead, pool.min_replicas) for pool in observation.pools}
    fewer = {name: most[name] for name, count in decision.replicas.items() if count > most[name]}
    reasons = {
        name: f"{decision.reasons[name].rstrip('.')}; while the fleet comes up only the planned {count} are asked for."
        for name, count in fewer.items()
    }
    return replace(
        reached,
        decision=replace(decision, replicas={**decision.replicas, **fewer}, reasons={**decision.reasons, **reasons}),
    )
