"""What replicas carry of several sizes, against closed formulas and against the planner's own linear program."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.auditing.plan_carried import Carrying
from holdfast.planning.mix.carrying import load_factor

LIMITS = st.integers(1, 5).flatmap(
    lambda sizes: st.lists(st.lists(st.floats(0.01, 100), min_size=sizes, max_size=sizes), min_size=1, max_size=5)
)


def carrying(limits: list[list[float]], shares: list[float]) -> Carrying:
    return Carrying(np.array(limits), np.array(shares) / math.fsum(shares))


def test_a_unit_alone_carries_the_mixture_at_its_harmonic_mean() -> None:
    low, high = carrying([[8.0, 0.5]], [0.8, 0.2]).between_per_s([3], math.inf)

    assert (low, high) == pytest.approx((3 / (0.8 / 8 + 0.2 / 0.5),) * 2)


def test_units_that_are_good_at_one_size_each_take_it() -> None:
    # Two of the first carry 16/s of the short, so 20/s of the mixture; eight of the second 8/s of the long, so 40/s.
    low, high = carrying([[8.0, 0.0001], [0.0001, 1.0]], [0.8, 0.2]).between_per_s([2, 8], math.inf)

    assert 20 <= low <= high == pytest.approx(20, rel=1e-3)


def test_no_replicas_carry_nothing() -> None:
    assert carrying([[8.0, 0.5]], [0.5, 0.5]).between_per_s([0], 1.0) == (0.0, 0.0)


@given(st.data(), LIMITS)
def test_what_is_carried_is_what_the_planner_s_program_says(data: st.DataObject, limits: list[list[float]]) -> None:
    shares = data.draw(st.lists(st.floats(0.01, 1), min_size=len(limits[0]), max_size=len(limits[0])))
    known = carrying(limits, shares)
    for _ in range(3):  # later ones may be answered by what was proposed for the first
        replicas = data.draw(st.lists(st.integers(0, 30), min_size=len(limits), max_size=len(limits)).filter(any))
        right = load_factor(known.limits_per_s, known.shares, np.array(replicas, dtype=float))[0]

        low, high = known.between_per_s(replicas, right * 0.99)
        assert low <= right * (1 + 1e-6) and high >= right * (1 - 1e-6)
        assert low >= right * 0.99 * (1 - 1e-6)
        low, high = known.between_per_s(replicas, right * 1.01)
        assert low <= right * (1 + 1e-6) and right * (1 - 1e-6) <= high < right * 1.01
