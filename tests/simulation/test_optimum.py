"""The clairvoyant optimum against what can be worked out by hand, and above every run that a policy could make."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.simulation.optimum import Resource, objective, optimum, worth


def resource(name: str, rate_per_s: float, usd_per_h: float, most: list[float], startup_s: float = 0.0) -> Resource:
    return Resource(name, rate_per_s, startup_s, np.full(len(most), usd_per_h), np.array(most))


def test_the_cheapest_pool_carries_what_it_can_and_the_dearer_one_the_rest() -> None:
    cheap, dear = resource("cheap", 2.0, 1.0, [3, 3]), resource("dear", 1.0, 1.0, [9, 9])
    best = optimum([cheap, dear], np.array([4.0, 8.0]), 60.0, requests_per_usd=100.0)
    assert best.served == pytest.approx(12 * 60)
    assert best.replicas == pytest.approx(np.array([[2, 3], [0, 2]]))
    assert best.cost_usd == pytest.approx((2 + 5) * 60 / 3600)
    assert best.value == pytest.approx(objective(best.served, best.cost_usd, 100.0))


def test_load_is_left_where_no_supply_is() -> None:
    only = resource("only", 1.0, 1.0, [5, 0, 5])
    best = optimum([only], np.array([4.0, 4.0, 4.0]), 60.0, requests_per_usd=1.0)
    assert best.served_per_s == pytest.approx(np.array([[4, 0, 4]]))


def test_load_that_is_not_worth_its_cost_is_left() -> None:
    only = resource("only", 1.0, 3600.0, [5])  # a request costs 1 USD
    assert optimum([only], np.array([4.0]), 60.0, requests_per_usd=0.9).served == pytest.approx(240)
    assert optimum([only], np.array([4.0]), 60.0, requests_per_usd=1.1).served == 0


def test_a_replica_is_kept_over_a_lull_that_is_shorter_than_its_start() -> None:
    load = np.array([1.0, 0.0, 1.0])
    lull = optimum([resource("only", 1.0, 1.0, [1] * 3, startup_s=90.0)], load, 60.0, requests_per_usd=1.0)
    assert lull.replicas == pytest.approx(np.array([[1, 1, 1]]))
    gap = optimum([resource("only", 1.0, 1.0, [1] * 3, startup_s=30.0)], load, 60.0, requests_per_usd=1.0)
    assert gap.replicas == pytest.approx(np.array([[1, 0, 1]]))
    assert gap.cost_usd == pytest.approx((120 + 30) / 3600)


def test_a_request_is_worth_twice_what_the_dearest_pool_takes_for_one() -> None:
    assert worth([0.001, 0.004]) == pytest.approx(1 / 0.008)


@given(
    st.lists(
        st.tuples(
            st.floats(0.5, 5), st.floats(0.1, 10), st.floats(0, 300),
            st.lists(st.integers(0, 5), min_size=5, max_size=5), st.lists(st.integers(0, 5), min_size=5, max_size=5),
        ),
        min_size=1, max_size=3,
    ),
    st.lists(st.floats(0, 20), min_size=5, max_size=5),
    st.floats(0, 1000),
)  # fmt: skip
def test_no_run_within_supply_is_above_the_optimum(
    pools: list[tuple[float, float, float, list[int], list[int]]], load: list[float], requests_per_usd: float
) -> None:
    resources, left, served, cost_usd = [], np.array(load), 0.0, 0.0
    for number, (rate_per_s, usd_per_h, startup_s, most, wanted) in enumerate(pools):
        resources.append(resource(str(number), rate_per_s, usd_per_h, [float(n) for n in most], startup_s))
        ready = np.minimum(most, wanted)
        serves = np.minimum(left, ready * rate_per_s)
        left = left - serves
        served += serves.sum() * 60
        cost_usd += usd_per_h / 3600 * (ready.sum() * 60 + np.maximum(np.diff(ready), 0).sum() * startup_s)
    best = optimum(resources, np.array(load), 60.0, requests_per_usd)
    assert best.value >= objective(served, cost_usd, requests_per_usd) - 1e-6 * max(1.0, abs(best.value), served)


def test_more_supply_never_makes_the_optimum_worse() -> None:
    load = np.array([3.0, 9.0, 1.0, 6.0])
    values = [
        optimum(
            [resource("a", 1.0, 1.0, [n] * 4, 60.0), resource("b", 2.0, 5.0, [2.0] * 4, 60.0)], load, 60.0, 500.0
        ).value
        for n in range(6)
    ]
    assert values == sorted(values)
