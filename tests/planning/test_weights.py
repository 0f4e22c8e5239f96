"""Shares by merit order, and the integers that a load balancer takes."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.fleet import InferenceFleet, WeightPolicy
from holdfast.model.plan import TOTAL_WEIGHT, UnitEvidence
from holdfast.planning.plan import make_plan
from holdfast.planning.weights import (
    Fillable,
    capacity_optimized,
    compare,
    integer_weights,
    inverse_cost,
    merit_order,
    weigh,
    within_limits,
)

limits = st.one_of(st.just(0.0), st.floats(0.01, 1e4))
targets = st.floats(0.05, 1.0)
rates = st.floats(0.0, 1e5)
shares_by_name = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=3), st.one_of(st.just(0.0), st.floats(1e-9, 1.0)), min_size=1, max_size=8
)


@st.composite
def fleets(draw: st.DrawFn) -> list[Fillable]:
    size = draw(st.integers(1, 6))
    return [Fillable(f"p{i}", draw(limits), draw(st.floats(0.0, 1000.0))) for i in range(size)]


def test_the_cheapest_pool_is_filled_to_the_target_before_the_next_gets_anything() -> None:
    pools = [Fillable("dear", 10, 3), Fillable("cheap", 10, 1), Fillable("middle", 10, 2)]

    assert merit_order(pools, 12, 0.8) == pytest.approx({"cheap": 8 / 12, "middle": 4 / 12, "dear": 0.0})


def test_beyond_the_target_the_rest_is_spread_by_what_is_left_up_to_the_limits() -> None:
    pools = [Fillable("a", 10, 1), Fillable("b", 30, 2)]

    # 32 fill both to 80 %; of the 8 that are left up to the limits, 2 are a's and 6 are b's.
    assert merit_order(pools, 36, 0.8) == pytest.approx({"a": 9 / 36, "b": 27 / 36})


def test_an_overloaded_fleet_is_overloaded_evenly() -> None:
    pools = [Fillable("a", 10, 1), Fillable("b", 30, 2)]

    assert merit_order(pools, 80, 0.8) == pytest.approx({"a": 0.25, "b": 0.75})


def test_every_pool_keeps_its_minimum_share_as_far_as_its_limit_allows() -> None:
    pools = [Fillable("cheap", 1000, 1), Fillable("warm", 100, 2), Fillable("tiny", 0.5, 3)]

    shares = merit_order(pools, 100, 0.8, min_share=0.01)

    assert shares == pytest.approx({"cheap": 0.986, "warm": 0.01, "tiny": 0.004})


@given(fleets(), rates, targets, st.floats(0.0, 0.2))
def test_shares_sum_to_one_and_only_pools_with_a_limit_get_any(
    pools: list[Fillable], rate: float, target: float, min_share: float
) -> None:
    shares = merit_order(pools, rate, target, min_share)

    assert set(shares) == {pool.name for pool in pools}
    assert all(shares[pool.name] == 0 for pool in pools if pool.limit_per_s == 0)
    assert all(share >= 0 for share in shares.values())
    if any(pool.limit_per_s > 0 for pool in pools):
        assert math.fsum(shares.values()) == pytest.approx(1)


@given(fleets(), rates, targets, st.floats(0.0, 0.15))
def test_no_pool_is_above_its_limit_while_the_fleet_as_a_whole_is_not(
    pools: list[Fillable], rate: float, target: float, min_share: float
) -> None:
    shares = merit_order(pools, rate, target, min_share)
    whole = math.fsum(pool.limit_per_s for pool in pools)

    if rate <= whole:
        assert all(shares[pool.name] * rate <= pool.limit_per_s * (1 + 1e-9) + 1e-9 for pool in pools)


@given(fleets(), st.floats(0.01, 1e5), targets)
def test_a_pool_gets_traffic_only_when_all_cheaper_ones_are_at_the_target(
    pools: list[Fillable], rate: float, target: float
) -> None:
    shares = merit_order(pools, rate, target)
    order = sorted(
        (pool for pool in pools if pool.limit_per_s > 0), key=lambda pool: (pool.usd_per_million_requests, pool.name)
    )

    for cheaper, dearer in itertools.pairwise(order):
        if shares[dearer.name] > 1e-9:
            assert shares[cheaper.name] * rate >= cheaper.limit_per_s * target * (1 - 1e-6)


@given(fleets(), st.floats(0.01, 1e5), targets, st.floats(0.0, 0.15, allow_subnormal=False))
def test_every_pool_with_a_limit_gets_its_minimum(
    pools: list[Fillable], rate: float, target: float, min_share: float
) -> None:
    shares = merit_order(pools, rate, target, min_share)

    for pool in pools:
        assert shares[pool.name] >= min(min_share, pool.limit_per_s * target / rate) * (1 - 1e-6)


def test_without_a_pool_that_can_take_traffic_all_shares_are_zero() -> None:
    assert merit_order([Fillable("a", 0, 1)], 5, 0.8) == {"a": 0.0}


@given(shares_by_name)
def test_weights_sum_to_the_total_and_are_positive_exactly_where_the_share_is(shares: dict[str, float]) -> None:
    weights = integer_weights(shares)

    assert all((weights[name] > 0) == (share > 0) for name, share in shares.items())
    assert sum(weights.values()) == (TOTAL_WEIGHT if any(shares.values()) else 0)


@given(shares_by_name)
def test_a_weight_is_within_one_of_its_share_unless_the_guarantee_of_one_took_from_it(
    shares: dict[str, float],
) -> None:
    weights = integer_weights(shares)
    whole = math.fsum(shares.values()) or 1.0
    lifted = sum(0 < share / whole * TOTAL_WEIGHT < 1 for share in shares.values())

    for name, share in shares.items():
        exact = share / whole * TOTAL_WEIGHT
        assert -1 - lifted < weights[name] - exact < 1 + 1e-9


def test_ties_go_to_the_pool_named_first() -> None:
    assert integer_weights({"x": 1.0, "a": 1.0, "m": 1.0}) == {"x": 34, "a": 33, "m": 33}


def test_a_tie_over_who_gives_up_a_unit_is_lost_by_the_pool_named_last() -> None:
    # Of 10 units x and y are due 4.49 and each of the small ones 0.34, which becomes 1: one too many is given out.
    shares = {"x": 449.0, "y": 449.0, "a": 34.0, "b": 34.0, "c": 34.0}

    assert integer_weights(shares, total=10) == {"x": 4, "y": 3, "a": 1, "b": 1, "c": 1}


def test_more_pools_than_units_of_weight_are_refused() -> None:
    with pytest.raises(ValueError, match="3 pools"):
        integer_weights({"a": 1, "b": 1, "c": 1}, total=2)


@pytest.mark.parametrize("share", [-0.1, math.nan, math.inf])
def test_a_share_that_is_no_share_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        integer_weights({"a": share, "b": 1.0})


def test_units_that_a_small_pool_cannot_carry_move_to_the_one_with_most_room() -> None:
    assert within_limits({"tiny": 1, "a": 59, "b": 40}, {"tiny": 0.4, "a": 60, "b": 90}) == {
        "tiny": 0,
        "a": 59,
        "b": 41,
    }


def test_weights_stay_where_they_are_when_no_pool_has_room_for_a_whole_unit() -> None:
    assert within_limits({"a": 60, "b": 40}, {"a": 59.0, "b": 40.9}) == {"a": 60, "b": 40}


@given(st.lists(st.tuples(st.integers(0, 60), st.floats(0, 80)), min_size=1, max_size=6))
def test_moving_units_keeps_the_total_and_leaves_nobody_overfull_beside_room(pools: list[tuple[int, float]]) -> None:
    weights = {str(i): weight for i, (weight, _) in enumerate(pools)}
    carries = {str(i): carry for i, (_, carry) in enumerate(pools)}

    moved = within_limits(weights, carries)

    assert sum(moved.values()) == sum(weights.values())
    overfull = any(moved[name] > carries[name] * (1 + 1e-9) for name in moved)
    assert not (overfull and any(moved[name] + 1 <= carries[name] for name in moved))


# The published deployment units: requests/min and USD/h (scalable-hw-agnostic-inference, Table 1), one replica each.
SD21 = [
    Fillable(name, per_min / 60, usd_per_h / (per_min * 60) * 1e6)
    for name, per_min, usd_per_h in (
        ("inf2", 105, 0.7582),
        ("trn1", 130, 1.3438),
        ("g5-triton", 90, 1.006),
        ("g6", 61, 0.8048),
        ("g5-cuda", 60, 1.006),
    )
]


def test_inverse_cost_weights_of_the_published_units_are_not_those_published() -> None:
    # Printed as 40, 20, 15, 10, 15, "determined by the cost of inference" (docs/published-errata.md).
    assert integer_weights(inverse_cost(SD21)) == {"inf2": 30, "trn1": 21, "g5-triton": 19, "g6": 17, "g5-cuda": 13}


def test_capacity_optimised_shares_are_those_of_the_published_adjusted_throughput() -> None:
    shares = capacity_optimized(SD21)

    # min(446 / 5, limit): 89.2, 89.2, 89.2, 61 and 60 of 388.6 requests per minute.
    assert shares == pytest.approx(
        dict(zip([p.name for p in SD21], [x / 388.6 for x in (89.2, 89.2, 89.2, 61, 60)], strict=True))
    )
    assert integer_weights(shares) == {"inf2": 23, "trn1": 23, "g5-triton": 23, "g6": 16, "g5-cuda": 15}


def test_round_robin_goes_over_replicas() -> None:
    pools = [Fillable("a", 30, 1, replicas=3), Fillable("b", 40, 2, replicas=1)]

    # Limits of 10 and 40 per replica, 25 on average: three replicas take 10 each, one takes 25.
    assert capacity_optimized(pools) == pytest.approx({"a": 30 / 55, "b": 25 / 55})


@pytest.mark.parametrize("policy", WeightPolicy)
@given(pools=fleets(), rate=st.floats(0.01, 1e5))
def test_every_policy_gives_integers_that_sum_and_nothing_to_a_pool_without_a_limit(
    policy: WeightPolicy, pools: list[Fillable], rate: float
) -> None:
    priced = [Fillable(p.name, p.limit_per_s, p.usd_per_million_requests + 0.01, 2) for p in pools]
    spec = _FLEET.spec

    weighing = weigh(policy, priced, rate, spec)

    for weights in (weighing.plain, weighing.weights):
        assert sum(weights.values()) == (TOTAL_WEIGHT if any(p.limit_per_s for p in priced) else 0)
        assert all(weights[p.name] == 0 for p in priced if p.limit_per_s == 0) or rate > sum(
            p.limit_per_s for p in priced
        )


def test_what_a_policy_overloads_is_moved_and_counted() -> None:
    pools = [Fillable("cheap-and-small", 1, 1), Fillable("dear-and-large", 100, 3)]

    weighing = weigh(WeightPolicy.INVERSE_COST, pools, 10, _FLEET.spec)

    assert weighing.plain == {"cheap-and-small": 75, "dear-and-large": 25}
    assert weighing.weights == {"cheap-and-small": 10, "dear-and-large": 90}
    assert weighing.moved == 65


def test_the_comparison_has_all_policies_as_they_are_and_says_what_each_comes_to() -> None:
    evidence = [
        UnitEvidence("a", 2.0, 0.72, 1, None, None, "", ""),
        UnitEvidence("b", 1.0, 1.44, 1, None, None, "", ""),
    ]

    table = compare(make_plan(_FLEET, evidence))

    # 4/s at 80 %: two a of 2/s for 100 USD per million requests, one b of 1/s for 400.
    assert table.rows == (("a", 80, 80, 75), ("b", 20, 20, 25))
    assert table.notes[0].startswith("merit-order: 160.00 USD per million requests")
    assert table.notes[2] == (
        "capacity-optimized: 175.00 USD per million requests at full replicas; b is filled to 100% of its limit."
    )


_FLEET = InferenceFleet.model_validate(
    {
        "apiVersion": "holdfast.dev/v1alpha1",
        "kind": "InferenceFleet",
        "metadata": {"name": "pair"},
        "spec": {
            "model": {"id": "some/model", "task": "text-to-image"},
            "workload": {"api": "images"},
            "slo": {"latency": {"p95": "2s"}},
            "demand": {"rate": "4/s"},
            "units": [
                {"name": name, "accelerator": "a10g", "instanceType": "g5.xlarge", "framework": "vllm"} for name in "ab"
            ],
            "capacity": {"survive": "none"},
        },
    }
)
