"""Replicas hour by hour: starts are paid, and the search's stages agree with brute force."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.model.errors import HoldfastError
from holdfast.model.fleet import CapacityType, Loss
from holdfast.planning.mix import Candidate, Problem, Requirement, cheapest_mix, one_rate
from holdfast.planning.mix.search import Search
from holdfast.planning.mix.settling import Settled, Settling, TimeIsUpError
from planning.mixes import by_unit, fleets, held, holds, is_cheapest, requirements, unit, usd_per_h

INF2 = unit("inf2", 2.0, 1.0)


def test_replicas_follow_the_demand() -> None:
    mix = cheapest_mix([INF2], Requirement(one_rate([4.0, 16.0, 8.0]), 1.0))

    assert [by_unit(mix, period) for period in range(3)] == [{"inf2": 2}, {"inf2": 8}, {"inf2": 4}]
    assert mix.cost_by_period_usd_per_h == (2.0, 8.0, 4.0)
    assert mix.cost_usd_per_h == pytest.approx(14 / 3)


def test_a_start_is_paid_for_in_the_period_that_it_serves_in() -> None:
    mix = cheapest_mix([replace(INF2, startup_s=900)], Requirement(one_rate([4.0, 16.0]), 1.0))

    # Six more start for the second period, a quarter of an hour each; then they stop, which costs nothing.
    assert mix.cost_by_period_usd_per_h == (2.0, 8.0 + 6 * 0.25)


def test_a_replica_that_takes_longer_to_start_than_it_would_rest_keeps_running() -> None:
    mix = cheapest_mix([replace(INF2, startup_s=5400)], Requirement(one_rate([4.0, 16.0, 4.0, 16.0]), 1.0))

    assert [by_unit(mix, period) for period in range(4)] == [{"inf2": 8}] * 4


def test_the_first_period_follows_the_last() -> None:
    late = cheapest_mix([replace(INF2, startup_s=900)], Requirement(one_rate([4.0, 4.0, 16.0]), 1.0))
    early = cheapest_mix([replace(INF2, startup_s=900)], Requirement(one_rate([16.0, 4.0, 4.0]), 1.0))

    assert late.cost_usd_per_h == pytest.approx(early.cost_usd_per_h)


def test_the_pools_of_a_day_are_the_same_all_day() -> None:
    # At 1/s the small unit is cheapest, at 30/s the large one; one pool has to do for both.
    small, large = unit("small", 1.0, 1.0, most=40), unit("large", 10.0, 8.0)

    free = cheapest_mix([small, large], Requirement(one_rate([1.0, 30.0]), 1.0))
    bound = cheapest_mix([small, large], Requirement(one_rate([1.0, 30.0]), 1.0, max_pools=1))

    assert [by_unit(free, period) for period in range(2)] == [{"small": 1}, {"large": 3}]
    assert [by_unit(bound, period) for period in range(2)] in (
        [{"small": 1}, {"small": 30}],
        [{"large": 1}, {"large": 3}],
    )
    assert bound.cost_usd_per_h == pytest.approx(min(1 + 30, 8 + 24) / 2)


def test_a_day_that_the_time_limit_ends_has_a_mix_and_an_honest_gap() -> None:
    fleet = [unit(f"u{index}", 1.0 + 0.37 * index, 1.0 + 0.31 * index, slots=3) for index in range(6)]
    day = Requirement(one_rate([3.0 + 1.3 * hour for hour in range(12)]), 0.8, frozenset({Loss.POOL}))

    hasty = Settling(Problem(tuple(replace(each, startup_s=7200) for each in fleet), day), time_limit_s=60.0)
    hasty.settle = stopping_after(hasty.settle, 14)  # type: ignore[method-assign]
    found = Search(hasty, gap=0.0).run()

    assert found is not None
    assert 0.0 < found.gap < 0.5


Settle = Callable[..., Settled | None]


def stopping_after(settle: Settle, calls: int) -> Settle:
    """The call, whose time is up once it was made so often."""
    left = iter(range(calls))

    def hasty(*given: object, **named: object) -> Settled | None:
        if next(left, None) is None:
            raise TimeIsUpError("enough")
        return settle(*given, **named)

    return hasty


@settings(max_examples=20, deadline=None)
@given(fleets(units=2, most=3), requirements(periods=3, highest=20, bounded=True))
def test_brute_force_agrees_on_days(candidates: list[Candidate], requirement: Requirement) -> None:
    assert is_cheapest(candidates, requirement, cheapest_mix(candidates, requirement))


@settings(max_examples=8, deadline=None)
@given(fleets(units=3, zones=2, sizes=2, most=20), requirements(kinds=list(Loss), periods=4, sizes=2, bounded=True))
def test_every_period_of_a_day_holds_and_the_gap_is_kept(candidates: list[Candidate], requirement: Requirement) -> None:
    mix = cheapest_mix(candidates, requirement, gap=0.05)
    exact = cheapest_mix(candidates, requirement, gap=0.01)

    assert mix.feasible == exact.feasible
    if mix.feasible:
        days = [held(mix, period) for period in range(len(requirement.demand_per_s))]
        assert all(holds(candidates, requirement, replicas, period) for period, replicas in enumerate(days))
        assert mix.cost_usd_per_h == pytest.approx(usd_per_h(candidates, days))
        assert mix.gap <= 0.05
        assert mix.cost_usd_per_h * (1 - mix.gap) <= exact.cost_usd_per_h * (1 + 1e-6)


@settings(max_examples=8, deadline=None)
@given(
    fleets(units=3, zones=2, sizes=2, most=20),
    requirements(kinds=list(Loss), periods=4, sizes=2),
    st.floats(0.005, 0.1),
)
def test_a_day_over_sizes_that_is_cut_off_holds_and_has_an_honest_gap(
    candidates: list[Candidate], requirement: Requirement, time_limit_s: float
) -> None:
    exact = cheapest_mix(candidates, requirement, gap=0.01)
    try:
        mix = cheapest_mix(candidates, requirement, gap=0.0, time_limit_s=time_limit_s)
    except HoldfastError:
        return  # not even twice the time was enough for any

    assert mix.feasible == exact.feasible
    if mix.feasible:
        days = [held(mix, period) for period in range(len(requirement.demand_per_s))]
        assert all(holds(candidates, requirement, replicas, period) for period, replicas in enumerate(days))
        assert mix.cost_usd_per_h * (1 - mix.gap) <= exact.cost_usd_per_h * (1 + 1e-6)
        assert exact.cost_usd_per_h * (1 - exact.gap) <= mix.cost_usd_per_h * (1 + 1e-6)


def test_when_the_time_is_up_before_there_is_a_mix_the_first_that_is_found_is_taken() -> None:
    fleet = [unit(f"u{index}", 1.0 + 0.37 * index, 1.0 + 0.31 * index, slots=3) for index in range(6)]
    day = Requirement(one_rate([3.0 + 1.3 * hour for hour in range(6)]), 0.8, frozenset({Loss.POOL}), max_pools=3)

    found = Search(Settling(Problem(tuple(fleet), day), time_limit_s=60.0, spent_s=60.0), gap=0.0).run()

    assert found is not None
    assert 0.0 < found.gap < 1.0
    days = [
        dict(zip(((u.unit, "", CapacityType.ON_DEMAND) for u in fleet), row, strict=True)) for row in found.replicas
    ]
    assert all(holds(fleet, day, replicas, period) for period, replicas in enumerate(days))
