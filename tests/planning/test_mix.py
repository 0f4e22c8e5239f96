"""The cheapest mix: right on small cases by brute force, and right in kind on all."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.model.fleet import CapacityType, Loss
from holdfast.planning.mix import Candidate, Requirement, Supply, cheapest_mix
from planning.mixes import by_unit, fleets, held, holds, is_cheapest, requirements, steady, unit, usd_per_h

INF2 = unit("inf2", 1.75, 0.7582)
TRN1 = unit("trn1", 130 / 60, 1.3438)
G5 = unit("g5", 1.5, 1.006)


def test_one_pool_gets_as_many_replicas_as_the_utilisation_target_asks_for() -> None:
    # 12/s at 80 % of 1.75/s: 8.57, so 9.
    mix = cheapest_mix([INF2], steady(12))

    assert (by_unit(mix), mix.gap) == ({"inf2": 9}, 0.0)
    assert mix.cost_usd_per_h == pytest.approx(9 * 0.7582)
    assert mix.traffic["inf2"][0][0] == pytest.approx(12)


def test_surviving_any_one_pool_spreads_the_mix() -> None:
    requirement = steady(20, 0.8, Loss.POOL)

    mix = cheapest_mix([INF2, TRN1, G5], requirement)

    assert holds([INF2, TRN1, G5], requirement, held(mix))
    assert len(by_unit(mix)) >= 2
    assert not holds([INF2, TRN1, G5], requirement, {("inf2", "", CapacityType.ON_DEMAND): 15})


def test_exactly_enough_is_enough_in_spite_of_floats() -> None:
    assert 0.8 * (1.4 * 3) < 3.36

    assert by_unit(cheapest_mix([unit("a", 1.4, 1.0, most=3)], steady(3.36))) == {"a": 3}


def test_minimum_replicas_are_kept_even_where_they_cost_more() -> None:
    assert by_unit(cheapest_mix([INF2, replace(G5, min_replicas=2)], steady(1))) == {"g5": 2}


def test_instances_are_paid_for_whole_and_their_slots_are_filled() -> None:
    mix = cheapest_mix([unit("inf2-48xl", 38, 12.9813, most=9, slots=3)], steady(100))

    # 100/s at 80 % of 38/s is 3.3 replicas: two instances, which hold six.
    assert by_unit(mix) == {"inf2-48xl": 6}
    assert mix.cost_usd_per_h == pytest.approx(2 * 12.9813)


def test_slots_are_filled_no_further_than_the_maximum_allows() -> None:
    assert by_unit(cheapest_mix([unit("inf2-48xl", 38, 12.9813, most=4, slots=3)], steady(100))) == {"inf2-48xl": 4}


def test_spot_is_bought_where_it_is_cheaper_and_as_far_as_there_is_some() -> None:
    spot = Supply(0.5, capacity_type=CapacityType.SPOT, max_replicas=3)
    both = Candidate("g5", (1.5,), (Supply(1.006), spot))

    mix = cheapest_mix([both], steady(12))

    assert held(mix) == {("g5", "", CapacityType.SPOT): 3, ("g5", "", CapacityType.ON_DEMAND): 7}


def test_a_quota_of_vcpus_counts_whole_instances() -> None:
    g5 = Candidate("g5", (1.5,), (Supply(1.0, quota="G", vcpus=48),), replicas_per_instance=4)
    inf2 = Candidate("inf2", (1.5,), (Supply(0.4, quota="Inf", vcpus=4),))

    # Ten replicas are needed. One g5 would take four for 1.0, but there is quota for no second one.
    mix = cheapest_mix([g5, inf2], Requirement(((12.0,),), 0.8, quotas={"G": 95}))

    assert by_unit(mix) == {"g5": 4, "inf2": 6}


def test_no_more_pools_are_opened_than_are_allowed() -> None:
    requirement = steady(20, 0.8, Loss.POOL)
    three = cheapest_mix([INF2, TRN1, G5], requirement)
    two = cheapest_mix([INF2, TRN1, G5], replace(requirement, max_pools=2))

    assert (len(by_unit(three)), len(by_unit(two))) == (3, 2)
    assert two.cost_usd_per_h > three.cost_usd_per_h


def test_a_unit_takes_the_size_that_it_is_better_at() -> None:
    # Equal prices; one is four times as fast at short requests, the other at long ones.
    short, long = (Candidate(n, li, (Supply(1.0),)) for n, li in (("s", (8.0, 1.0)), ("l", (2.0, 4.0))))

    mix = cheapest_mix([short, long], Requirement(((16.0, 8.0),), 1.0))

    assert by_unit(mix) == {"s": 2, "l": 2}
    assert mix.traffic["s"][0] == pytest.approx((16, 0))
    assert mix.traffic["l"][0] == pytest.approx((0, 8))


def test_a_size_goes_to_no_unit_that_cannot_serve_it() -> None:
    short = Candidate("short-context", (8.0, 0.0), (Supply(0.1),))
    whole = Candidate("whole-context", (2.0, 2.0), (Supply(1.0),))

    mix = cheapest_mix([short, whole], Requirement(((8.0, 2.0),), 1.0))

    assert by_unit(mix) == {"short-context": 1, "whole-context": 1}


def test_a_pool_with_replicas_gets_its_least_share_of_requests() -> None:
    # The kept replica of g5 is bad at both sizes, and gets requests all the same.
    inf2 = Candidate("inf2", (4.0, 4.0), (Supply(0.5),))
    g5 = Candidate("g5", (2.0, 2.0), (Supply(1.0),), min_replicas=1)

    mix = cheapest_mix([inf2, g5], Requirement(((10.0, 10.0),), 1.0, min_share=0.05))

    assert math.fsum(mix.traffic["g5"][0]) == pytest.approx(0.05 * 20, rel=1e-4)


def test_the_solver_does_not_prune_the_optimum() -> None:
    # At a feasibility tolerance of 1e-9 HiGHS 1.15.1 answers 5.0 here.
    fleet = [
        Candidate("u0", (5.0, 2.0), (Supply(1.0, "z0"), Supply(1.0, "z1")), max_replicas=1),
        Candidate("u1", (3.0, 1.0), (Supply(4.0, "z0"), Supply(4.0, "z1")), replicas_per_instance=3, max_replicas=3),
    ]

    assert cheapest_mix(fleet, Requirement(((4.0, 1.0),), 1.0)).cost_usd_per_h == pytest.approx(4.0)


@settings(max_examples=40, deadline=None)
@given(fleets(units=3, most=5), requirements())
def test_brute_force_agrees(candidates: list[Candidate], requirement: Requirement) -> None:
    assert is_cheapest(candidates, requirement, cheapest_mix(candidates, requirement))


@settings(max_examples=15, deadline=None)
@given(
    fleets(units=2, most=3, zones=2, sizes=2),
    requirements(kinds=list(Loss), sizes=2, highest=20, bounded=True),
)
def test_brute_force_agrees_on_zones_sizes_quotas_and_pools(
    candidates: list[Candidate], requirement: Requirement
) -> None:
    assert is_cheapest(candidates, requirement, cheapest_mix(candidates, requirement))


@settings(max_examples=25, deadline=None)
@given(
    fleets(zones=3, ways=2, sizes=2, most=20),
    requirements(kinds=list(Loss), sizes=2, bounded=True),
)
def test_a_feasible_mix_holds_after_every_loss_within_every_limit_and_is_certified(
    candidates: list[Candidate], requirement: Requirement
) -> None:
    mix = cheapest_mix(candidates, requirement)

    if mix.feasible:
        assert holds(candidates, requirement, held(mix))
        assert mix.cost_usd_per_h == pytest.approx(usd_per_h(candidates, [held(mix)]))
        assert mix.gap == pytest.approx(0.0, abs=1e-6)
    else:
        assert (mix.gap, mix.traffic) == (1.0, {})


@settings(max_examples=25, deadline=None)
@given(fleets(zones=2, sizes=2, most=20), requirements(kinds=list(Loss), sizes=2))
def test_traffic_is_all_of_the_demand_and_within_the_utilisation_target(
    candidates: list[Candidate], requirement: Requirement
) -> None:
    mix = cheapest_mix(candidates, requirement)

    if mix.feasible:
        for index, rate in enumerate(requirement.demand_per_s[0]):
            assert math.fsum(traffic[0][index] for traffic in mix.traffic.values()) == pytest.approx(rate)
        for c in candidates:
            rates = mix.traffic.get(c.unit, ((0.0, 0.0),))[0]
            busy = math.fsum(rate / limit for rate, limit in zip(rates, c.limits_per_s, strict=True))
            assert busy <= requirement.utilization_target * mix.replicas(c.unit, 0) + 2e-5


@settings(max_examples=15, deadline=None)
@given(fleets(zones=2, sizes=2), requirements(kinds=list(Loss), sizes=2, bounded=True), st.floats(0.01, 1.0))
def test_more_demand_never_costs_less(candidates: list[Candidate], more: Requirement, fraction: float) -> None:
    first, second = more.demand_per_s[0]
    less = replace(more, demand_per_s=((first * fraction, second),))
    dear, cheap = cheapest_mix(candidates, more), cheapest_mix(candidates, less)

    if dear.feasible:
        assert cheap.feasible
        assert cheap.cost_usd_per_h <= dear.cost_usd_per_h * (1 + 1e-6)


@settings(max_examples=15, deadline=None)
@given(fleets(zones=2), requirements(kinds=list(Loss), bounded=True), st.integers(0, 3), st.integers(1, 5))
def test_more_capacity_never_costs_more(
    candidates: list[Candidate], requirement: Requirement, which: int, more: int
) -> None:
    raised = list(candidates)
    which %= len(raised)
    raised[which] = replace(raised[which], max_replicas=raised[which].max_replicas + more)
    before, after = cheapest_mix(candidates, requirement), cheapest_mix(raised, requirement)

    if before.feasible:
        assert after.feasible
        assert after.cost_usd_per_h <= before.cost_usd_per_h * (1 + 1e-6)


@settings(max_examples=15, deadline=None)
@given(fleets(units=3), requirements(bounded=True))
def test_removing_a_unit_never_helps(candidates: list[Candidate], requirement: Requirement) -> None:
    whole = cheapest_mix(candidates, requirement)

    for removed in candidates:
        rest = cheapest_mix([c for c in candidates if c is not removed], requirement)
        if rest.feasible:
            assert whole.feasible
            assert whole.cost_usd_per_h <= rest.cost_usd_per_h * (1 + 1e-6)


@settings(max_examples=8, deadline=None)
@given(fleets(zones=2, sizes=2), requirements(kinds=list(Loss), sizes=2))
def test_the_same_question_has_the_same_answer(candidates: list[Candidate], requirement: Requirement) -> None:
    assert cheapest_mix(candidates, requirement) == cheapest_mix(candidates, requirement)


@pytest.mark.parametrize(
    "wrong",
    [
        {"limits_per_s": (0.0,)},
        {"limits_per_s": (math.nan,)},
        {"replicas_per_instance": 0},
        {"min_replicas": 21},
        {"supplies": ()},
        {"supplies": (Supply(1.0), Supply(2.0))},
        {"startup_s": -1.0},
    ],
)
def test_a_candidate_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="inf2"):
        replace(INF2, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan, math.inf])
def test_an_instance_without_a_price_is_refused(price: float) -> None:
    with pytest.raises(ValueError, match="price"):
        Supply(price)


@pytest.mark.parametrize(
    "wrong",
    [
        {"demand_per_s": ((0.0,),)},
        {"demand_per_s": ((math.inf,),)},
        {"demand_per_s": ((1.0,), (1.0, 2.0))},
        {"utilization_target": 0.0},
        {"utilization_target": 1.1},
        {"max_pools": 0},
        {"quotas": {"G": -1}},
        {"period_h": 0.0},
    ],
)
def test_a_requirement_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"demand|target|pool|length"):
        replace(steady(1.0), **wrong)  # type: ignore[arg-type]


def test_limits_for_other_sizes_than_the_demand_has_are_refused() -> None:
    with pytest.raises(ValueError, match="1 limits for 2 buckets"):
        cheapest_mix([INF2], Requirement(((1.0, 2.0),), 0.8))
