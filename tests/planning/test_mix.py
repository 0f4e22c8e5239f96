"""The cheapest mix: right on small cases by brute force, and right in kind on all."""

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.planning.mix import Candidate, Mix, Requirement, cheapest_mix, total_cost

INF2 = Candidate("inf2", 1.75, 0.7582, 1, 0, 20)
TRN1 = Candidate("trn1", 130 / 60, 1.3438, 1, 0, 20)
G5 = Candidate("g5", 1.5, 1.006, 1, 0, 20)

requirements = st.builds(
    Requirement,
    demand_per_s=st.floats(0.1, 60),
    utilization_target=st.floats(0.3, 1.0),
    survive_one_pool=st.booleans(),
)


@st.composite
def pools(draw: st.DrawFn, largest: int = 12, count: int = 4) -> list[Candidate]:
    return [
        Candidate(
            unit=f"u{i}",
            limit_per_s=draw(st.floats(0.2, 12)),
            instance_usd_per_h=draw(st.floats(0.1, 20)),
            replicas_per_instance=draw(st.integers(1, 3)),
            min_replicas=0,
            max_replicas=draw(st.integers(1, largest)),
        )
        for i in range(draw(st.integers(1, count)))
    ]


def meets(candidates: list[Candidate], requirement: Requirement, replicas: dict[str, int]) -> bool:
    enough = requirement.demand_per_s * (1 - 1e-6)
    limits = [candidate.limit_per_s * replicas[candidate.unit] for candidate in candidates]
    if sum(limits) * requirement.utilization_target < enough:
        return False
    return not requirement.survive_one_pool or all(sum(limits) - lost >= enough for lost in limits)


def brute_force(candidates: list[Candidate], requirement: Requirement) -> float:
    """The least cost over all mixes, infinite when none meets the requirement."""
    counts = [range(candidate.min_replicas, candidate.max_replicas + 1) for candidate in candidates]
    mixes = (
        {candidate.unit: count for candidate, count in zip(candidates, choice, strict=True)}
        for choice in itertools.product(*counts)
    )
    return min((total_cost(candidates, mix) for mix in mixes if meets(candidates, requirement, mix)), default=math.inf)


def test_one_pool_gets_as_many_replicas_as_the_utilisation_target_asks_for() -> None:
    # 12/s at 80 % of 1.75/s: 8.57, so 9.
    mix = cheapest_mix([INF2], Requirement(12, 0.8, survive_one_pool=False))

    assert mix == Mix({"inf2": 9}, 9 * 0.7582, 0.0)


def test_surviving_any_one_pool_spreads_the_mix() -> None:
    requirement = Requirement(20, 0.8, survive_one_pool=True)

    mix = cheapest_mix([INF2, TRN1, G5], requirement)

    assert mix.feasible
    assert meets([INF2, TRN1, G5], requirement, dict(mix.replicas))
    assert sum(count > 0 for count in mix.replicas.values()) >= 2
    assert not meets([INF2, TRN1, G5], requirement, {"inf2": 15, "trn1": 0, "g5": 0})


def test_exactly_enough_is_enough_in_spite_of_floats() -> None:
    assert 0.8 * (1.4 * 3) < 3.36

    mix = cheapest_mix([Candidate("a", 1.4, 1.0, 1, 0, 3)], Requirement(3.36, 0.8, survive_one_pool=False))

    assert mix.replicas == {"a": 3}
    assert mix.feasible


def test_minimum_replicas_are_kept_even_where_they_cost_more() -> None:
    mix = cheapest_mix([INF2, replace(G5, min_replicas=2)], Requirement(1, 0.8, survive_one_pool=False))

    assert mix.replicas == {"inf2": 0, "g5": 2}


def test_instances_are_paid_for_whole_and_their_slots_are_filled() -> None:
    pods = Candidate("inf2-48xl", 38, 12.9813, 3, 0, 9)

    mix = cheapest_mix([pods], Requirement(100, 0.8, survive_one_pool=False))

    # 100/s at 80 % of 38/s is 3.3 replicas: two instances, which hold six.
    assert mix.replicas == {"inf2-48xl": 6}
    assert mix.cost_usd_per_h == pytest.approx(2 * 12.9813)


def test_a_single_pool_cannot_survive_its_own_loss() -> None:
    mix = cheapest_mix([INF2], Requirement(1, 0.8, survive_one_pool=True))

    assert not mix.feasible
    assert "add a second unit" in mix.shortfalls[0]


