"""The same fleet under other circumstances, planned anew."""

import datetime
import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.model.errors import InputError
from holdfast.model.fleet import CapacityType, InferenceFleet
from holdfast.model.hardware import Offering
from holdfast.model.measurements import Measurement
from holdfast.model.plan import PlanStatus, UnitEvidence
from holdfast.planning import ageing, budget, whatif
from holdfast.planning.difference import difference
from holdfast.planning.plan import make_plan

SINGLE = UnitEvidence("single", 2.0, 1.0, 1, 200.0, 0.5, "row 2", "page")
QUAD = UnitEvidence("quad", 6.0, 8.0, 2, 600.0, 0.2, "row 3", "page")
SPOT = Offering("g5.xlarge", "us-west-2", CapacityType.SPOT, 0.4, "a snapshot", "2026-07-01", False)


def on(evidence: Sequence[UnitEvidence]) -> whatif.Planner:
    return lambda fleet: make_plan(fleet, evidence)


def free(fleet: InferenceFleet) -> InferenceFleet:
    """The fleet with no minimum of replicas."""
    units = tuple(unit.model_copy(update={"min_replicas": 0}) for unit in fleet.spec.units)
    return fleet.model_copy(update={"spec": fleet.spec.model_copy(update={"units": units})})


def names(fleet: InferenceFleet) -> list[str]:
    return [unit.name for unit in fleet.spec.units]


def test_a_unit_is_left_out_by_its_name(fleet: InferenceFleet) -> None:
    assert names(whatif.without(fleet, ["quad"])) == ["single"]


@pytest.mark.parametrize("name", ["L4", "g6"])
def test_an_accelerator_or_a_family_leaves_out_all_its_units(fleet: InferenceFleet, name: str) -> None:
    other = fleet.unit("quad").model_copy(update={"accelerator": "l4", "instance_type": "g6.48xlarge"})
    units = (fleet.unit("single"), other)
    mixed = fleet.model_copy(update={"spec": fleet.spec.model_copy(update={"units": units})})

    assert names(whatif.without(mixed, [name])) == ["single"]


