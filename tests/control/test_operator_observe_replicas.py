"""What is counted of a pool: ready, pending, starting, draining, planned, and since when it stands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from control.operator_objects import (
    APPLIED,
    FLEET,
    NOW_S,
    READING,
    at,
    claim,
    event,
    node,
    placed,
    pod,
    seen,
    server,
    workload,
)
from holdfast.control.operator.seeing.observe import Standing, kept, observe, standings
from holdfast.control.operator.seeing.seen import Seen
from holdfast.model.pools import CapacityPool


def pool(what: Seen, unit: str = "inf2", now_s: float = NOW_S, **before: Standing) -> CapacityPool:
    observation = observe(placed(), what, READING, APPLIED, before, now_s)
    return next(each for each in observation.pools if each.name == unit)


def test_a_pod_that_is_ready_and_stays_is_a_ready_replica() -> None:
    going, over = pod(ready=True, going=True), pod(ready=True)
    over["status"]["phase"] = "Failed"
    assert pool(seen(pods=[pod(ready=True), pod(), going, over])).ready == 1


def test_pods_of_another_pool_are_not_counted() -> None:
    assert pool(seen(pods=[pod("groups", ready=True)])).ready == 0


def test_what_the_workload_is_asked_for_is_pending_also_before_it_has_a_pod() -> None:
    found = pool(seen(pods=[pod(ready=True), pod(bound_s=NOW_S)], workloads=[workload("sd-inf2", 4)]))
    assert (found.ready, found.pending, found.starting) == (1, 3, 1)


def test_a_rollout_has_nothing_pending_beyond_what_is_asked_for() -> None:
    found = pool(seen(pods=[pod(ready=True), pod(bound_s=NOW_S)], workloads=[workload("sd-inf2", None)]))
    assert (found.ready, found.pending, found.starting) == (1, 0, 0)


def test_a_pod_without_a_node_is_pending_and_not_starting() -> None:
    found = pool(seen(pods=[pod(waiting_s=NOW_S - 10), pod(node="n"), pod()], workloads=[workload("sd-inf2", 3)]))
    assert (found.pending, found.starting) == (3, 1)


def test_capacity_was_obtained_when_the_newest_pod_got_its_node() -> None:
    assert pool(seen(pods=[pod(ready=True, bound_s=NOW_S - 50), pod(bound_s=NOW_S - 7)])).obtained_s == NOW_S - 7
    assert pool(seen(pods=[pod(waiting_s=NOW_S - 7)])).obtained_s is None


def test_a_group_is_ready_with_its_leader_and_a_replica_needs_prefill_and_decode() -> None:
    decode = [each for group in range(4) for each in server("decode", group)]
    prefill = server("prefill", 0)
    asked = [
        workload("sd-apart-decode", 6, "LeaderWorkerSet"),
        workload("sd-apart-prefill", 3, "LeaderWorkerSet"),
    ]
    found = pool(seen(pods=decode + prefill, workloads=asked), "apart")
    assert (found.ready, found.pending, found.starting) == (1, 2, 0)
    found = pool(seen(pods=decode + prefill + server("prefill", 1, ready=False), workloads=asked), "apart")
    assert (found.ready, found.pending, found.starting) == (1, 2, 1)


def test_a_group_has_its_capacity_when_all_of_its_pods_are_bound() -> None:
    decode = [each for group in range(2) for each in server("decode", group)]
    asked = [workload("sd-apart-decode", 2, "LeaderWorkerSet"), workload("sd-apart-prefill", 1, "LeaderWorkerSet")]
    part = pool(seen(pods=decode + server("prefill", 0, ready=False, size=1), workloads=asked), "apart")
    whole = pool(seen(pods=decode + server("prefill", 0, ready=False), workloads=asked), "apart")
    assert (part.pending, part.starting, part.obtained_s) == (1, 0, None)
    assert (whole.pending, whole.starting, whole.obtained_s) == (1, 1, NOW_S - 599)


def test_a_notice_for_one_node_of_a_group_is_one_for_its_replica() -> None:
    pods = [each for group in range(2) for each in server("decode", group)] + server("prefill", 0)
    found = pool(seen(pods=pods, nodes=[node("prefill-0-1", "karpenter.sh/disrupted")]), "apart")
    assert (found.ready, found.draining, found.gone_at_s) == (1, 1, 0.0)


def drained(what: Seen) -> tuple[int, float]:
    found = pool(replace(what, pods=(pod(ready=True, node="n"), pod(ready=True, node="m"))))
    return found.draining, found.gone_at_s


@pytest.mark.parametrize(
    ("what", "gone_at_s"),
    [
        # Karpenter drains: pods are evicted at any moment.
        (seen(nodes=[node("n", "karpenter.sh/disrupted")]), 0.0),
        (seen(nodes=[node("n")], claims=[claim("ml-sd-inf2-abcde", node="n", going=True)]), 0.0),
        # EC2 takes a spot instance 120 s after the notice, told of the claim or of the node.
        (
            seen(
                nodes=[node("n", "karpenter.sh/disrupted")],
                claims=[claim("ml-sd-inf2-abcde", node="n", going=True)],
                events=[event("SpotInterrupted", "NodeClaim", "ml-sd-inf2-abcde", NOW_S - 20)],
            ),
            NOW_S + 100,
        ),
        (seen(nodes=[node("n")], events=[event("SpotInterrupted", "Node", "n", NOW_S - 5)]), NOW_S + 115),
        (seen(nodes=[node("n")], events=[event("InstanceTerminating", "Node", "n", NOW_S - 5)]), 0.0),
        (seen(nodes=[node("n", "aws-node-termination-handler/spot-itn")]), 0.0),
        (seen(nodes=[node("n", "aws-node-termination-handler/spot-itn", added_s=NOW_S - 1)]), NOW_S + 119),
        (seen(nodes=[node("n", "ToBeDeletedByClusterAutoscaler")]), 0.0),
    ],
)
def test_replicas_on_nodes_with_a_notice_are_draining(what: Seen, gone_at_s: float) -> None:
    assert drained(what) == (1, gone_at_s)


@pytest.mark.parametrize(
    "what",
    [
        # EC2 may never follow a recommendation up.
        seen(nodes=[node("n")], events=[event("SpotRebalanceRecommendation", "Node", "n", NOW_S)]),
        seen(nodes=[node("n", "aws-node-termination-handler/rebalance-recommendation")]),
        seen(nodes=[node("n", "nvidia.com/gpu", "node.kubernetes.io/unschedulable")]),
        # An Event of the node that had this name before.
        seen(nodes=[node("n", created_s=NOW_S - 60)], events=[event("SpotInterrupted", "Node", "n", NOW_S - 600)]),
        seen(claims=[claim("ml-sd-inf2-abcde", {"type": "DisruptionReason", "status": "False"}, node="n")]),
    ],
)
def test_what_is_no_notice_drains_nothing(what: Seen) -> None:
    assert drained(what) == (0, 0.0)


def test_a_node_that_karpenter_replaces_lasts_until_its_replacement_can_be_there() -> None:
    reason = {"type": "DisruptionReason", "status": "True", "reason": "Drifted", "lastTransitionTime": at(NOW_S - 30)}
    what = seen(nodes=[node("n", "karpenter.sh/disrupted")], claims=[claim("ml-sd-inf2-abcde", reason, node="n")])
    assert drained(what) == (1, NOW_S + 90)


def test_the_first_of_several_to_go_says_when() -> None:
    both = [event("SpotInterrupted", "Node", name, NOW_S - age_s) for name, age_s in (("n", 5), ("m", 50))]
    assert drained(seen(nodes=[node("n"), node("m")], events=both)) == (2, NOW_S + 70)


def test_a_pod_that_is_about_to_be_evicted_is_draining() -> None:
    targeted = pod(ready=True)
    targeted["status"]["conditions"].append({"type": "DisruptionTarget", "status": "True"})
    assert pool(seen(pods=[targeted])).draining == 1


def test_a_pool_stands_since_it_last_lost_a_replica_or_first_had_one() -> None:
    two = seen(pods=[pod(ready=True), pod(ready=True)])
    assert pool(two, inf2=Standing(2, 7.0)).ready_since_s == 7.0
    assert pool(two, inf2=Standing(1, 7.0)).ready_since_s == 7.0
    assert pool(two, inf2=Standing(3, 7.0)).ready_since_s == NOW_S
    assert pool(two, inf2=Standing(0, 7.0)).ready_since_s == NOW_S
    assert pool(seen(), inf2=Standing(0, 7.0)).ready_since_s == 7.0
    assert pool(two).ready_since_s == NOW_S


def test_what_is_kept_of_a_look_is_read_back_from_the_status() -> None:
    what = seen(pods=[pod(ready=True)])
    standing = kept(observe(placed(), what, READING, APPLIED, {}, NOW_S))
    pools = [
        {"unit": unit, "lastingReplicas": each.lasting, "stableSince": at(each.since_s)}
        for unit, each in standing.items()
    ]
    assert standings(seen(status={"pools": pools}).fleet) == standing
    assert standings(seen().fleet) == {}


def test_a_plan_of_a_day_goes_by_the_hours_of_utc_and_asks_ahead_by_the_start_up_time() -> None:
    units = [unit.model_copy(update={"startup_s": 1200.0}) for unit in FLEET.spec.units]
    fleet = FLEET.model_copy(update={"spec": FLEET.spec.model_copy(update={"units": tuple(units)})})
    pools = placed(fleet, hours=range(24))

    def planned(now_s: float) -> tuple[int, int]:
        found = observe(pools, seen(), READING, APPLIED, {}, now_s).pools[0]
        return found.planned, found.planned_ahead

    assert planned(NOW_S) == (12, 12)
    assert planned(NOW_S + 45 * 60) == (12, 13)
    assert planned(NOW_S + 11.75 * 3600) == (23, 0)


def test_the_reading_the_age_and_the_weights_of_the_plan_are_passed_on() -> None:
    observation = observe(placed(), replace(seen(), age_s=3.0), READING, APPLIED, {}, NOW_S)
    assert (observation.rate_per_s, observation.rate_age_s, observation.pools_age_s) == (12.0, 5.0, 3.0)
    assert set(observation.plan_weights.values()) == {25}
    assert observation.applied is APPLIED
