"""What an infeasible mix says, and what a feasible one says of its limits."""

from dataclasses import replace

import pytest
from hypothesis import given, settings

from holdfast.model.fleet import CapacityType, Loss
from holdfast.planning.mix import Binding, Candidate, Mix, Relaxation, Requirement, Supply, cheapest_mix, one_rate
from planning.mixes import by_unit, fleets, requirements, steady, unit

INF2 = unit("inf2", 1.75, 0.7582)
G5 = unit("g5", 1.5, 1.006)


def limited(limits: list[Candidate], requirement: Requirement) -> Mix:
    mix = cheapest_mix(limits, requirement)
    assert not mix.feasible
    assert mix.relaxation is not None
    assert cheapest_mix(*mix.relaxation.applied(limits, requirement)).feasible
    return mix


def test_nothing_to_plan_with_is_an_answer() -> None:
    mix = cheapest_mix([], steady(1.0))

    assert (mix.feasible, mix.allotments, mix.relaxation) == (False, (), None)


def test_a_short_mix_says_by_how_much_and_which_raise_mends_it() -> None:
    small = replace(INF2, max_replicas=4)

    mix = limited([small], steady(12))

    # 4 x 1.75 x 0.8 = 5.6 of 12; 6.4 / 0.8 / 1.75 = 4.57, so five more.
    assert mix.shortfalls == (
        "All pools at maxReplicas, filled to 80% of their limits, carry 5.6/s of 12/s: short by 6.4/s; "
        "raise maxReplicas of inf2 from 4 to 9.",
    )
    assert by_unit(mix) == {"inf2": 4}
    assert not cheapest_mix([replace(small, max_replicas=8)], steady(12)).feasible


def test_a_loss_that_cannot_be_borne_names_what_is_lost() -> None:
    mix = limited([INF2, replace(G5, max_replicas=2)], steady(12, 0.8, Loss.POOL))

    assert mix.shortfalls == (
        "If inf2 goes, the other pools at maxReplicas, filled to their limits, carry 3/s of 12/s: short by 9/s; "
        "raise maxReplicas of g5 from 2 to 8.",
    )


def test_several_shortfalls_are_mended_together() -> None:
    mix = limited([replace(INF2, max_replicas=2), replace(G5, max_replicas=2)], steady(12, 0.8, Loss.POOL))

    assert len(mix.shortfalls) == 4
    assert mix.shortfalls[-1] == (
        "The smallest change that mends it: raise maxReplicas of inf2 from 2 to 7; raise maxReplicas of g5 from 2 to 8."
    )


def test_a_single_pool_cannot_survive_its_own_loss() -> None:
    mix = limited([INF2], steady(1, 0.8, Loss.POOL))

    assert mix.shortfalls == (
        "If inf2 goes, nothing is left that serves the demand of 1/s; "
        "add a second unit, or set capacity.survive to none.",
    )
    assert mix.relaxation == Relaxation(dropped=frozenset({Loss.POOL}))


def test_one_zone_cannot_be_lost_and_another_loss_is_still_survived() -> None:
    fleet = [replace(each, supplies=(replace(each.supplies[0], zone="a"),)) for each in (INF2, G5)]

    mix = limited(fleet, steady(1, 0.8, Loss.POOL, Loss.ZONE))

    assert mix.relaxation == Relaxation(dropped=frozenset({Loss.ZONE}))
    assert "add a zone, or leave zone out of capacity.survive" in mix.shortfalls[-1]


def test_a_quota_says_how_many_vcpus_it_lacks() -> None:
    g5 = Candidate("g5", (1.5,), (Supply(1.006, quota="G", vcpus=4),))

    # 20/s need 17 replicas of 4 vCPUs.
    mix = limited([g5], Requirement(((20.0,),), 0.8, quotas={"G": 40}))

    assert mix.shortfalls == (
        "The most that the limits allow carries 12/s of 20/s: short by 8/s; "
        "raise the G quota, which lacks 28 vCPU, from 40 to 68.",
    )
    assert by_unit(mix) == {"g5": 10}


def test_too_few_pools_for_the_least_replicas_say_how_many_are_needed() -> None:
    three = [replace(unit(name, 1.0, 1.0), min_replicas=1) for name in ("a", "b", "c")]

    mix = limited(three, Requirement(((2.0,),), 0.8, max_pools=2))

    assert mix.shortfalls == ("minReplicas alone go beyond what the limits allow; allow 3 pools instead of 2.",)


def test_too_few_pools_for_a_loss_say_how_many_are_needed() -> None:
    mix = limited([INF2, G5], replace(steady(2.0, 0.8, Loss.POOL), max_pools=1))

    assert mix.shortfalls == (
        "The most that the limits allow carries 0/s of 2/s and survives every loss: short by 2/s; "
        "allow 2 pools instead of 1.",
    )