def test_nothing_to_plan_with_is_an_answer() -> None:
    mix = cheapest_mix([], Requirement(1, 0.8, survive_one_pool=True))

    assert not mix.feasible
    assert mix.replicas == {}


def test_a_short_mix_says_by_how_much_and_which_raise_mends_it() -> None:
    small = replace(INF2, max_replicas=4)
    requirement = Requirement(12, 0.8, survive_one_pool=False)

    mix = cheapest_mix([small], requirement)

    # 4 x 1.75 x 0.8 = 5.6 of 12; 6.4 / 0.8 / 1.75 = 4.57, so five more.
    assert mix.shortfalls == (
        "All pools at maxReplicas, filled to 80% of their limits, carry 5.6/s of 12/s: short by 6.4/s; "
        "raise maxReplicas of inf2 from 4 to 9.",
    )
    assert mix.replicas == {"inf2": 4}
    assert cheapest_mix([replace(small, max_replicas=9)], requirement).feasible
    assert not cheapest_mix([replace(small, max_replicas=8)], requirement).feasible


def test_a_loss_that_cannot_be_borne_names_the_pool_that_is_lost() -> None:
    mix = cheapest_mix([INF2, replace(G5, max_replicas=2)], Requirement(12, 0.8, survive_one_pool=True))

    assert len(mix.shortfalls) == 1
    assert mix.shortfalls[0].startswith("If inf2 goes, the other pools at maxReplicas")
    assert "carry 3/s of 12/s: short by 9/s; raise maxReplicas of g5 from 2 to 8" in mix.shortfalls[0]


@settings(max_examples=60, deadline=None)
@given(pools(largest=5, count=3), requirements)
def test_brute_force_agrees(candidates: list[Candidate], requirement: Requirement) -> None:
    mix = cheapest_mix(candidates, requirement)
    least = brute_force(candidates, requirement)

    assert mix.feasible == math.isfinite(least)
    if mix.feasible:
        assert mix.cost_usd_per_h == pytest.approx(least, rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(pools(), requirements)
def test_a_feasible_mix_meets_its_constraints_and_is_certified(
    candidates: list[Candidate], requirement: Requirement
) -> None:
    mix = cheapest_mix(candidates, requirement)

    assert all(c.min_replicas <= mix.replicas[c.unit] <= c.max_replicas for c in candidates)
    assert mix.cost_usd_per_h == pytest.approx(total_cost(candidates, mix.replicas))
    assert meets(candidates, requirement, dict(mix.replicas)) == mix.feasible
    assert mix.gap == pytest.approx(0.0 if mix.feasible else 1.0, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(pools(), requirements, st.floats(0.01, 1.0))
def test_more_demand_never_costs_less(candidates: list[Candidate], more: Requirement, fraction: float) -> None:
    less = replace(more, demand_per_s=more.demand_per_s * fraction)
    dear, cheap = cheapest_mix(candidates, more), cheapest_mix(candidates, less)

    if dear.feasible:
        assert cheap.feasible
        assert cheap.cost_usd_per_h <= dear.cost_usd_per_h * (1 + 1e-6)


@settings(max_examples=40, deadline=None)
@given(pools(), requirements)
def test_removing_a_unit_never_helps(candidates: list[Candidate], requirement: Requirement) -> None:
    whole = cheapest_mix(candidates, requirement)

    for removed in candidates:
        rest = cheapest_mix([c for c in candidates if c is not removed], requirement)
        if rest.feasible:
            assert whole.feasible
            assert whole.cost_usd_per_h <= rest.cost_usd_per_h * (1 + 1e-6)


@settings(max_examples=15, deadline=None)
@given(pools(), requirements)
def test_the_same_question_has_the_same_answer(candidates: list[Candidate], requirement: Requirement) -> None:
    assert cheapest_mix(candidates, requirement) == cheapest_mix(candidates, requirement)


@pytest.mark.parametrize(
    "wrong",
    [{"limit_per_s": 0.0}, {"instance_usd_per_h": math.nan}, {"replicas_per_instance": 0}, {"min_replicas": 21}],
)
def test_a_candidate_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="inf2"):
        replace(INF2, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("demand, target", [(0.0, 0.8), (math.inf, 0.8), (1.0, 0.0), (1.0, 1.1)])
def test_a_requirement_that_cannot_be_is_refused(demand: float, target: float) -> None:
    with pytest.raises(ValueError, match="demand"):
        Requirement(demand, target, survive_one_pool=False)
