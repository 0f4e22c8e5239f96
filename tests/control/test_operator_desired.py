"""What the operator applies of a plan, and what a decision changes of it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.desired_plans import NOW_S, all_of, decision, desired_of, every_plan, of_seven, owner, pool
from holdfast.control.observation import Applied
from holdfast.control.operator.keeping import desired, drift, routing_record
from holdfast.control.operator.keeping.desired import Desired
from holdfast.control.operator.keeping.routing_record import Record
from holdfast.control.operator.seeing.seen import Key
from holdfast.kube import kinds
from holdfast.kube.kinds import Object
from holdfast.model.fleet import DataPlane
from holdfast.model.plan import Plan
from holdfast.model.pools import RoutingMode
from manifests.conftest import SD21_UNITS
from manifests.conftest import _example as example
from manifests.conftest import _plan as plan_of
from manifests.conftest import _render as render
from manifests.test_manifest_golden import NAMES

SD21 = "sd21-five-units"
PD = "moe-700b-lws"
"""Prefill and decode are apart in its first pool, of which a replica has several servers each."""


def routed(wanted: Desired, weights: dict[str, int], term: int = 1) -> Object:
    return desired.route(wanted, Record(Applied(weights, RoutingMode.COST_OPTIMIZED, NOW_S, NOW_S), term))


def by_service(route: Object) -> dict[str, int]:
    """Weights by Service, as the load balancer's controller reads them."""
    if route["kind"] == "HTTPRoute":
        return {ref["name"]: ref["weight"] for ref in route["spec"]["rules"][0]["backendRefs"]}
    action = json.loads(route["metadata"]["annotations"]["alb.ingress.kubernetes.io/actions.weighted-pools"])
    return {group["serviceName"]: group["weight"] for group in action["forwardConfig"]["targetGroups"]}


def bounds(found: Object) -> tuple[int, int]:
    spec = found["spec"]
    if found["kind"] == "ScaledObject":
        return spec["minReplicaCount"], spec["maxReplicaCount"]
    return spec["minReplicas"], spec["maxReplicas"]


@pytest.mark.parametrize("plan", every_plan(), ids=lambda plan: plan.fleet.metadata.name)
def test_every_object_of_the_tree_is_either_applied_or_needed(plan: Plan) -> None:
    wanted = desired_of(plan)
    rendered = {(m.object["kind"], m.object["metadata"]["name"]) for p, m in render(plan).items() if "kustom" not in p}
    needed = {(found["kind"], found["metadata"]["name"]) for found in wanted.needed}
    assert wanted.keys | needed == rendered and not wanted.keys & needed
    assert {(found["kind"], found["metadata"]["name"]) for found in all_of(wanted)} == wanted.keys


@pytest.mark.parametrize("plan", every_plan(), ids=lambda plan: plan.fleet.metadata.name)
def test_what_is_applied_is_in_the_fleets_namespace_and_goes_with_it(plan: Plan) -> None:
    reference = {**owner(plan), "controller": True, "blockOwnerDeletion": True}
    named = reference.pop("metadata")
    for found in all_of(desired_of(plan)):
        described = found["metadata"]
        assert kinds.of(found).namespaced and described["namespace"] == named["namespace"]
        assert described["ownerReferences"] == [reference | {"name": named["name"], "uid": named["uid"]}]
        assert described["labels"]["app.kubernetes.io/managed-by"] == "holdfast"
        assert drift.APPLIED in described["annotations"]


def test_what_is_of_the_whole_cluster_or_grants_rights_is_for_people() -> None:
    needed = {found["kind"] for name in NAMES for found in desired_of(example(name)).needed}
    assert needed == {"Namespace", "NodePool", "EC2NodeClass", "NodeClass", "GatewayClass", "Role", "RoleBinding"}


@pytest.mark.parametrize("name", NAMES)
def test_no_replicas_are_applied_where_a_scaler_owns_them(name: str) -> None:
    wanted = desired_of(example(name))
    scaled = {
        tuple(s.object["spec"]["scaleTargetRef"][key] for key in ("kind", "name")) for s in wanted.scalers.values()
    }
    for key, found in wanted.standing.items():
        if key[0] in ("Deployment", "LeaderWorkerSet"):
            assert ("replicas" in found["spec"]) == (key not in scaled), "what nobody scales has its own"
    assert scaled <= wanted.standing.keys() and len(scaled) == len(wanted.scalers)


