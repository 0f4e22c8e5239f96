"""A fleet that comes up for the first time is not taken for one that lost its replicas."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.control import verdict
from holdfast.control.observation import Applied, Observation
from holdfast.control.operator.keeping import rising
from holdfast.control.verdict import Verdict
from holdfast.model.fleet import CapacityPolicy, DataPlane, RoutingPolicy
from holdfast.model.pools import CapacityPool, RoutingMode, Shortage

NOW_S = 1_800_000_000.0
ROUTE = {"metadata": {"creationTimestamp": "2027-01-15T07:59:00Z"}}
"""Made a minute before."""

CHEAP = CapacityPool("cheap", 1.0, 100.0, 0, 8, 8, 1, 20, NOW_S)
DEAR = CapacityPool("dear", 1.0, 300.0, 1, 0, 1, 1, 20, NOW_S)


def reached(*pools: CapacityPool, rate_per_s: float = 6.0) -> Verdict:
    applied = Applied({"cheap": 99, "dear": 1}, RoutingMode.COST_OPTIMIZED, 0.0, 0.0)
    observation = Observation(pools, rate_per_s, 0.0, 0.0, applied)
    return verdict.reach(observation, RoutingPolicy(), CapacityPolicy(), NOW_S, data_plane=DataPlane.ALB, before=None)


def test_the_first_pool_to_be_ready_is_not_asked_for_the_load_of_all() -> None:
    found = reached(CHEAP, DEAR)
    assert found.decision.replicas["dear"] == 8
    held = rising.held(found, ROUTE).decision
    assert dict(held.replicas) == {"cheap": 8, "dear": 1}
    assert held.reasons["dear"].endswith("; while the fleet comes up only the planned 1 are asked for.")
    assert held.weights == found.decision.weights


def test_a_pool_that_can_get_no_capacity_is_stood_in_for_at_once() -> None:
    short = replace(CHEAP, shortages=(Shortage("cheap", NOW_S - 1, NOW_S + 179, "insufficient capacity"),))
    found = reached(short, DEAR)
    assert rising.held(found, ROUTE) == found


def test_what_has_not_come_after_half_an_hour_is_stood_in_for() -> None:
    found = reached(CHEAP, DEAR)
    assert rising.held(found, {"metadata": {"creationTimestamp": "2027-01-15T07:30:00Z"}}) == found


@pytest.mark.parametrize(
    ("cheap", "rate_per_s", "stands"),
    [
        (CHEAP, 6.0, False),
        (replace(CHEAP, ready=7, pending=1), 6.0, True),  # 8 replicas in all carry 6.4/s at the target of 80 %
        (replace(CHEAP, ready=6, pending=2), 6.0, False),
        (replace(CHEAP, ready=8, pending=0), 60.0, True),  # all that were planned, whatever comes
    ],
)
def test_a_fleet_stands_when_it_carries_the_rate_or_has_all_that_is_planned(
    cheap: CapacityPool, rate_per_s: float, stands: bool
) -> None:
    assert rising.stands(reached(cheap, DEAR, rate_per_s=rate_per_s).observation, CapacityPolicy()) is stands


def test_a_fleet_without_a_replica_does_not_stand_though_nobody_asks() -> None:
    observation = reached(CHEAP, replace(DEAR, ready=0), rate_per_s=0.0).observation
    assert not rising.stands(observation, CapacityPolicy())
