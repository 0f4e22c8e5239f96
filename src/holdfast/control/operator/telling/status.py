"""The status of the InferenceFleet that an account of a look comes to."""

from __future__ import annotations

import re
from collections.abc import Mapping

from holdfast.control.operator.account import Account
from holdfast.control.operator.telling.conditions import conditions
from holdfast.model import instants
from holdfast.model.plan import Plan
from holdfast.model.pools import CapacityPool, RoutingMode
from holdfast.model.status import FleetStatus, PoolStatus

REFRESH_S = 30.0
"""How long figures within sentences may be old: rates and remaining seconds change at every look, and each write of a
status goes to everybody who watches the fleet."""

_HELD = "its weight is held, as no decision was carried out"

_FIGURE = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?")


def status(account: Account, before: FleetStatus | None) -> FleetStatus:
    """What the operator last saw and did. before: what stands there. The same arguments give the same status."""
    pools = _pools(account, before)
    told = conditions(account, () if before is None else before.conditions)
    units = 0 if account.plan is None else len(account.plan.pools)
    ready = sum(pool.ready_replicas > 0 for pool in pools)
    return FleetStatus(
        observed_generation=account.generation,
        mode=_mode(account, before),
        pools=pools,
        pools_ready=f"{ready}/{len(pools) or units}",
        weights="/".join(str(pool.weight) for pool in pools),
        shortages=sum(pool.shortage for pool in pools),
        cost_per_hour=f"${cost_usd_per_h(account):,.2f}",
        proposal=account.proposal,
        conditions=told,
    )


def cost_usd_per_h(account: Account) -> float:
    """US dollars per hour of the replicas that are there: ready, or with their capacity and loading."""
    if account.plan is None or account.observation is None:
        return 0.0
    prices = {pool.unit: pool.price_usd_per_h for pool in account.plan.pools}
    return sum((pool.ready + pool.starting) * prices[pool.name] for pool in account.observation.pools)


def worth_writing(before: FleetStatus | None, after: FleetStatus, age_s: float) -> bool:
    """Whether `after` is to be written over `before`, which was written `age_s` seconds ago.

    At once when anything changed but figures within sentences, and these when they are older than REFRESH_S.
    """
    if before is None or after == before:
        return before is None
    return age_s >= REFRESH_S or _without_figures(after) != _without_figures(before)


def _without_figures(status: FleetStatus) -> FleetStatus:
    pools = [pool.model_copy(update={"reason": _FIGURE.sub("#", pool.reason)}) for pool in status.pools]
    told = [one.model_copy(update={"message": _FIGURE.sub("#", one.message)}) for one in status.conditions]
    return status.model_copy(update={"pools": tuple(pools), "conditions": tuple(told)})


def _mode(account: Account, before: FleetStatus | None) -> RoutingMode:
    if account.applied is not None:
        return account.applied.mode
    return RoutingMode.COST_OPTIMIZED if before is None else before.mode


def _pools(account: Account, before: FleetStatus | None) -> tuple[PoolStatus, ...]:
    """In the order of the plan; as they were where they were not looked at."""
    if account.plan is None or account.observation is None:
        return () if before is None else before.pools
    seen = {pool.name: pool for pool in account.observation.pools}
    return tuple(_pool(account, seen[unit]) for unit in _units(account.plan, seen))


def _units(plan: Plan, seen: Mapping[str, CapacityPool]) -> list[str]:
    return [pool.unit for pool in plan.pools if pool.unit in seen]


def _pool(account: Account, pool: CapacityPool) -> PoolStatus:
    applied = account.applied
    decision = None if account.refused else account.decision
    asked = pool.ready + pool.pending
    # What a decision asks for is beside the replicas that have an interruption notice.
    if decision is not None and pool.name in decision.replicas:
        asked = decision.replicas[pool.name] + pool.draining
    return PoolStatus(
        unit=pool.name,
        weight=0 if applied is None else applied.weights.get(pool.name, 0),
        ready_replicas=pool.ready,
        desired_replicas=asked,
        lasting_replicas=pool.lasting,
        stable_since=instants.rfc3339(pool.ready_since_s),
        shortage=any(fact.holds(account.now_s) for fact in pool.shortages),
        reason=_HELD if decision is None else decision.reasons.get(pool.name, _HELD),
    )