def test_with_the_plans_own_weights_the_route_and_scalers_are_the_trees() -> None:
    for plan in every_plan():
        wanted = desired_of(plan)
        tree = {(m.object["kind"], m.object["metadata"]["name"]): m.object for m in render(plan).values()
                if "metadata" in m.object}  # fmt: skip
        for found in all_of(wanted):
            key = (found["kind"], found["metadata"]["name"])
            own = {drift.APPLIED, routing_record.ROUTING}
            annotations = {k: v for k, v in found["metadata"]["annotations"].items() if k not in own}
            rest = {k: v for k, v in found["metadata"].items() if k != "ownerReferences"}
            assert found | {"metadata": rest | {"annotations": annotations}} == tree[key]


@pytest.mark.parametrize("plane", [DataPlane.ALB, DataPlane.GATEWAY_API])
def test_the_route_has_the_weights_of_the_decision(plane: DataPlane) -> None:
    wanted = desired_of(plan_of(data_plane=plane))
    found = routed(wanted, {"inf2-neuron": 0, "g5-triton": 100}, term=7)
    assert by_service(found) == {"sd21-inf2-neuron": 0, "sd21-g5-triton": 100}
    record = routing_record.read(found)
    assert record is not None and record.term == 7
    assert record.applied == Applied({"inf2-neuron": 0, "g5-triton": 100}, RoutingMode.COST_OPTIMIZED, NOW_S, NOW_S)


WANTED = {plane: desired_of(of_seven(plane)) for plane in (DataPlane.ALB, DataPlane.GATEWAY_API)}


@pytest.mark.parametrize("plane", WANTED)
@given(weights=st.lists(st.integers(0, 142), min_size=7, max_size=7))
def test_pools_of_one_target_group_add_up_and_are_remembered_apart(plane: DataPlane, weights: list[int]) -> None:
    named = {f"unit-{n}": weight for n, weight in enumerate(weights)}
    found = routed(WANTED[plane], named)
    assert len(by_service(found)) == 5 and sum(by_service(found).values()) == sum(weights)
    record = routing_record.read(found)
    assert record is not None and record.applied.weights == named


@pytest.mark.parametrize("name", ["gpt-oss-20b-g5", "llama-3.3-70b-llm-d"])
def test_behind_a_cascade_or_a_picker_weights_are_remembered_and_not_routed_by(name: str) -> None:
    wanted = desired_of(example(name))
    assert not wanted.weighs_pools
    units = [placement.unit.name for placement in wanted.placed]
    one, other = (routed(wanted, dict(zip(units, weights, strict=True))) for weights in ((0, 100), (100, 0)))
    assert one["spec"] == other["spec"]
    assert routing_record.read(one) != routing_record.read(other)


def test_only_a_pool_without_a_weight_in_the_decision_gets_none() -> None:
    assert by_service(routed(ONE, {"g5-triton": 100})) == {
        "sd21-inf2-neuron": 0,
        "sd21-g5-triton": 100,
    }


ONE = desired_of(plan_of(tuple(unit | {"maxReplicas": 20} for unit in SD21_UNITS)))


def scaled(wanted: Desired, replicas: dict[str, int], *pools: Any, live: Any = None) -> dict[str, tuple[int, int]]:
    made = desired.scalers(wanted, decision(wanted.plan, replicas), pools, live or {}, NOW_S)
    return {name: bounds(found) for (_, name), found in made.items()}


def test_a_pool_may_not_have_fewer_replicas_than_are_asked_for() -> None:
    assert scaled(ONE, {"g5-triton": 9}, pool("g5-triton"))["sd21-g5-triton"] == (9, 20)


def test_replicas_that_will_be_gone_still_count_for_what_is_scaled() -> None:
    found = scaled(ONE, {"g5-triton": 19}, pool("g5-triton", draining=3))
    assert found["sd21-g5-triton"] == (22, 22), "19 that last, beside 3 that are leaving"


@pytest.mark.parametrize(
    ("short_until_s", "expected"),
    [(NOW_S + 60, (6, 6)), (NOW_S - 1, (6, 6)), (NOW_S - 3600, (6, 20))],
    ids=["shut", "probed", "forgotten"],
)
def test_no_load_asks_for_what_cannot_be_had(short_until_s: float, expected: tuple[int, int]) -> None:
    found = scaled(ONE, {"g5-triton": 6}, pool("g5-triton", short_until_s=short_until_s))
    assert found["sd21-g5-triton"] == expected


