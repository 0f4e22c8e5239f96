"""Plans, what the operator makes of them, and a fleet that owns it."""

from __future__ import annotations

from typing import Any

from holdfast import catalog
from holdfast.control.decision import Decision
from holdfast.control.operator.keeping import desired
from holdfast.control.operator.keeping.desired import Desired
from holdfast.kube.kinds import Object
from holdfast.model.fleet import DataPlane
from holdfast.model.plan import Plan
from holdfast.model.pools import CapacityPool, RoutingMode, Shortage
from manifests.conftest import OPEN, SD21_UNITS
from manifests.conftest import _example as example
from manifests.conftest import _plan as plan_of
from manifests.test_manifest_golden import NAMES

NOW_S = 1_795_000_000.125
HOST = OPEN["edge"]["host"]
JWT = {"jwt": {"issuer": "https://id.example.com", "jwksEndpoint": "https://id.example.com/jwks"}}
DRA = {
    "name": "h100",
    "accelerator": "h100",
    "instanceType": "p5.48xlarge",
    "framework": "vllm",
    "dra": True,
    "nodes": "node-groups",
}


def owner(plan: Plan) -> Object:
    """The resource of the plan's fleet, as far as owner references need it."""
    named = {"name": plan.fleet.metadata.name, "namespace": plan.fleet.metadata.namespace, "uid": "0f1e"}
    return {"apiVersion": "holdfast.dev/v1alpha1", "kind": "InferenceFleet", "metadata": named}


def desired_of(plan: Plan) -> Desired:
    return desired.desired(plan, catalog.equipment_of(plan.fleet), owner(plan))


def all_of(wanted: Desired) -> list[Object]:
    """All objects of the plan, with its own weights and bounds."""
    route = desired.route(wanted, desired.in_force(wanted, None, NOW_S))
    held = desired.scalers(wanted, decision(wanted.plan, {}), (), {}, NOW_S)
    return [*wanted.standing.values(), route, *held.values()]


def every_plan() -> list[Plan]:
    """Of all fleets in examples/deploy, and what none of them has."""
    asked = plan_of(data_plane=DataPlane.GATEWAY_API, cluster={"edge": {"host": HOST, "authentication": JWT}})
    claims = plan_of((SD21_UNITS[0], DRA), cluster=OPEN | {"kubernetesVersion": "1.34"})
    return [*(example(name) for name in NAMES), asked, claims, of_seven()]


def of_seven(data_plane: DataPlane = DataPlane.ALB) -> Plan:
    """Seven pools for five target groups; weights 94 and six times 1."""
    units = tuple(SD21_UNITS[0] | {"name": f"unit-{n}"} for n in range(7))
    return plan_of(units, data_plane=data_plane)


def decision(plan: Plan, replicas: dict[str, int], **more: Any) -> Decision:
    """The plan's weights, with those replicas asked for."""
    given: dict[str, Any] = {
        "weights": {pool.unit: pool.weight for pool in plan.pools},
        "replicas": replicas,
        "mode": RoutingMode.COST_OPTIMIZED,
        "mode_since_s": 0.0,
        "last_shift_s": 0.0,
        "next_look_s": 0.0,
        "reasons": {},
        "summary": "",
    }
    return Decision(**given | more)


def pool(name: str, *, draining: int = 0, short_until_s: float | None = None) -> CapacityPool:
    """Six replicas are ready of a pool; a shortage holds where one is given."""
    short = () if short_until_s is None else (Shortage(name, NOW_S - 60, short_until_s, "no capacity"),)
    return CapacityPool(name, 1.75, 120.3, 6, 0, 6, 0, 20, 0.0, short, draining)
