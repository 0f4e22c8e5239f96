"""A fleet with each kind of pool, and objects as the API server has them, for the tests of the operator's observing."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from holdfast import catalog
from holdfast.control.observation import Applied
from holdfast.control.operator.seeing.seen import Key, Reading, Seen
from holdfast.manifests.placement import Placement, placements
from holdfast.model.fleet import CapacityPolicy, CapacityType, DeploymentUnit, InferenceFleet
from holdfast.model.plan import Allotment, Plan, PlanPeriod, PlanStatus, PoolPlan
from holdfast.model.pools import RoutingMode
from holdfast.planning.autoscaling import autoscaling

Object = dict[str, Any]

NOW_S = datetime.datetime(2026, 11, 21, 12, 0, tzinfo=datetime.UTC).timestamp()
"""Noon in UTC."""

UNITS: tuple[Object, ...] = (
    {"name": "inf2", "accelerator": "inferentia2", "instanceType": "inf2.xlarge", "framework": "neuronx"},
    {
        "name": "apart",
        "accelerator": "h200",
        "instanceType": "p5en.48xlarge",
        "framework": "vllm",
        "tensorParallel": 16,
        "maxNumSeqs": 64,
        "maxModelLen": 8192,
        "disaggregated": {"prefill": 1, "decode": 2},
    },
    {
        "name": "groups",
        "accelerator": "a10g",
        "instanceType": "g5.xlarge",
        "framework": "triton",
        "nodes": "node-groups",
    },
    {
        "name": "both",
        "accelerator": "a10g",
        "instanceType": "g5.xlarge",
        "framework": "triton",
        "nodes": "node-groups",
        "capacityTypes": ["spot", "on-demand"],
    },
    {"name": "own", "accelerator": "l4", "instanceType": "g6.xlarge", "framework": "triton", "nodes": "hybrid"},
)
"""A Deployment on Karpenter's nodes, prefill and decode by LeaderWorkerSets of two nodes each, Deployments on a
node group and on two, and one on hybrid nodes."""

FLEET = InferenceFleet.model_validate(
    {
        "apiVersion": "holdfast.dev/v1alpha1",
        "kind": "InferenceFleet",
        "metadata": {"name": "sd", "namespace": "ml"},
        "spec": {
            "model": {"id": "some/model"},
            "workload": {"api": "chat", "inputTokens": {"mean": 100}, "outputTokens": {"mean": 100}},
            "slo": {"latency": {"p95": "9s"}},
            "demand": {"rate": "12/s", "peak": "20/s"},
            "units": list(UNITS),
        },
    }
)
APPLIED = Applied({"inf2": 100}, RoutingMode.COST_OPTIMIZED, NOW_S - 999, NOW_S - 999)
READING = Reading(12.0, 5.0)


def pool_plan(unit: DeploymentUnit, hours: Sequence[int] = ()) -> PoolPlan:
    """Two replicas, or so many by the hour."""
    allotment = Allotment(unit.name, "", CapacityType.ON_DEMAND, 1.0, 1, tuple(hours))
    return PoolPlan(
        unit=unit.name,
        replicas=max(hours, default=2),
        weight=25,
        limit_per_s=1.5,
        price_usd_per_h=1.0,
        usd_per_million_requests=185.2,
        tokens_per_usd=None,
        expected_per_s=1.0,
        utilization=0.7,
        autoscaling=autoscaling(unit, 1.5, CapacityPolicy(), latency_s=2.0),
        reason="made up",
        limit_source="made up",
        price_source="made up",
        allotments=(allotment,) if hours else (),
        latency_s=2.0,
    )


def placed(fleet: InferenceFleet = FLEET, hours: Sequence[int] = ()) -> tuple[Placement, ...]:
    pools = tuple(pool_plan(unit, hours) for unit in fleet.spec.units)
    periods = tuple(PlanPeriod(10.0, 10.0) for _ in hours)
    plan = Plan(1, fleet, PlanStatus.FEASIBLE, 10.0, 0.0, 20.0, pools, {}, (), ("made up",), periods)
    return placements(plan, catalog.equipment_of(fleet))


PLACED = placed()
BY_UNIT = {placement.unit.name: placement for placement in PLACED}


def at(moment_s: float) -> str:
    """As Kubernetes writes a Time: whole seconds."""
    return datetime.datetime.fromtimestamp(moment_s, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def condition(name: str, status: bool, since_s: float | None = None, reason: str = "") -> Object:
    found: Object = {"type": name, "status": str(status), "reason": reason}
    return found if since_s is None else found | {"lastTransitionTime": at(since_s)}


def pod(
    unit: str = "inf2",
    name: str = "",
    *,
    node: str = "",
    ready: bool = False,
    bound_s: float | None = None,
    waiting_s: float | None = None,
    going: bool = False,
    labels: Mapping[str, str] | None = None,
) -> Object:
    """A pod of the unit; bound_s: since when it has a node; waiting_s: since when none takes it."""
    conditions = [condition("Ready", ready)]
    if bound_s is not None:
        conditions.append(condition("PodScheduled", True, bound_s))
    if waiting_s is not None:
        conditions.append(condition("PodScheduled", False, waiting_s, "Unschedulable"))
    metadata: Object = {
        "name": name or f"sd-{unit}-0",
        "namespace": "ml",
        "labels": {"app.kubernetes.io/name": "sd", "app.kubernetes.io/instance": f"sd-{unit}"} | dict(labels or {}),
        "creationTimestamp": at(NOW_S - 5000),
    }
    if going:
        metadata["deletionTimestamp"] = at(NOW_S)
    return {"metadata": metadata, "spec": {"nodeName": node} if node else {}, "status": {"conditions": conditions}}


def server(role: str, group: int, *, ready: bool = True, node: str = "", size: int = 2, of: int = 2) -> list[Object]:
    """The first `size` of the `of` pods of a group of the pool `apart`; all but the leader are never ready."""
    found = [
        pod(
            "apart",
            f"sd-apart-{role}-{group}" + (f"-{rank}" if rank else ""),
            node=node or f"{role}-{group}-{rank}",
            ready=ready and rank == 0,
            bound_s=NOW_S - 600 + group,
            labels={
                "llm-d.ai/role": role,
                "leaderworkerset.sigs.k8s.io/group-index": str(group),
                "leaderworkerset.sigs.k8s.io/worker-index": str(rank),
            },
        )
        for rank in range(size)
    ]
    for each in found:
        each["metadata"]["annotations"] = {"leaderworkerset.sigs.k8s.io/size": str(of)}
    return found


def workload(name: str, replicas: int | None, kind: str = "Deployment") -> tuple[Key, Object]:
    return (kind, name), {"metadata": {"name": name}, "spec": {} if replicas is None else {"replicas": replicas}}


def node(name: str, *taints: str, created_s: float = NOW_S - 5000, added_s: float | None = None) -> Object:
    since = {} if added_s is None else {"timeAdded": at(added_s)}
    return {
        "metadata": {"name": name, "creationTimestamp": at(created_s)},
        "spec": {"taints": [{"key": key, "effect": "NoSchedule"} | since for key in taints]},
    }


def claim(name: str, *conditions: Object, node: str = "", going: bool = False) -> Object:
    metadata: Object = {"name": name, "labels": {"karpenter.sh/nodepool": name[:-6]}}
    if going:
        metadata["deletionTimestamp"] = at(NOW_S)
    return {"metadata": metadata, "status": {"conditions": list(conditions)} | ({"nodeName": node} if node else {})}


def event(reason: str, kind: str, name: str, at_s: float, note: str = "", namespace: str = "default") -> Object:
    """As events.k8s.io/v1 shows an Event that was written by core/v1, which Karpenter does."""
    regarding: Object = {"kind": kind, "name": name} | ({"namespace": namespace} if kind == "Pod" else {})
    return {
        "metadata": {"name": f"{name}.{int(at_s)}", "namespace": namespace, "uid": f"{reason}-{name}-{at_s}"},
        "eventTime": None,
        "deprecatedFirstTimestamp": at(at_s),
        "deprecatedLastTimestamp": at(at_s),
        "deprecatedCount": 1,
        "reason": reason,
        "note": note,
        "regarding": regarding,
        "type": "Warning",
    }


def seen(
    *,
    pods: Iterable[Object] = (),
    workloads: Iterable[tuple[Key, Object]] = (),
    nodes: Iterable[Object] = (),
    claims: Iterable[Object] = (),
    events: Iterable[Object] = (),
    status: Object | None = None,
) -> Seen:
    return Seen(
        fleet={"metadata": {"name": "sd", "namespace": "ml"}} | ({} if status is None else {"status": status}),
        managed=dict(workloads),
        pods=tuple(pods),
        nodes={each["metadata"]["name"]: each for each in nodes},
        node_claims={each["metadata"]["name"]: each for each in claims},
        events=tuple(events),
    )