def test_a_replica_is_as_many_servers_as_prefill_and_decode_take() -> None:
    wanted = desired_of(example(PD))
    units = {placement.unit.name: placement for placement in wanted.placed}
    apart = next(placement for placement in wanted.placed if placement.unit.disaggregated is not None)
    found = scaled(wanted, dict.fromkeys(units, 3), *(pool(name) for name in units))
    for target in apart.scale_targets:
        assert found[target.name][0] == 3 * target.servers_per_replica
    assert len(apart.scale_targets) == 2


@pytest.mark.parametrize("name", [SD21, "pilot-auto-mode"])
def test_a_pool_that_is_not_decided_on_keeps_the_bounds_that_it_has(name: str) -> None:
    wanted = desired_of(example(name))
    planned = scaled(wanted, {})
    assert planned == {name: bounds(scaler.object) for (_, name), scaler in wanted.scalers.items()}
    unit = next(iter(wanted.scalers.values())).unit
    earlier = desired.scalers(wanted, decision(wanted.plan, {unit: 7}), [pool(unit)], {}, NOW_S)
    assert desired.scalers(wanted, decision(wanted.plan, {}), [], earlier, NOW_S) == earlier


def test_an_autoscaler_has_one_replica_at_least_and_a_scaled_object_may_have_none() -> None:
    for cluster, least in (({"scaler": "hpa"}, 1), ({}, 0)):
        plan = plan_of(cluster={"edge": {"host": "a.example.com", "authentication": {"none": True}}} | cluster)
        short = pool("g5-triton", short_until_s=NOW_S + 60)
        assert scaled(desired_of(plan), {"g5-triton": 0}, short)["sd21-g5-triton"] == (least, 1)


@given(st.integers(0, 20), st.integers(0, 6), st.one_of(st.none(), st.floats(NOW_S - 3600, NOW_S + 60)))
def test_the_least_is_never_above_the_most(asked: int, draining: int, short_until_s: float | None) -> None:
    found = scaled(ONE, {"g5-triton": asked}, pool("g5-triton", draining=draining, short_until_s=short_until_s))
    least, most = found["sd21-g5-triton"]
    assert asked <= least <= most and most >= 1


def test_a_decision_changes_nothing_but_the_route_and_the_scalers() -> None:
    one, other = desired_of(example(SD21)), desired_of(example(SD21))
    assert one.standing == other.standing
    assert not {one.route, *one.scalers} & one.standing.keys()


def test_what_a_given_up_pool_leaves_behind_is_surplus() -> None:
    both, fewer = desired_of(example(SD21)), desired_of(example(SD21))
    live = {(found["kind"], found["metadata"]["name"]): found for found in all_of(both)}
    gone = next(iter(fewer.scalers))
    kept = {key: scaler for key, scaler in fewer.scalers.items() if key != gone}
    without = Desired(**{**vars(fewer), "scalers": kept})
    assert desired.surplus(without, live) == (gone,)
    assert desired.surplus(fewer, live) == ()


def test_what_others_made_for_the_fleet_is_no_surplus() -> None:
    wanted = desired_of(example(SD21))
    reference = [wanted.owner]
    theirs: Object = {"metadata": {"name": "notes", "labels": {"app.kubernetes.io/managed-by": "holdfast"}}}
    plan: Object = {"metadata": {"name": "sd21-plan", "ownerReferences": reference}}
    older: Object = {
        "metadata": {"name": "a", "annotations": {drift.APPLIED: "1"}, "ownerReferences": [{"uid": "another"}]}
    }
    live: dict[Key, Object] = {("ConfigMap", f"n{n}"): found for n, found in enumerate((theirs, plan, older))}
    assert desired.surplus(wanted, live) == ()


def test_node_pools_that_are_not_there_are_named() -> None:
    wanted = desired_of(example(SD21))
    every = frozenset(placement.node_pool for placement in wanted.placed)
    assert desired.missing_node_pools(wanted, frozenset()) == tuple(sorted(every))
    assert desired.missing_node_pools(wanted, every | {"another"}) == ()


def test_a_look_of_fifty_fleets_costs_a_hundredth_of_a_second_and_not_much_more() -> None:
    """Measured: 50 us for a route and 100 us for five scalers, on one core of 2.5 GHz; bounded fiftyfold."""
    wanted = desired_of(example(SD21))
    units = [placement.unit.name for placement in wanted.placed]
    began_s = time.process_time()
    for n in range(50):
        routed(wanted, dict.fromkeys(units, n % 20))
        scaled(wanted, dict.fromkeys(units, n % 20), *(pool(unit) for unit in units))
    assert time.process_time() - began_s < 0.5
