"""Demands from a request in ten days to a million a second, and an answer whose proof the time did not allow."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.model.fleet import Loss
from holdfast.planning.mix import Candidate, Requirement, Supply, cheapest_mix, one_rate
from holdfast.planning.mix.settling import Settled, Settling
from planning.mixes import by_unit, fleets, held, holds, requirements, steady, unit

INF2 = unit("inf2", 1.75, 0.7582)
G5 = unit("g5", 1.5, 1.006)


def test_a_request_in_ten_days_needs_a_replica() -> None:
    mix = cheapest_mix([INF2, G5], steady(1e-6))

    assert (by_unit(mix), mix.gap) == ({"inf2": 1}, 0.0)
    assert mix.traffic["inf2"][0][0] == pytest.approx(1e-6)


def test_a_million_requests_a_second_need_half_a_million_replicas() -> None:
    mix = cheapest_mix([replace(INF2, max_replicas=1_000_000), replace(G5, max_replicas=1_000_000)], steady(1e6))

    # 1e6 / (0.8 x 1.75) = 714285.7, to a millionth.
    assert mix.replicas("inf2", 0) == pytest.approx(714_286, abs=2)


def test_a_million_requests_a_second_that_survive_the_loss_of_a_pool_are_planned_well() -> None:
    # The tree of a small program alone (highs._FEW) leaves a gap of 89 % here.
    known = [(17.4468, 5.01398), (3.13084, 0.690564), (33.6062, 2.71832), (17.0517, 1.85171), (22.08, 2.66506)]
    fleet = [
        Candidate(f"u{index}", (limit_per_s,), (Supply(usd_per_h, "a"), Supply(usd_per_h, "b")), max_replicas=1_000_000)
        for index, (limit_per_s, usd_per_h) in enumerate(known)
    ]

    assert cheapest_mix(fleet, steady(1e6, 0.8, Loss.POOL), gap=0.02, time_limit_s=5.0).gap <= 0.02


def test_an_hour_without_much_and_one_with_a_million_a_second_are_one_day() -> None:
    mix = cheapest_mix([replace(INF2, max_replicas=1_000_000)], Requirement(one_rate([1e-6, 1e6]), 0.8), gap=0.01)

    assert by_unit(mix, 0) == {"inf2": 1}
    assert mix.replicas("inf2", 1) == pytest.approx(714_286, abs=2)


def test_a_unit_that_is_a_billion_times_as_fast_is_bought_all_the_same() -> None:
    slow, fast = (Candidate(n, (limit, limit), (Supply(1.0),)) for n, limit in (("slow", 0.01), ("fast", 1e7)))

    assert by_unit(cheapest_mix([slow, fast], Requirement(((0.04, 0.02),), 0.8))) == {"fast": 1}


@settings(max_examples=25, deadline=None)
@given(
    fleets(units=3, zones=2, sizes=2, most=20),
    requirements(kinds=list(Loss), sizes=2, periods=2, highest=1.0),
    st.integers(-6, -1),
)
def test_a_mix_is_the_same_in_other_units_of_time(fleet: list[Candidate], asked: Requirement, power: int) -> None:
    scale = 10.0**power
    slower = [replace(c, limits_per_s=tuple(scale * limit for limit in c.limits_per_s)) for c in fleet]
    fewer = replace(asked, demand_per_s=tuple(tuple(scale * r for r in period) for period in asked.demand_per_s))

    mix, same = cheapest_mix(fleet, asked, gap=0.01), cheapest_mix(slower, fewer, gap=0.01)

    assert mix.feasible == same.feasible
    if mix.feasible:
        assert same.cost_usd_per_h * (1 - same.gap) <= mix.cost_usd_per_h * (1 + 1e-6)
        assert mix.cost_usd_per_h * (1 - mix.gap) <= same.cost_usd_per_h * (1 + 1e-6)


@settings(max_examples=25, deadline=None)
@given(
    fleets(units=3, zones=2, sizes=2, most=20),
    requirements(kinds=list(Loss), sizes=2, periods=2),
    st.integers(-6, -2),
)
def test_a_mix_for_next_to_nothing_holds(fleet: list[Candidate], asked: Requirement, power: int) -> None:
    little = replace(
        asked, demand_per_s=tuple(tuple(10.0**power * rate for rate in period) for period in asked.demand_per_s)
    )

    mix = cheapest_mix(fleet, little, gap=0.01)

    if mix.feasible:
        assert all(holds(fleet, little, held(mix, period), period) for period in range(len(little.demand_per_s)))


def test_a_change_that_is_not_proved_to_be_the_smallest_is_not_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    settle = Settling.settle

    def stopped(settling: Settling, *given: object, **named: object) -> Settled | None:
        settled = settle(settling, *given, **named)  # type: ignore[arg-type]
        return None if settled is None else replace(settled, proved=False)

    monkeypatch.setattr(Settling, "settle", stopped)

    assert cheapest_mix([replace(INF2, max_replicas=4)], steady(12)).shortfalls[-1] == (
        "A change that mends it, maybe not the smallest: raise maxReplicas of inf2 from 4 to 9."
    )
