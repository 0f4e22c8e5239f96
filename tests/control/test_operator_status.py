"""The status of a fleet: what its conditions say in each situation, and when it is worth writing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.control.observation import Applied
from holdfast.control.operator.account import Account, Failure, Missing, PlanProblem
from holdfast.control.operator.reasons import MEANINGS, Reason, Type, meaning
from holdfast.control.operator.telling import by_hand, shown
from holdfast.control.operator.telling.by_hand import Override
from holdfast.control.operator.telling.conditions import conditions
from holdfast.control.operator.telling.status import cost_usd_per_h, status, worth_writing
from holdfast.control.pool_states import PoolState
from holdfast.model import instants
from holdfast.model.fleet import RoutingPolicy
from holdfast.model.pools import CapacityPool, RoutingMode
from holdfast.model.status import Condition, FleetStatus, Proposal

from .accounts import FLEET, LONG_AGO_S, LOST, NOW_S, WELL, account, pool, shortage

FORBIDDEN = Failure("Deployment", "sd21-g5", "deployments is forbidden", refused=True)
THROTTLED = Failure("Ingress", "sd21", "429 too many requests", refused=False)
NODE_POOL = Missing("NodePool", "inference-sd21-inf2", "kubectl apply -k base/nodes")
CRD = Missing("ScaledObject", "sd21-inf2", "kubectl apply -k addons/keda", definition=True)
INFEASIBLE = PlanProblem(Reason.PLAN_INFEASIBLE, "No plan holds 900/s: g5 has 10 replicas at most.")
WAITS = PlanProblem(Reason.PLAN_WAITS, "The plan 0123456789ab waits.")
FAILED_OVER = Applied({"inf2": 0, "g5": 100}, RoutingMode.CAPACITY_OPTIMIZED, NOW_S - 60, NOW_S - 60)
PROVING = (pool("inf2", 4, ready_since_s=NOW_S - 30), pool("g5", 4))


def told(one: Account, type_: Type) -> Condition:
    return next(each for each in conditions(one, ()) if each.type == type_.value)


def word(one: Account, type_: Type) -> tuple[str, str]:
    found = told(one, type_)
    return found.status, found.reason


@pytest.mark.parametrize(
    ("look", "expected"),
    [
        (account(*WELL), ("True", "Serving")),
        (account(*LOST), ("True", "Serving")),  # g5 carries it all: requests are answered
        (account(*WELL, plan=None, observation=None), ("False", "NoPlan")),
        (account(*WELL, plan=None, plan_problem=INFEASIBLE), ("False", "PlanInfeasible")),
        (account(*WELL, plan=None, plan_problem=WAITS), ("False", "PlanWaits")),
        (account(*WELL, plan_problem=WAITS), ("True", "Serving")),  # the plan before serves
        (account(*WELL, missing=(NODE_POOL,)), ("False", "NodePoolMissing")),
        (account(*WELL, missing=(NODE_POOL, CRD)), ("False", "CrdMissing")),
        (account(*WELL, missing=(replace(NODE_POOL, kind="GatewayClass"),)), ("False", "ObjectMissing")),
        (account(*WELL, failures=(FORBIDDEN,)), ("False", "ObjectRefused")),
        (account(*WELL, failures=(THROTTLED,)), ("True", "Serving")),
        (account(pool("inf2", 0, 4), pool("g5", 0)), ("False", "NoReplicaReady")),
        (account(pool("inf2", 2, 2), pool("g5", 0), rate=3.0), ("False", "Scaling")),
        (account(pool("inf2", 2), pool("g5", 0), rate=3.0), ("False", "Overloaded")),
        (account(*WELL, rate=None), ("Unknown", "RateUnknown")),
        (account(*WELL, rate_age_s=91.0), ("Unknown", "RateUnknown")),
        (account(*WELL, pools_age_s=31.0), ("Unknown", "ApiUnanswered")),
        (account(*WELL, error="KeyError: 'spec'"), ("Unknown", "LookFailed")),
    ],
)
def test_ready_says_whether_what_is_deployed_carries_the_rate(look: Account, expected: tuple[str, str]) -> None:
    assert word(look, Type.READY) == expected


@pytest.mark.parametrize(
    ("look", "expected"),
    [
        (account(*WELL), ("False", "AsPlanned")),
        (account(*LOST), ("True", "PoolShort")),
        (account(pool("inf2", 4, draining=1, gone_at_s=NOW_S + 90), pool("g5", 1)), ("True", "PoolInterrupted")),
        (account(*LOST, refused=("1. traffic to the dead",)), ("True", "DecisionRefused")),
        (account(*LOST, failures=(THROTTLED,)), ("True", "WriteFailed")),
        (account(*WELL, failures=(FORBIDDEN,)), ("True", "ObjectRefused")),
        (account(*WELL, plan_problem=INFEASIBLE), ("True", "PlanInfeasible")),
        (account(*WELL, plan_problem=WAITS), ("False", "AsPlanned")),
        (account(*WELL, asked="cheap"), ("True", "OverrideUnknown")),
        (account(*WELL, plan=None), ("Unknown", "NoPlan")),
        (account(*WELL, pools_age_s=31.0), ("Unknown", "ApiUnanswered")),
        (account(*LOST, error="KeyError: 'spec'"), ("True", "LookFailed")),
    ],
)
def test_degraded_says_what_is_wrong_the_worst_first(look: Account, expected: tuple[str, str]) -> None:
    assert word(look, Type.DEGRADED) == expected


@pytest.mark.parametrize(
    ("look", "expected"),
    [
        (account(*WELL), ("False", "CostOptimized")),
        (account(*LOST), ("True", "CapacityLost")),
        (account(*WELL, asked="capacity"), ("True", "ByHand")),
        (account(*WELL, asked="cost"), ("False", "CostOptimized")),
        (account(*LOST, asked="cost"), ("True", "CapacityLost")),  # what is not there cannot be asked for
        (account(*WELL, plan=None), ("Unknown", "NoPlan")),
    ],
)
def test_failed_over_says_what_traffic_goes_by(look: Account, expected: tuple[str, str]) -> None:
    assert word(look, Type.FAILED_OVER) == expected


@pytest.mark.parametrize(
    ("look", "expected"),
    [
        (account(*WELL), ("False", "UpToDate")),
        (account(*WELL, rate=None), ("True", "RateUnknown")),
        (account(*WELL, pools_age_s=31.0, rate=None), ("True", "ApiUnanswered")),
        (account(*WELL, plan=None, observation=None), ("Unknown", "NoPlan")),
        (account(*WELL, error="KeyError: 'spec'"), ("Unknown", "LookFailed")),
    ],
)
def test_stale_says_what_is_not_seen(look: Account, expected: tuple[str, str]) -> None:
    assert word(look, Type.STALE) == expected


def test_a_lost_pool_is_named_with_what_brings_the_fleet_back() -> None:
    message = told(account(*LOST), Type.FAILED_OVER).message
    assert "inf2 (no replica is ready though its cost-optimal share needs some)" in message
    assert "when inf2 can carry the share again and has lasted 120s" in message


def test_a_pool_that_proves_itself_has_a_moment_before_which_nothing_goes_back() -> None:
    look = account(*PROVING, applied=FAILED_OVER)
    assert look.decision is not None
    assert look.decision.states["inf2"] is PoolState.PROVING
    # Ready for 30 s of the 120 s that it has to last: 90 s are left, and NOW_S is 11:06:40.
    assert "not before 2026-11-18 11:08:10 UTC" in told(look, Type.FAILED_OVER).message


def test_a_blind_operator_promises_no_way_back() -> None:
    look = account(*LOST, applied=FAILED_OVER, pools_age_s=31.0)
    assert "held until pools and rate are known again" in told(look, Type.FAILED_OVER).message


def test_several_troubles_are_told_in_one_message() -> None:
    look = account(*LOST, failures=(FORBIDDEN, THROTTLED))
    message = told(look, Type.DEGRADED).message
    assert all(part in message for part in ("sd21-g5 is refused", "tried again: 429", "inf2 gets no capacity"))


@pytest.mark.parametrize("asked", list(Override))
@pytest.mark.parametrize("pools", [WELL, LOST])
def test_what_is_asked_by_hand_can_be_read_from_the_message(asked: Override, pools: tuple[CapacityPool, ...]) -> None:
    look = account(*pools, asked=None if asked is Override.AUTO else asked.value)
    assert by_hand.shown(told(look, Type.FAILED_OVER).message) is asked


def test_by_cost_sets_aside_dwell_and_ramp_of_merit_order_alone() -> None:
    changed = by_hand.policy(RoutingPolicy(), Override.COST)
    assert (changed.policy, changed.dwell_s) == ("merit-order", 0.0)
    assert (changed.ramp.step, changed.ramp.every_s) == (1.0, 0.0)
    other = RoutingPolicy(policy="static")
    assert by_hand.policy(other, Override.COST) == other
    assert by_hand.policy(other, Override.CAPACITY).policy == "round-robin"
    assert by_hand.policy(other, Override.AUTO) == other


def test_by_cost_fails_back_in_one_look() -> None:
    back = account(*PROVING, applied=FAILED_OVER, asked="cost")
    assert back.decision is not None
    assert back.decision.weights["inf2"] > 90


def test_a_time_moves_only_with_its_status() -> None:
    first = conditions(account(*WELL), ())
    later = conditions(account(*LOST, now_s=NOW_S + 60), first)
    moved = {
        one.type
        for one, other in zip(first, later, strict=True)
        if one.last_transition_time != other.last_transition_time
    }
    assert moved == {"Degraded", "FailedOver"}
    assert [one.status for one in later] == ["True", "True", "True", "False"]


def test_the_status_has_what_the_next_look_needs_to_know() -> None:
    found = status(account(pool("inf2", 4, draining=1, ready_since_s=NOW_S - 1.25), pool("g5", 1)), None)
    assert found.pools[0].lasting_replicas == 3
    assert instants.unix_s(found.pools[0].stable_since) == NOW_S - 1.25


def test_the_columns_of_kubectl_are_about_replicas_that_are_there() -> None:
    found = status(account(*LOST), None)
    assert (found.pools_ready, found.weights, found.shortages, found.mode.value) == (
        "1/2",
        "0/100",
        1,
        "capacity-optimized",
    )
    assert found.cost_per_hour == "$4.02"  # four g5.xlarge at 1.006; inf2 has none
    loading = account(pool("inf2", 1, 3, starting=2), pool("g5", 0))
    assert cost_usd_per_h(loading) == pytest.approx(3 * 0.76)


def test_replicas_with_a_notice_are_asked_for_beside_the_others() -> None:
    look = account(pool("inf2", 4, draining=1, gone_at_s=NOW_S + 90), pool("g5", 1))
    assert look.decision is not None
    assert status(look, None).pools[0].desired_replicas == look.decision.replicas["inf2"] + 1


def test_a_refused_decision_does_not_show_in_pools() -> None:
    look = account(*LOST, refused=("1. traffic to the dead",))
    found = status(look, None).pools[0]
    assert found.desired_replicas == 4
    assert found.reason == "its weight is held, as no decision was carried out"


def test_without_a_look_the_pools_stay_as_they_were() -> None:
    before = status(account(*WELL), None)
    blind = status(account(*WELL, observation=None, decision=None, error="OSError"), before)
    assert blind.pools == before.pools


def test_a_proposal_stands_in_the_status() -> None:
    proposal = Proposal(id="0123456789ab", reason="demand rose", difference="g5: 4 -> 5 replicas")
    assert status(account(*WELL, proposal=proposal), None).proposal == proposal


def test_figures_alone_are_written_now_and_then_and_all_else_at_once() -> None:
    before = status(account(*WELL, rate=3.0), None)
    figures = status(account(*WELL, rate=2.9), before)
    assert figures != before
    assert not worth_writing(before, figures, age_s=29.0)
    assert worth_writing(before, figures, age_s=30.0)
    assert worth_writing(before, status(account(*LOST), before), age_s=0.0)
    assert worth_writing(None, before, age_s=0.0)
    assert not worth_writing(before, before, age_s=1e6)


def test_what_one_command_brings_is_told_together() -> None:
    missing = (replace(NODE_POOL, name="b"), replace(NODE_POOL, name="a"), CRD, replace(CRD, kind="PodMonitor"))
    message = told(account(*WELL, missing=missing), Type.READY).message
    assert "The cluster does not know PodMonitor, ScaledObject, which" in message
    assert "Missing: NodePools a, b. Apply it with `kubectl apply -k base/nodes`." in message


def test_a_message_is_cut_rather_than_refused_by_the_api_server() -> None:
    look = account(*WELL, failures=tuple(replace(FORBIDDEN, name=f"sd21-{n}", why="x" * 300) for n in range(100)))
    assert max(len(one.message) for one in conditions(look, ())) <= 2000


def test_a_status_in_other_words_is_trouble_and_not_ready() -> None:
    found = shown.read(FLEET | {"status": {"mode": "turbo"}})
    assert not found.ready
    assert "its status is not one that this holdfast reads" in found.trouble


def test_every_meaning_is_of_one_condition_and_says_what_to_do() -> None:
    assert len({(one.type, one.status, one.reason) for one in MEANINGS}) == len(MEANINGS)
    assert {one.reason for one in MEANINGS} == set(Reason)
    assert all(one.means.endswith(".") and one.mend for one in MEANINGS)


counts = st.integers(0, 6)
moments = st.sampled_from([LONG_AGO_S, NOW_S - 60, NOW_S])


@st.composite
def pools(draw: st.DrawFn, name: str) -> CapacityPool:
    ready = draw(counts)
    pending = draw(counts)
    found = pool(name, ready, pending, draining=draw(st.integers(0, ready)), starting=draw(st.integers(0, pending)))
    facts = (shortage(name, draw(moments)),) if draw(st.booleans()) else ()
    return replace(
        found, ready_since_s=draw(moments), shortages=facts, gone_at_s=draw(st.sampled_from([0.0, NOW_S + 90]))
    )


@st.composite
def looks(draw: st.DrawFn) -> Account:
    mode = draw(st.sampled_from(RoutingMode))
    inf2 = draw(st.integers(0, 100))
    applied = Applied({"inf2": inf2, "g5": 100 - inf2}, mode, draw(moments), draw(moments))
    found = account(
        draw(pools("inf2")),
        draw(pools("g5")),
        rate=draw(st.none() | st.floats(0, 20)),
        applied=applied,
        asked=draw(st.sampled_from([None, "auto", "capacity", "cost", "", "Kapazität"])),
        pools_age_s=draw(st.sampled_from([0.0, 31.0])),
        refused=draw(st.sampled_from([(), ("2. above its limit",)])),
        missing=draw(st.sampled_from([(), (NODE_POOL,), (CRD,)])),
        failures=draw(st.sampled_from([(), (FORBIDDEN,), (THROTTLED, FORBIDDEN)])),
        plan_problem=draw(st.sampled_from([None, INFEASIBLE, WAITS])),
        error=draw(st.sampled_from(["", "KeyError: 'spec'"])),
    )
    return replace(found, plan=None) if draw(st.booleans()) else found


@given(look=looks(), earlier=st.none() | looks())
def test_whatever_is_seen_each_condition_is_in_the_table_and_said_again_in_the_same_bytes(
    look: Account, earlier: Account | None
) -> None:
    before = None if earlier is None else status(earlier, None)
    found = status(look, before)
    assert [one.type for one in found.conditions] == [type_.value for type_ in Type]
    for one in found.conditions:
        assert meaning(Type(one.type), one.status, Reason(one.reason))
    again = status(look, found)
    assert again.model_dump_json() == status(look, found).model_dump_json()
    assert [one.last_transition_time for one in again.conditions] == [
        one.last_transition_time for one in found.conditions
    ]
    assert FleetStatus.model_validate(found.model_dump(mode="json", by_alias=True), by_alias=True) == found
