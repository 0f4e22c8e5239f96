"""What a sweep is asked for."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.load.cooling import CoolDown
from holdfast.load.counts import Count
from holdfast.load.sweeping import Plan
from holdfast.model import codec
from holdfast.model.stages import Arrivals, Level


@given(st.integers(0, 99_999_999), st.sampled_from(["", "x", "×", " x "]), st.integers(1, 1000))
def test_a_count_is_in_all_or_for_each_in_flight(number: int, mark: str, users: int) -> None:
    assert Count.parse(f"{number}{mark}").of(users) == number * (users if mark else 1)


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5x", "10y", "1e3", "123456789"])
def test_a_wrong_count_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="is no number of requests"):
        Count.parse(text)


def test_a_plan_is_compared_as_it_is_written() -> None:
    plan = Plan((Level(Arrivals.POISSON, rate_per_s=2.5, duration_s=60.0),), (0,), 30.0)
    assert codec.loads(Plan, codec.dumps(plan), where="here") == plan
    with pytest.raises(ValueError, match="at least one level"):
        Plan((), (), 30.0)


def test_a_cool_down_says_what_it_found() -> None:
    assert CoolDown(1.2, 0.25, 0.2, True).sentence == "idle again after 1.2 s: one request alone takes 250 ms"
    assert "takes 2 s, at first it took 200 ms" in CoolDown(30, 2.0, 0.2, False).sentence
    assert "one request alone gets no answer" in CoolDown(30, math.inf, 0.2, False).sentence
