"""Shortages: by whom they are told, how long they hold, and that a restart finds the same."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.operator_objects import BY_UNIT, NOW_S, PLACED, Object, at, claim, condition, event, pod, seen
from holdfast.control.operator.seeing import capacity, stamps
from holdfast.control.shortages import HOLD_S, REMEMBER_S
from holdfast.manifests.placement import Placement
from holdfast.model.pools import Shortage

ICE = "InsufficientCapacityError"
NOTE = "NodeClaim ml-sd-inf2-x7k2p event: creating nodeclaim, insufficient capacity"
BACKOFF = "pod didn't trigger scale-up: 2 node(s) didn't match Pod's node affinity, 1 in backoff after failed scale-up"


def short(*events: Object, now_s: float = NOW_S, placed: Sequence[Placement] = PLACED) -> dict[str, Shortage]:
    found = capacity.short(placed, seen(events=events), now_s)
    return {unit: facts[0] for unit, facts in found.items() if facts}


def waiting(*pods: Object, claims: Sequence[Object] = (), now_s: float = NOW_S) -> dict[str, Shortage]:
    found = capacity.short(PLACED, seen(pods=pods, claims=claims), now_s)
    return {unit: facts[0] for unit, facts in found.items() if facts}


def test_a_refused_launch_is_a_shortage_of_its_pool_also_when_the_claim_is_gone() -> None:
    found = short(event(ICE, "NodeClaim", "ml-sd-inf2-x7k2p", NOW_S - 10, NOTE))
    assert found == {"inf2": Shortage("inf2", NOW_S - 10, NOW_S - 10 + HOLD_S, f"{ICE}: {NOTE}")}


@pytest.mark.parametrize("name", ["ml-sd-inf2-more-x7k2p", "ml-sd-inf", "x7k2p", "ml-sd-inf2", "", "inf2-x7k2p"])
def test_claims_of_other_node_pools_are_no_shortage_of_this_one(name: str) -> None:
    assert short(event(ICE, "NodeClaim", name, NOW_S)) == {}


def test_a_name_that_the_server_cut_down_is_still_known() -> None:
    fleet = PLACED[0].fleet.model_copy(
        update={"metadata": PLACED[0].fleet.metadata.model_copy(update={"name": "long-name" * 5})}
    )
    long = replace(BY_UNIT["inf2"], fleet=fleet, unit=BY_UNIT["inf2"].unit.model_copy(update={"name": "inf2-neuronx"}))
    assert len(long.node_pool) > 58
    made = f"{long.node_pool}-"[:58] + "x7k2p"
    assert list(short(event(ICE, "NodeClaim", made, NOW_S), placed=[long])) == ["inf2-neuronx"]


def test_an_event_that_repeats_holds_from_its_last_time() -> None:
    repeated = event(ICE, "NodeClaim", "ml-sd-inf2-x7k2p", NOW_S - 900) | {"deprecatedLastTimestamp": at(NOW_S - 4)}
    of_its_own = event(ICE, "NodeClaim", "ml-sd-inf2-x7k2q", NOW_S - 900) | {
        "deprecatedLastTimestamp": None,
        "eventTime": "2026-11-21T11:59:00.250000Z",
        "series": {"count": 3, "lastObservedTime": "2026-11-21T11:59:58.500000Z"},
    }
    assert short(repeated)["inf2"].at_s == NOW_S - 4
    assert short(of_its_own)["inf2"].at_s == NOW_S - 1.5
    assert short(repeated, of_its_own)["inf2"].at_s == NOW_S - 1.5


def test_a_shortage_is_remembered_after_it_expired_and_then_forgotten() -> None:
    told = event(ICE, "NodeClaim", "ml-sd-inf2-x7k2p", NOW_S)
    assert short(told, now_s=NOW_S + HOLD_S)["inf2"].holds(NOW_S + HOLD_S) is False
    assert short(told, now_s=NOW_S + HOLD_S + REMEMBER_S) == {}


@pytest.mark.parametrize(
    ("told", "unit"),
    [
        (event("NotTriggerScaleUp", "Pod", "sd-groups-5d9f7c6b8-abcde", NOW_S, BACKOFF, "ml"), "groups"),
        (event("NotTriggerScaleUp", "Pod", "sd-apart-decode-3-1", NOW_S, BACKOFF, "ml"), "apart"),
        (
            event(
                "FailedToScaleUpGroup",
                "ConfigMap",
                "cluster-autoscaler-status",
                NOW_S,
                "Scale-up failed for group eks-ml-sd-groups-0ac7f3d2-1c4e-11ee-be56-0242ac12: UnfulfillableCapacity",
            ),
            "groups",
        ),
    ],
)
def test_the_cluster_autoscaler_says_which_pool_it_cannot_grow(told: Object, unit: str) -> None:
    assert list(short(told)) == [unit]


@pytest.mark.parametrize(
    "told",
    [
        event("NotTriggerScaleUp", "Pod", "sd-groups-5d9f7c6b8-abcde", NOW_S, "1 Insufficient cpu", "ml"),
        event("NotTriggerScaleUp", "Pod", "sd-groups-5d9f7c6b8-abcde", NOW_S, BACKOFF, "another"),
        event("NotTriggerScaleUp", "Pod", "sd-groups-two-5d9f7c6b8-abcde", NOW_S, BACKOFF, "ml"),
        # Others of its groups may grow instead.
        event("ScaleUpTimedOut", "ConfigMap", "s", NOW_S, "group eks-ml-sd-both-0ac7f3d2-1c4e failed to register"),
        event("FailedToScaleUpGroup", "ConfigMap", "s", NOW_S, "group eks-ml-sd-groups-two-0ac7f3d2-1c4e failed"),
        event("TriggeredScaleUp", "Pod", "sd-groups-5d9f7c6b8-abcde", NOW_S, BACKOFF, "ml"),
        event("NodeClassNotReady", "NodeClaim", "ml-sd-inf2-x7k2p", NOW_S),
    ],
)
def test_other_events_are_no_shortage(told: Object) -> None:
    assert short(told) == {}


def test_a_pod_that_no_node_takes_is_a_shortage_after_five_minutes_and_as_long_as_it_waits() -> None:
    stuck = pod(waiting_s=NOW_S - 300)
    assert waiting(stuck, now_s=NOW_S - 1) == {}
    assert waiting(stuck)["inf2"].at_s == NOW_S
    for later_s in (100, 1000, 10_000):
        assert waiting(stuck, now_s=NOW_S + later_s)["inf2"].holds(NOW_S + later_s)


def test_a_pod_that_was_not_looked_at_or_has_a_node_is_no_shortage() -> None:
    going = pod(waiting_s=NOW_S - 3000, going=True)
    assert waiting(pod(), pod(bound_s=NOW_S - 3000), going) == {}


def unscheduled(waited_s: float, name: str = "sd-groups-5d9f7c6b8-abcde") -> Object:
    """As the scheduler writes it: a series of its own."""
    told = event("FailedScheduling", "Pod", name, NOW_S, "0/3 nodes are available", "ml")
    first = {"eventTime": "2026-11-21T11:50:00.000000Z", "deprecatedFirstTimestamp": None}
    last = {"count": 2, "lastObservedTime": at(NOW_S - 600 + waited_s)}
    return told | first | {"deprecatedLastTimestamp": None, "series": last}


def test_a_pod_that_waited_in_vain_and_is_gone_leaves_its_shortage() -> None:
    assert short(unscheduled(360))["groups"].at_s == NOW_S - 240
    assert short(unscheduled(240)) == {}
    assert short(unscheduled(360, "sd-groups-two-5d9f7c6b8-abcde")) == {}


@pytest.mark.parametrize(
    "note",
    ["Deleted pod: sd-groups-5d9f7c6b8-abcde", "delete Pod sd-groups-5d9f7c6b8-abcde in StatefulSet any successful"],
)
def test_a_pod_that_was_deleted_had_waited_until_then(note: str) -> None:
    deleted = event("SuccessfulDelete", "ReplicaSet", "sd-groups-5d9f7c6b8", NOW_S - 200, note, "ml")
    assert short(unscheduled(3), deleted)["groups"].at_s == NOW_S - 200


def test_a_pod_that_had_a_node_in_the_end_leaves_none() -> None:
    scheduled = event("Scheduled", "Pod", "sd-groups-5d9f7c6b8-abcde", NOW_S, namespace="ml")
    assert short(unscheduled(360), scheduled) == {}
    there = pod("groups", "sd-groups-5d9f7c6b8-abcde", bound_s=NOW_S)
    assert capacity.short(PLACED, seen(pods=[there], events=[unscheduled(360)]), NOW_S)["groups"] == ()


def test_an_instance_that_was_launched_will_take_the_pod_that_waits_longest() -> None:
    launched = claim("ml-sd-inf2-x7k2p", condition("Launched", True, NOW_S - 200))
    stuck = [pod(waiting_s=NOW_S - 400), pod(waiting_s=NOW_S - 310)]
    assert waiting(stuck[0], claims=[launched]) == {}
    assert waiting(*stuck, claims=[launched])["inf2"].at_s == NOW_S - 10
    # Karpenter gives it up when it has not joined within a quarter of an hour.
    assert "inf2" in waiting(stuck[0], claims=[launched], now_s=NOW_S + 700)


def test_a_pod_of_a_hybrid_pool_is_short_at_once() -> None:
    assert waiting(pod("own", waiting_s=NOW_S - 1))["own"].at_s == NOW_S - 1


NAMES = st.sampled_from(["ml-sd-inf2-x7k2p", "ml-sd-apart-22222", "ml-sd-own-zzzzz", "else-x7k2p"])
EVENTS = st.builds(lambda name, age_s: event(ICE, "NodeClaim", name, NOW_S - age_s, NOTE), NAMES, st.integers(0, 3599))


@given(st.lists(EVENTS, max_size=8), st.randoms(use_true_random=False), st.floats(0, 3599))
def test_a_restart_lists_other_events_in_another_order_and_sees_the_same_shortages(
    events: list[Object], shuffle: random.Random, later_s: float
) -> None:
    """Who watched from the start still has Events that the API server has deleted after their hour."""
    now_s = NOW_S + later_s
    listed = [each for each in events if now_s - (stamps.happened_s(each) or 0.0) < 3600]
    shuffle.shuffle(listed)
    watched = capacity.short(PLACED, seen(events=events), now_s)
    assert capacity.short(PLACED, seen(events=listed), now_s) == watched
