"""The fleet that a scenario runs on: what a plan says of each pool, in the terms of a simulation.

One replica serves `slots` requests at once. By a load curve of the unit (the one given, else the plan's), n of them go
forward at the rate that the curve has for n in flight, up to the number that reaches its plateau: more of them bring
nothing, and wait first come first served. A replica with all slots taken does what its unit was seen to do at most, its
limit or the plateau; rates below that are raised by a part of the same share that grows with n. (Between two requests
of a closed loop the device waits for the client, and levels of a few requests scatter.)

Without a curve of two levels, slots = limit x latency at the limit (Little 1961, doi:10.1287/opre.9.3.383), and a
request takes slots / limit, alone or not: the replica reaches exactly its limit, and is as quick below it. That is an
assumption: it overstates latency at low load for engines that batch, and wherever requests queued when the limit was
measured, as those that waited are taken for served.

A replica is paid as its part of an instance, whether or not the others of the instance are used.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from holdfast.manifests.scaling import bounds
from holdfast.model.curve import Curve
from holdfast.model.errors import InputError
from holdfast.model.fleet import CapacityType, DeploymentUnit
from holdfast.model.plan import Plan, PoolPlan
from holdfast.simulation.events import Scope
from holdfast.simulation.scenario import ColdStart, Scenario
from holdfast.simulation.traffic import Service

HOUR_S = 3600.0

PLATEAU = 0.95
"""Share of a load curve's highest rate that counts as having reached it: measured levels scatter by a few per cent."""


@dataclass(frozen=True)
class Lot:
    """Where and how replicas of a pool are bought: zone ("" where the fleet names none), way, and price of one.

    planned: replicas by period of the plan.
    """

    zone: str
    capacity_type: CapacityType
    usd_per_h: float
    planned: tuple[int, ...]


@dataclass(frozen=True)
class Pool:
    """One pool of a simulated fleet.

    planned: replicas by period of the plan: of each hour of the day, or the one of all time.
    kept:    replicas that its autoscaler leaves it at least, as it is rendered.
    weight:  of the plan, at its highest demand.
    curve:   what its service is made of; None where that is its limit and the mean latency there.
    starts_at_s: the time of day at which time begins.
    at_once: requests that a replica has in hand at its limit, as the plan says.
    """

    name: str
    accelerator: str
    limit_per_s: float
    usd_per_million_requests: float
    weight: int
    planned: tuple[int, ...]
    min_replicas: int
    max_replicas: int
    kept: int
    lots: tuple[Lot, ...]
    service: Service
    curve: Curve | None
    cold_start: ColdStart
    starts_at_s: float = 0.0
    at_once: int = 1

    def planned_at(self, t_s: float) -> int:
        """The plan's replicas at a moment."""
        return self.planned[_period(self.starts_at_s + t_s, len(self.planned))]

    def planned_ahead_at(self, t_s: float) -> int:
        """Those of the moment when a replica that is asked for now is up, however long it takes."""
        return self.planned_at(t_s + self.cold_start.longest_s)

    def lot_planned_at(self, lot: int, t_s: float) -> int:
        planned = self.lots[lot].planned
        return planned[_period(self.starts_at_s + t_s, len(planned))]

    def lots_in(self, scope: Scope) -> tuple[int, ...]:
        """The numbers of its lots that the scope means."""
        if scope.unit not in (None, self.name) or scope.accelerator not in (None, self.accelerator):
            return ()
        return tuple(
            number
            for number, lot in enumerate(self.lots)
            if scope.zone in (None, lot.zone) and scope.capacity_type in (None, lot.capacity_type)
        )


def pools(plan: Plan, scenario: Scenario, curves: Mapping[str, Curve]) -> tuple[Pool, ...]:
    """The pools of the plan. Raises InputError where the plan or the scenario lacks what is needed of one, or the
    scenario names what the fleet does not have.

    curves: load curves of one replica, by unit, instead of the plan's.
    """
    found = tuple(_pool(plan, pool, scenario, curves.get(pool.unit)) for pool in plan.pools)
    _refuse_strangers(scenario, found, plan)
    return found


def service(limit_per_s: float, latency_s: float, queue: int) -> Service:
    """That of a replica with this limit and this mean latency at it."""
    slots = max(1, round(limit_per_s * latency_s))
    return Service(slots, (slots / limit_per_s,) * slots, queue)


def service_of_curve(curve: Curve, slots: int | None, queue: int, seen_per_s: float = 0.0) -> Service:
    """That of a replica with this load curve; as many slots as reach its plateau where no number is given.

    seen_per_s: what it was seen to do beside the curve, 0 for nothing.
    """
    most = max(1, math.ceil(curve.in_flight[-1]))
    enough = (n for n in range(1, most) if curve.rate_per_s(n) >= PLATEAU * curve.plateau_per_s)
    count = slots or next(enough, most)
    full_per_s = curve.rate_per_s(count)
    most_per_s = max(seen_per_s, full_per_s if slots else curve.plateau_per_s)
    lift = (most_per_s / full_per_s - 1) / count
    return Service(count, tuple(n / (curve.rate_per_s(n) * (1 + n * lift)) for n in range(1, count + 1)), queue)