def test_a_supply_that_is_too_small_is_named_by_how_it_is_bought() -> None:
    spot = Candidate("g5", (1.5,), (Supply(0.5, "us-west-2a", CapacityType.SPOT, max_replicas=3),))

    mix = limited([spot], steady(12))

    assert mix.shortfalls[-1].endswith("get 10 replicas of g5 as spot in us-west-2a instead of 3.")


def test_a_size_that_nobody_serves_is_named_and_nothing_mends_it() -> None:
    mix = cheapest_mix([Candidate("short", (8.0, 0.0), (Supply(1.0),))], Requirement(((8.0, 2.0),), 1.0))

    assert mix.shortfalls == ("No unit serves requests of size 2, of which 2/s come; add one that does.",)
    assert mix.relaxation is None


def test_the_hardest_hours_decide_a_day_that_is_too_much() -> None:
    mix = limited([replace(INF2, max_replicas=4)], Requirement(one_rate([1.0, 12.0, 9.0]), 0.8))

    assert len(mix.shortfalls) == 1
    assert "carry 5.6/s of 12/s" in mix.shortfalls[0]


@settings(max_examples=20, deadline=None)
@given(
    fleets(units=3, most=4, zones=2, ways=2, sizes=2),
    requirements(kinds=list(Loss), sizes=2, periods=2, bounded=True),
)
def test_the_smallest_change_makes_it_feasible_and_none_is_smaller_by_one(
    candidates: list[Candidate], requirement: Requirement
) -> None:
    mix = cheapest_mix(candidates, requirement, gap=0.05)

    if mix.feasible:
        return
    change = mix.relaxation
    assert change is not None
    assert mix.shortfalls
    assert cheapest_mix(*change.applied(candidates, requirement), gap=0.5).feasible
    smaller = [replace(change, replicas={**change.replicas, name: most - 1}) for name, most in change.replicas.items()]
    smaller += [replace(change, quotas={**change.quotas, name: most - 1}) for name, most in change.quotas.items()]
    for less in smaller:
        assert not cheapest_mix(*less.applied(candidates, requirement), gap=0.5).feasible


def kinds(mix: Mix) -> list[str]:
    return [binding.kind for binding in mix.binding]


def test_the_demand_binds_with_less_room_than_a_replica() -> None:
    mix = cheapest_mix([INF2], steady(12))

    assert mix.binding == (
        Binding(
            "demand",
            "The demand binds: filled to 80% of their limits the pools have room for 0.6/s beyond 12/s, "
            "less than any instance brings.",
            None,
        ),
    )


def test_a_loss_binds_where_the_demand_does_not() -> None:
    mix = cheapest_mix([INF2, G5], steady(12, 0.8, Loss.POOL))

    assert kinds(mix) == ["loss", "loss"]
    assert mix.binding[0].words.startswith(
        "The loss of inf2 binds: the rest, filled to their limits, have room for 0/s"
    )


def test_a_maximum_that_keeps_the_cheap_unit_small_binds_and_has_a_worth() -> None:
    mix = cheapest_mix([replace(INF2, max_replicas=4), G5], steady(12))

    # One more inf2 stands for 1.75 / 1.5 of a g5: 1.1737 - 0.7582.
    maximum = mix.binding[1]
    assert kinds(mix) == ["demand", "replicas"]
    assert maximum.worth_usd_per_h == pytest.approx(1.006 * 1.75 / 1.5 - 0.7582)
    assert maximum.words == (
        "maxReplicas of inf2 (4) binds: one replica more would save about 0.4155 USD/h by the linear relaxation, "
        "which rounds nothing."
    )


def test_a_minimum_that_keeps_the_dear_unit_binds() -> None:
    mix = cheapest_mix([INF2, replace(G5, min_replicas=2)], steady(12))

    assert "minReplicas of g5 (2) binds: one replica less would save about" in mix.binding[-1].words


def test_a_quota_that_is_used_up_binds_and_one_with_room_does_not() -> None:
    g5 = Candidate("g5", (1.5,), (Supply(0.4, quota="G", vcpus=4),))
    inf2 = Candidate("inf2", (0.5,), (Supply(0.3, quota="Inf", vcpus=4),), max_replicas=40)

    mix = cheapest_mix([g5, inf2], Requirement(((12.0,),), 0.8, quotas={"G": 19, "Inf": 400}))

    assert kinds(mix)[-1] == "quota"
    assert mix.binding[-1].words.startswith("The G quota (19 vCPU, 16 used) binds: one vCPU more would save about")


def test_the_number_of_pools_binds_and_what_it_is_worth_is_not_guessed() -> None:
    mix = cheapest_mix([INF2, G5], Requirement(((12.0,),), 0.8, max_pools=1))

    assert mix.binding[-1].kind == "pools"
    assert mix.binding[-1].worth_usd_per_h is None


def test_a_limit_that_binds_for_a_part_of_the_day_says_for_how_long() -> None:
    mix = cheapest_mix([replace(INF2, max_replicas=4), G5], Requirement(one_rate([2.0, 12.0, 2.0]), 0.8))

    assert any("maxReplicas of inf2 (4) binds in 1 of 3 periods" in binding.words for binding in mix.binding)
