"""Accounts of looks at a small fleet, for tests of what people are told: two pools, decided as shipped."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from holdfast.control.decide import decide
from holdfast.control.observation import Applied, Observation
from holdfast.control.operator.account import Account
from holdfast.control.operator.telling import by_hand
from holdfast.model.fleet import InferenceFleet, RoutingPolicy
from holdfast.model.plan import Autoscaling, Plan, PlanStatus, PoolPlan
from holdfast.model.pools import CapacityPool, RoutingMode, Shortage

NOW_S = 1_795_000_000.0
LONG_AGO_S = NOW_S - 86_400.0

FLEET: dict[str, Any] = {
    "apiVersion": "holdfast.dev/v1alpha1",
    "kind": "InferenceFleet",
    "metadata": {"name": "sd21", "namespace": "inference", "generation": 3, "uid": "u-1", "resourceVersion": "77"},
    "spec": {
        "model": {"id": "stabilityai/stable-diffusion-2-1-base", "task": "text-to-image"},
        "workload": {"api": "images"},
        "slo": {"latency": {"p95": "0.9s"}},
        "demand": {"rate": "3/s"},
        "units": [
            {"name": name, "accelerator": kind, "instanceType": instance, "framework": "triton"}
            for name, kind, instance in (("inf2", "inferentia2", "inf2.xlarge"), ("g5", "a10g", "g5.xlarge"))
        ],
        "cluster": {"edge": {"authentication": {"none": True}}},
    },
}

_METADATA = {"name": "sd21", "namespace": "inference"}
DECLARED = InferenceFleet.model_validate(FLEET | {"metadata": _METADATA}, by_alias=True)
PRICES = {"inf2": 0.76, "g5": 1.006}


def _pool_plan(unit: str) -> PoolPlan:
    usd_per_million = PRICES[unit] / 3600 * 1e6
    scaling = Autoscaling("completed", 0.8, "requests/s", 1, 10)
    return PoolPlan(
        unit, 4, 50, 1.0, PRICES[unit], usd_per_million, None, 2.0, 0.5, scaling, "", "measured", "catalogue"
    )


PLAN = Plan(1, DECLARED, PlanStatus.FEASIBLE, 7.06, 0.0, 3.0, (_pool_plan("inf2"), _pool_plan("g5")), {}, (), ())


def pool(name: str, ready: int, pending: int = 0, **more: Any) -> CapacityPool:
    """Of 4 planned replicas that each hold 1/s."""
    known: dict[str, Any] = {
        "name": name,
        "limit_per_s": 1.0,
        "usd_per_million_requests": PRICES[name] / 3600 * 1e6,
        "ready": ready,
        "pending": pending,
        "planned": 4,
        "min_replicas": 1,
        "max_replicas": 10,
        "ready_since_s": LONG_AGO_S,
    }
    return CapacityPool(**(known | more))


def shortage(name: str, at_s: float = NOW_S, holds_s: float = 180.0) -> Shortage:
    return Shortage(name, at_s, at_s + holds_s, "InsufficientCapacityError of inf2.xlarge")


def fleet(asked: str | None = None) -> dict[str, Any]:
    """The InferenceFleet, with that text in the annotation of failover by hand."""
    annotations = {} if asked is None else {"annotations": {by_hand.ANNOTATION: asked}}
    return FLEET | {"metadata": FLEET["metadata"] | annotations}


def account(
    *pools: CapacityPool,
    rate: float | None = 3.0,
    applied: Applied | None = None,
    now_s: float = NOW_S,
    asked: str | None = None,
    pools_age_s: float = 0.0,
    rate_age_s: float = 5.0,
    **more: Any,
) -> Account:
    """A look that was carried out. applied: before it, by default all traffic on inf2."""
    found = fleet(asked)
    routing = by_hand.policy(RoutingPolicy(), by_hand.override(found))
    before = applied or Applied({"inf2": 99, "g5": 1}, RoutingMode.COST_OPTIMIZED, LONG_AGO_S, LONG_AGO_S)
    seen = Observation(pools, rate, rate_age_s, pools_age_s, before)
    decision = decide(seen, routing, DECLARED.spec.capacity, now_s)
    after = Applied(decision.weights, decision.mode, decision.mode_since_s, decision.last_shift_s)
    made = Account(now_s, found, routing, PLAN, observation=seen, applied=after, decision=decision)
    return replace(made, **more)


WELL = (pool("inf2", 4), pool("g5", 1))
LOST = (pool("inf2", 0, 4, ready_since_s=NOW_S - 5, shortages=(shortage("inf2"),)), pool("g5", 4))