def _telling(curve: Curve | None) -> Curve | None:
    """The curve, unless it has one level: that says no more than the limit does."""
    return curve if curve is not None and len(curve.in_flight) > 1 else None


def _period(t_s: float, periods: int) -> int:
    """Of a plan: the hour of the day, where it has 24."""
    return int(t_s // HOUR_S) % periods


def _pool(plan: Plan, pool: PoolPlan, scenario: Scenario, given: Curve | None) -> Pool:
    unit, curve = plan.fleet.unit(pool.unit), _telling(given) or _telling(pool.held or pool.curve)
    cold_start = scenario.spec.cold_start_of(unit.name, unit.framework)
    if cold_start is None:
        raise InputError(
            f"the scenario does not say how long a replica of {unit.name} takes to come up",
            where=_place(scenario, "spec.coldStart"),
            mend=f"add {unit.name}, {unit.framework} or any",
        )
    lots = _lots(plan, pool, unit)
    periods = max(1, len(plan.periods)) if pool.allotments else 1
    by_period = tuple(sum(lot.planned[period] for lot in lots) for period in range(periods))
    return Pool(
        name=pool.unit,
        accelerator=unit.accelerator,
        limit_per_s=pool.limit_per_s,
        usd_per_million_requests=pool.usd_per_million_requests,
        weight=pool.weight,
        planned=by_period if pool.allotments else (pool.replicas,),
        min_replicas=pool.autoscaling.min_replicas,
        max_replicas=pool.autoscaling.max_replicas,
        kept=bounds.fewest(plan.fleet, pool)[0],
        lots=lots,
        service=_service(pool, unit, curve, queue=scenario.spec.replica.queue),
        curve=curve,
        cold_start=cold_start,
        starts_at_s=scenario.spec.starts_at_s,
        at_once=pool.at_once,
    )


def _service(pool: PoolPlan, unit: DeploymentUnit, curve: Curve | None, *, queue: int) -> Service:
    if curve is not None:
        # The plan's limit is of the plan's curve: another one may have been measured since, and say less.
        seen_per_s = pool.limit_per_s if curve in (pool.held, pool.curve) else 0.0
        return service_of_curve(curve, unit.max_num_seqs, queue, seen_per_s)
    if pool.latency_s is None:
        raise InputError(
            f"the plan has no mean latency of {pool.unit} at its limit, so nothing says how many it serves at once",
            mend="plan it on measurements with latency_avg_s, or on a run",
        )
    return service(pool.limit_per_s, pool.latency_s, queue)


def _lots(plan: Plan, pool: PoolPlan, unit: DeploymentUnit) -> tuple[Lot, ...]:
    """As the plan buys, and in the other zones of the unit in its main way at the mean price."""
    lots = [Lot(each.zone, each.capacity_type, each.replica_usd_per_h, each.replicas) for each in pool.allotments]
    there = {(lot.zone, lot.capacity_type) for lot in lots}
    periods = max(1, len(plan.periods))
    for zone in unit.zones or plan.fleet.spec.zones or ("",):
        if (zone, unit.capacity_type) not in there:
            planned = pool.replicas if not lots else 0
            lots.append(Lot(zone, unit.capacity_type, pool.price_usd_per_h, (planned,) * periods))
    return tuple(lots)


def refuse_scope(scope: Scope, found: Sequence[Pool], where: str) -> None:
    """Raises InputError where the scope names what the fleet does not have, or means none of its replicas."""
    _refuse("unit", scope.unit, [pool.name for pool in found], where)
    _refuse("accelerator", scope.accelerator, [pool.accelerator for pool in found], where)
    _refuse("zone", scope.zone, [lot.zone for pool in found for lot in pool.lots], where)
    if not any(pool.lots_in(scope) for pool in found):
        raise InputError(f"the fleet has no replicas of {scope}", where=where, mend="widen the event's scope")


def _refuse_strangers(scenario: Scenario, found: tuple[Pool, ...], plan: Plan) -> None:
    """Names in events and cold starts that nothing of the fleet has: a typing error, or another fleet's scenario."""
    for number, event in enumerate(scenario.spec.events):
        scope = event.limit or event.loss or event.reclaim or event.price
        if scope is not None:
            refuse_scope(scope, found, _place(scenario, f"spec.events.{number}"))
    known = ["any", *(pool.name for pool in found), *(unit.framework for unit in plan.fleet.spec.units)]
    for key in scenario.spec.cold_start:
        _refuse("unit or framework", key, known, _place(scenario, "spec.coldStart"))


def _place(scenario: Scenario, key: str) -> str:
    """Where in which of several scenarios something is wrong."""
    return f"scenario {scenario.metadata.name}, {key}"


def _refuse(kind: str, name: str | None, known: list[str], where: str) -> None:
    if name is None or name in known:
        return
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    listed = ", ".join(sorted({each for each in known if each}))
    mend = f"did you mean {near[0]!r}" if near else f"known: {listed}" if listed else "the fleet names none"
    raise InputError(f"the fleet has no {kind} {name!r}", where=where, mend=mend)
