"""The objects of a plan, and what a decision makes of those that steer.

`desired` renders once for a plan. At each look `route` and `scalers` make anew the few objects that a decision changes:
they are not among `Desired.standing`, so that nobody applies the plan's weights in the middle of a failover.

Replicas belong to the scaler: Deployments and LeaderWorkerSets are applied without, and what a decision asks for is the
least that their ScaledObject or HorizontalPodAutoscaler may have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from holdfast.control import shortages
from holdfast.control.decision import Decision
from holdfast.control.observation import Applied
from holdfast.control.operator.keeping import changed, drift, routing_record
from holdfast.control.operator.keeping.routing_record import Record
from holdfast.control.operator.seeing.seen import Key
from holdfast.control.shortages import Supply
from holdfast.kube.kinds import Object
from holdfast.manifests import Manifest
from holdfast.manifests.fleet import tree as fleet_tree
from holdfast.manifests.placement import Placement
from holdfast.manifests.render import base, placed_on
from holdfast.manifests.routing import tree as routing
from holdfast.model.hardware import Accelerator, InstanceType
from holdfast.model.plan import Plan
from holdfast.model.pools import CapacityPool, RoutingMode


@dataclass(frozen=True)
class Scaler:
    """What scales a pool's servers, with the plan's bounds. servers: of one replica of the pool."""

    object: Object
    unit: str
    servers: int
    most_replicas: int


@dataclass(frozen=True)
class Desired:
    """What the operator keeps of a fleet on a plan.

    standing:    objects that no decision changes, as they are to be applied.
    scalers:     to be made ready by the function `scalers`; route: key of what `route` makes.
    weighs_pools: whether the route shares traffic out among the pools. Where a cascade or llm-d's picker does, the
                 decision's weights stand in the route's annotation alone, and steering is by replicas.
    needed:      objects that the operator does not write: of the whole cluster, and rights. They are in the
                 folder `fleet` of a tree (`manifests.fleet`).
    """

    plan: Plan
    standing: Mapping[Key, Object]
    scalers: Mapping[Key, Scaler]
    route: Key
    weighs_pools: bool
    needed: tuple[Object, ...]
    placed: tuple[Placement, ...]
    owner: Object

    @property
    def keys(self) -> frozenset[Key]:
        """Of all that the operator applies."""
        return frozenset({self.route, *self.standing, *self.scalers})


def desired(plan: Plan, hardware: Mapping[str, tuple[InstanceType, Accelerator]], fleet: Object) -> Desired:
    """The objects of the plan, each owned by `fleet`, the resource as the API server has it.

    Raises InputError as `manifests.render` does.
    """
    placed = placed_on(plan, hardware)
    objects = [file.object for file in base(plan, placed) if isinstance(file, Manifest)]
    owner = _owner(fleet)
    ours = {_key(found): found for found in objects if fleet_tree.is_the_operators(found)}
    route = _key(routing.route(plan, placed).object)
    scalers = _scalers(placed, ours)
    return Desired(
        plan=plan,
        standing={key: _applied(ours[key], owner) for key in ours.keys() - scalers.keys() - {route}},
        scalers=scalers,
        route=route,
        weighs_pools=routing.weighs_pools(plan.fleet),
        needed=tuple(found for found in objects if not fleet_tree.is_the_operators(found)),
        placed=placed,
        owner=owner,
    )


def route(wanted: Desired, record: Record) -> Object:
    """The route with the weights of the record, and the record itself."""
    made = routing.route(wanted.plan, wanted.placed, record.applied.weights).object
    described = made["metadata"]
    annotations = described["annotations"] | {routing_record.ROUTING: routing_record.text(record)}
    return _applied(made | {"metadata": described | {"annotations": annotations}}, wanted.owner)


def remade(wanted: Desired, live: Object, by_service: Mapping[str, int], record: Record) -> Object:
    """The route as it is, whatever plan it was made for, with the weights of its Services, and the record."""
    made, described = routing_record.with_weights(live, by_service), live["metadata"]
    noted = made["metadata"]["annotations"] | {routing_record.ROUTING: routing_record.text(record)}
    kept = {key: described[key] for key in ("name", "namespace", "labels") if key in described}
    whole = {key: made[key] for key in ("apiVersion", "kind", "spec")}
    return _applied(whole | {"metadata": kept | {"annotations": noted}}, wanted.owner)


def scalers(
    wanted: Desired,
    decision: Decision,
    pools: Sequence[CapacityPool],
    live: Mapping[Key, Object],
    now_s: float,
) -> dict[Key, Object]:
    """The scalers with the bounds of the decision, in servers.

    The least is what the decision asks for, and as many more as have an interruption notice: those still count for what
    is scaled, until they are evicted. The most is the plan's; where the pool can get no capacity, no more than is asked
    for, so that no load asks for what cannot be had. A pool that the decision does not name keeps its bounds.

    pools: as they were observed for the decision. live: objects as the API server has them.
    """
    observed = {pool.name: pool for pool in pools}
    return {
        key: _applied(
            _bounded(scaler.object, _bounds(scaler, decision, observed.get(scaler.unit), live.get(key), now_s)),
            wanted.owner,
        )
        for key, scaler in wanted.scalers.items()
    }


def in_force(wanted: Desired, live: Object | None, now_s: float) -> Record:
    """The routing in force: what the route remembers.

    A route whose memory is lost keeps the weights that it has, and the fleet is taken as failed over since now: its
    pools must prove themselves. Where there is no route yet the plan's weights begin, for ever in force.
    """
    record = routing_record.read(live)
    if record is not None:
        return record
    plan = {pool.unit: pool.weight for pool in wanted.plan.pools}
    if live is None:
        return Record(Applied(plan, RoutingMode.COST_OPTIMIZED, 0.0, 0.0), 0, stood=False)
    weights = routing_record.weights_of(live, wanted.placed) if wanted.weighs_pools else None
    return Record(Applied(weights or plan, RoutingMode.CAPACITY_OPTIMIZED, now_s, now_s), 0)


def surplus(wanted: Desired, live: Mapping[Key, Object]) -> tuple[Key, ...]:
    """What the operator has applied for the fleet and wants no more, such as the objects of a pool that was given up.

    Not what others, or people by `kubectl apply`, made for it.
    """
    return tuple(sorted(key for key, found in live.items() if key not in wanted.keys and _is_applied(found, wanted)))


def missing_node_pools(wanted: Desired, there: frozenset[str]) -> tuple[str, ...]:
    """Names of the NodePools that the plan needs and the cluster lacks: their pods would wait for ever."""
    needed = {found["metadata"]["name"] for found in wanted.needed if found["kind"] == "NodePool"}
    return tuple(sorted(needed - there))


def _key(found: Object) -> Key:
    return found["kind"], found["metadata"]["name"]


def _owner(fleet: Object) -> Object:
    return {
        "apiVersion": fleet["apiVersion"],
        "kind": fleet["kind"],
        "name": fleet["metadata"]["name"],
        "uid": fleet["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _applied(found: Object, owner: Object) -> Object:
    return drift.stamped(found | {"metadata": found["metadata"] | {"ownerReferences": [owner]}})


def _is_applied(found: Object, wanted: Desired) -> bool:
    described = found["metadata"]
    owners = [reference["uid"] for reference in described.get("ownerReferences", [])]
    return drift.APPLIED in described.get("annotations", {}) and wanted.owner["uid"] in owners


def _scalers(placed: Sequence[Placement], objects: Mapping[Key, Object]) -> dict[Key, Scaler]:
    return {
        (kind, target.name): Scaler(
            objects[kind, target.name],
            placement.unit.name,
            target.servers_per_replica,
            placement.pool.autoscaling.max_replicas,
        )
        for placement in placed
        for target in placement.scale_targets
        for kind in changed.BOUNDS
        if (kind, target.name) in objects
    }


def _bounds(
    scaler: Scaler, decision: Decision, pool: CapacityPool | None, live: Object | None, now_s: float
) -> tuple[int, int]:
    """Least and most servers."""
    asked = decision.replicas.get(scaler.unit)
    if pool is None or asked is None:
        return _kept(scaler, live)
    least = asked + pool.draining
    most = scaler.most_replicas if shortages.supply(pool, now_s) is Supply.OPEN else least
    return least * scaler.servers, max(most, least) * scaler.servers


def _kept(scaler: Scaler, live: Object | None) -> tuple[int, int]:
    """The bounds that the live object has, or those of the plan."""
    planned = scaler.object["spec"]
    there = planned if live is None else planned | live["spec"]
    least, most = (there[field] for field in changed.BOUNDS[scaler.object["kind"]])
    return least, most


def _bounded(found: Object, bounds: tuple[int, int]) -> Object:
    """The scaler with other bounds. No HorizontalPodAutoscaler has fewer than 1 as its most, nor, without KEDA, as its
    least; KEDA makes one of its ScaledObject."""
    least, most = bounds
    lowest = 1 if found["kind"] == "HorizontalPodAutoscaler" else 0
    values = zip(changed.BOUNDS[found["kind"]], (max(least, lowest), max(most, 1)), strict=True)
    return found | {"spec": found["spec"] | dict(values)}
