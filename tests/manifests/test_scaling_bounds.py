"""Between how many replicas a pool scales, and what keeps the reserve for a loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import catalog
from holdfast.manifests import Manifest
from holdfast.manifests.placement import placements
from holdfast.manifests.scaling import bounds
from holdfast.model.fleet import CapacityPolicy, CapacityType, Demand
from holdfast.model.plan import Allotment, Plan

RenderOf = Callable[..., dict[str, Manifest]]
PlanOf = Callable[..., Plan]

UNIT = {"name": "only", "accelerator": "a10g", "instanceType": "g5.xlarge", "framework": "vllm", "maxReplicas": 40}


def planned(
    plan_of: PlanOf, replicas: int, weight: int = 100, survive: Any = "one-pool", demand: Any = None, **unit: Any
) -> Plan:
    plan = plan_of((UNIT | unit,), weights=(weight,))
    changes = {
        "capacity": CapacityPolicy.model_validate({"survive": survive}),
        "demand": Demand.model_validate(demand or {"rate": "12/s", "peak": "20/s"}),
    }
    fleet = plan.fleet.model_copy(update={"spec": plan.fleet.spec.model_copy(update=changes)})
    return replace(plan, fleet=fleet, pools=(replace(plan.pools[0], replicas=replicas),))


def bounded(plan: Plan) -> bounds.Bounds:
    (placement,) = placements(plan, {"only": (catalog.instance_type("g5.xlarge"), catalog.accelerator("a10g"))})
    return bounds.of(placement, placement.scale_target)


@pytest.mark.parametrize(
    ("replicas", "least"),
    [
        (10, 6),  # 12 of 20 requests/s need 6 of 10 replicas
        (3, 2),  # 1.8, and there is no part of a replica
        (5, 3),  # exactly 3, not one more for a rounding error
    ],
)
def test_the_reserve_is_the_usual_rates_share_of_the_peaks(replicas: int, least: int, plan_of: PlanOf) -> None:
    found = bounded(planned(plan_of, replicas))
    assert found.least == least
    assert "the loss of one pool must be survived at 12 requests/s" in found.reason


def test_of_a_day_the_reserve_is_that_of_its_quietest_hour(plan_of: PlanOf) -> None:
    plan = planned(plan_of, 9, demand={"rate": "12/s", "day": [*["4/s"] * 8, *["20/s"] * 16]})
    halves = [
        Allotment("only", zone, CapacityType.ON_DEMAND, 1.0, 1, (*[low] * 8, *[high] * 16))
        for zone, low, high in (("a", 1, 4), ("b", 2, 5))
    ]
    found = bounded(replace(plan, pools=(replace(plan.pools[0], allotments=tuple(halves)),)))
    assert (found.least, found.planned) == (3, 9)
    assert "at 4 requests/s" in found.reason


def test_a_fleet_that_survives_nothing_follows_its_load(plan_of: PlanOf) -> None:
    found = bounded(planned(plan_of, 10, survive="none"))
    assert (found.least, found.reason) == (1, "minReplicas of its unit")


def test_a_weight_keeps_one_replica(plan_of: PlanOf) -> None:
    assert bounded(planned(plan_of, 0, weight=100, survive="none", minReplicas=0)).least == 1
    assert bounded(planned(plan_of, 0, weight=0, survive="none", minReplicas=0)).least == 0


@given(replicas=st.integers(0, 60), low=st.integers(0, 40), weight=st.integers(0, 100))
def test_bounds_are_in_order(replicas: int, low: int, weight: int, plan_of: PlanOf) -> None:
    found = bounded(planned(plan_of, replicas, weight=weight, minReplicas=low))
    assert 0 <= found.least <= found.planned <= found.most == 40
    assert found.least >= low


def test_each_scaler_says_why_it_keeps_so_many(plan_of: PlanOf, render_of: RenderOf) -> None:
    scaled = render_of(planned(plan_of, 10))["pools/only/scaled-object.yaml"].object
    assert scaled["spec"]["minReplicaCount"] == 6
    assert "must be survived" in scaled["metadata"]["annotations"]["holdfast.dev/least"]