@pytest.mark.parametrize(
    "gone, words",
    [
        (["quat"], "no unit, accelerator or family 'quat'; did you mean quad"),
        (["xyz"], "'xyz'; known: a10g, g5, quad, single"),
        (["g5"], "without g5 no unit is left"),
        (["quad", ""], "no unit, accelerator or family ''"),
    ],
)
def test_a_name_that_means_nothing_or_everything_is_refused(fleet: InferenceFleet, gone: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        whatif.without(fleet, gone)


def test_removing_a_unit_never_helps(fleet: InferenceFleet) -> None:
    less = whatif.without(free(fleet), ["single"])

    assert make_plan(less, [QUAD]).cost_usd_per_h >= make_plan(free(fleet), [SINGLE, QUAD]).cost_usd_per_h


def test_spot_takes_the_place_of_stated_prices_and_says_whose_it_lacks(fleet: InferenceFleet) -> None:
    priced = fleet.unit("single").model_copy(update={"price_usd_per_h": 9.0})
    declared = fleet.model_copy(update={"spec": fleet.spec.model_copy(update={"units": (priced, fleet.unit("quad"))})})

    on_spot, said = whatif.on_spot(declared, {"single": SPOT})

    assert (on_spot.unit("single").capacity_type, on_spot.unit("single").price_usd_per_h) == (CapacityType.SPOT, None)
    assert on_spot.unit("quad").capacity_type is CapacityType.ON_DEMAND
    assert [finding.message for finding in said] == [
        "Spot prices are of one moment (a snapshot, 2026-07-01): single 0.4 USD/h.",
        "No spot price is known in us-west-2, so planned as declared: quad (g5.48xlarge).",
    ]


@pytest.mark.parametrize(
    "stated",
    [
        {"capacity_type": CapacityType.SPOT, "price_usd_per_h": 0.3},
        {
            "capacity_types": tuple(CapacityType)[:2],
            "prices_usd_per_h": {CapacityType.SPOT: 0.3},
            "price_usd_per_h": 9.0,
        },
    ],
)
def test_a_spot_price_of_the_fleet_document_goes_before_the_catalogues(
    fleet: InferenceFleet, stated: dict[str, object]
) -> None:
    unit = fleet.unit("single").model_copy(update=stated)
    declared = fleet.model_copy(update={"spec": fleet.spec.model_copy(update={"units": (unit,)})})

    on_spot, said = whatif.on_spot(declared, {"single": SPOT})

    found = on_spot.unit("single")
    assert (found.ways, found.price_usd_per_h, said) == ((CapacityType.SPOT,), 0.3, ())


def test_rows_lose_the_price_that_is_not_theirs_on_spot() -> None:
    rows = [Measurement(row=2, unit="a", price_usd_per_h=1.0), Measurement(row=3, unit="b", price_usd_per_h=2.0)]

    assert [row.price_usd_per_h for row in whatif.unpriced(rows, ["a"])] == [None, 2.0]


def test_a_budget_holds_what_its_replicas_carry(fleet: InferenceFleet) -> None:
    most = budget.most_load(free(fleet), on([SINGLE]), 5.5)

    # Five single of 2/s at 80 %: 8/s for 5 USD/h. A sixth would cost 6.
    assert most.rate_per_s == pytest.approx(8, rel=budget.PRECISION)
    assert most.rate_per_s <= 8 * (1 + 1e-6)
    assert most.plan.cost_usd_per_h == 5.0
    assert most.binds.startswith("The budget binds: 0.1% more load (8.00")
    assert most.binds.endswith("costs 6.00 USD/h, 0.50 above it.")


def test_a_budget_of_exactly_a_plan_holds_it(fleet: InferenceFleet) -> None:
    plan = make_plan(whatif.at_rate(free(fleet), 8.0), [SINGLE])

    assert budget.most_load(free(fleet), on([SINGLE]), plan.cost_usd_per_h).plan.cost_usd_per_h == plan.cost_usd_per_h


def test_beyond_the_capacity_no_budget_helps_and_that_is_said(fleet: InferenceFleet) -> None:
    most = budget.most_load(free(fleet), on([SINGLE]), 1000.0)

    # Ten replicas at most: 16/s at 80 %.
    assert most.rate_per_s == pytest.approx(16, rel=budget.PRECISION)
    assert most.binds.startswith("Capacity binds, not the budget: All pools at maxReplicas")


def test_a_budget_below_the_minimum_of_replicas_holds_nothing(fleet: InferenceFleet) -> None:
    most = budget.most_load(fleet, on([SINGLE, QUAD]), 2.0)

    assert (most.holds, most.rate_per_s) == (False, 0.0)
    assert most.sentence == (
        "2 USD/h holds no load at all. The budget binds: the least that holds any load at all costs 17.00 USD/h."
    )


def test_a_budget_without_anything_known_holds_nothing(fleet: InferenceFleet) -> None:
    most = budget.most_load(fleet, on([]), 20.0)

    assert not most.holds
    assert most.binds.startswith("Capacity binds, not the budget: No unit has a limit")


FREE = InferenceFleet.model_validate(
    {
        "apiVersion": "holdfast.dev/v1alpha1",
        "kind": "InferenceFleet",
        "metadata": {"name": "pair"},
        "spec": {
            "model": {"id": "some/model", "task": "text-to-image"},
            "workload": {"api": "images"},
            "slo": {"latency": {"p95": "2s"}},
            "demand": {"rate": "10/s"},
            "units": [
                {
                    "name": name,
                    "accelerator": "a10g",
                    "instanceType": "g5.xlarge",
                    "framework": "vllm",
                    "minReplicas": 0,
                    "maxReplicas": 8,
                }
                for name in ("single", "quad")
            ],
        },
    }
)


@settings(max_examples=10, deadline=None)
@given(usd_per_h=st.floats(3.0, 150.0), limits=st.tuples(st.floats(0.2, 9), st.floats(0.2, 9)))
def test_the_most_load_is_held_within_the_budget_and_a_thousandth_more_is_not(
    usd_per_h: float, limits: tuple[float, float]
) -> None:
    evidence = [replace(SINGLE, limit_per_s=limits[0]), replace(QUAD, limit_per_s=limits[1])]

    most = budget.most_load(FREE, on(evidence), usd_per_h)

    if not most.holds:
        return
    assert most.plan.cost_usd_per_h <= usd_per_h * (1 + 1e-9)
    assert most.plan.demand_per_s == most.rate_per_s
    beyond = make_plan(whatif.at_rate(FREE, most.rate_per_s * (1 + 1.01 * budget.PRECISION)), evidence)
    assert beyond.status is PlanStatus.INFEASIBLE or beyond.cost_usd_per_h > usd_per_h


@settings(max_examples=10, deadline=None)
@given(limits=st.tuples(st.floats(0.2, 9), st.floats(0.2, 9)), high=st.floats(2.0, 60.0))
def test_a_cost_curve_never_falls_and_its_pools_add_up(limits: tuple[float, float], high: float) -> None:
    evidence = [replace(SINGLE, limit_per_s=limits[0]), replace(QUAD, limit_per_s=limits[1])]

    curve = whatif.cost_curve(FREE, on(evidence), [1.0, 2.0, high / 2, high])

    held = [point for point in curve.points if point.holds]
    assert [point.rate_per_s for point in curve.points] == sorted([1.0, 2.0, high / 2, high])
    for point in held:
        assert math.fsum(pool.usd_per_h for pool in point.pools) == pytest.approx(point.cost_usd_per_h)
    costs = [point.cost_usd_per_h for point in held]
    assert all(earlier <= later + 1e-6 for earlier, later in itertools.pairwise(costs))
    # What is not held comes last: capacity only runs out once.
    assert [point.holds for point in curve.points] == sorted((point.holds for point in curve.points), reverse=True)


def test_a_rate_that_nothing_holds_has_a_reason_and_no_cost(fleet: InferenceFleet) -> None:
    (point,) = whatif.cost_curve(fleet, on([SINGLE]), [1000.0]).points

    assert (point.holds, point.pools, math.isnan(point.cost_usd_per_h)) == (False, (), True)
    assert point.why_not.startswith("All pools at maxReplicas")


@pytest.mark.parametrize(
    "low, high, some",
    [(1, 100, (1, 2.5, 5, 100)), (3, 3, (3,)), (0.1, 0.2, (0.1, 0.1025, 0.2)), (0.9, 1.3, (0.9, 1.3))],
)
def test_rates_are_spread_in_round_steps_with_both_ends(low: float, high: float, some: tuple[float, ...]) -> None:
    rates = whatif.spread(low, high)

    assert (rates[0], rates[-1]) == (low, high)
    assert all(any(math.isclose(rate, wanted) for rate in rates) for wanted in some)
    assert len(rates) <= whatif.CURVE_POINTS + 2
    assert list(rates) == sorted(set(rates))


def test_two_plans_are_compared_pool_by_pool(fleet: InferenceFleet) -> None:
    here = make_plan(free(fleet), [SINGLE, QUAD])
    there = make_plan(fleet, [SINGLE, QUAD])

    table = difference(here, there, "other.json")

    assert table.rows == (("single", 7, 1, 100, 16, 7.0, 1.0, 2.0, 2.0), ("quad", 0, 2, 0, 84, 0.0, 16.0, 6.0, 6.0))
    assert table.notes[0] == (
        "This plan: 7.00 USD/h for 10 requests/s, weights by merit-order. "
        "other.json: 17.00 USD/h for 10 requests/s, weights by merit-order. -10.00 USD/h (-58.8%)."
    )


def test_plans_of_other_demands_are_compared_by_the_request_too_and_missing_pools_are_gaps(
    fleet: InferenceFleet,
) -> None:
    here = make_plan(whatif.at_rate(free(fleet), 20.0), [SINGLE, QUAD])
    there = make_plan(free(fleet), [SINGLE])

    table = difference(here, there, "other.json")

    assert table.rows[1][2] is None
    assert "per request" in table.notes[0]


def test_a_plan_is_compared_with_one_that_does_not_hold(fleet: InferenceFleet) -> None:
    table = difference(make_plan(fleet, [SINGLE]), make_plan(whatif.at_rate(fleet, 1e3), [SINGLE]), "other.json")

    assert table.notes[0].endswith("other.json does not hold 1000 requests/s.")


TODAY = datetime.date(2026, 11, 21)


@pytest.mark.parametrize(
    "date, words",
    [
        ("2026-08-23", None),  # 90 days
        ("2026-08-22", "are 91 days old (read 2026-08-22, today is 2026-11-21); give price: in the unit"),
        ("undated snapshot (2026)", "are of no known date (undated snapshot (2026)); give price: in the unit"),
    ],
)
def test_prices_that_are_old_or_undated_are_found(fleet: InferenceFleet, date: str, words: str | None) -> None:
    offerings = {name: {CapacityType.ON_DEMAND: replace(SPOT, date=date)} for name in ("single", "quad")}

    found = ageing.check_prices(fleet, (), offerings, TODAY)

    assert [finding.check for finding in found] == (["price-age"] if words else [])
    if words:
        assert found[0].message.startswith(f"The catalogue's prices of single, quad {words}")


def test_a_price_that_somebody_states_does_not_age(fleet: InferenceFleet) -> None:
    ways = {"capacity_types": (CapacityType.ON_DEMAND, CapacityType.SPOT)}
    units = (fleet.unit("single").model_copy(update=ways),)
    both = fleet.model_copy(update={"spec": fleet.spec.model_copy(update={"units": units})})
    old = replace(SPOT, date="2020-01-01")
    rows = [Measurement(row=2, unit="single", price_usd_per_h=1.0)]

    assert ageing.check_prices(fleet, rows, {"single": {CapacityType.ON_DEMAND: old}}, TODAY) == ()
    # A row says what the main capacity type costs, and nothing of the others.
    (found,) = ageing.check_prices(both, rows, {"single": dict.fromkeys(CapacityType, old)}, TODAY)
    assert "prices of single are" in found.message
