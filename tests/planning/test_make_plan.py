"""The plan as a whole: it holds, it explains itself, it survives JSON."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.model import codec
from holdfast.model.findings import Finding, Severity
from holdfast.model.fleet import CapacityPolicy, Demand, DeploymentUnit, InferenceFleet, RoutingPolicy, WeightPolicy
from holdfast.model.plan import TOTAL_WEIGHT, Plan, PlanStatus, UnitEvidence
from holdfast.model.tables import Column, Table
from holdfast.planning.plan import make_plan, plan_json

SINGLE = UnitEvidence("single", 2.0, 1.0, 1, 200.0, 0.5, "row 2", "page")
QUAD = UnitEvidence("quad", 6.0, 8.0, 2, 600.0, 0.2, "row 3", "page")


def changed(
    fleet: InferenceFleet,
    *,
    demand: Demand | None = None,
    capacity: CapacityPolicy | None = None,
    routing: RoutingPolicy | None = None,
    units: tuple[DeploymentUnit, ...] | None = None,
) -> InferenceFleet:
    parts = {"demand": demand, "capacity": capacity, "routing": routing, "units": units}
    given_parts = {name: part for name, part in parts.items() if part is not None}
    return fleet.model_copy(update={"spec": fleet.spec.model_copy(update=given_parts)})


def with_minimum(fleet: InferenceFleet, minimum: int) -> InferenceFleet:
    units = tuple(unit.model_copy(update={"min_replicas": minimum}) for unit in fleet.spec.units)
    return changed(fleet, units=units)


def test_demand_goes_to_the_cheapest_unit_and_the_other_stays_warm(fleet: InferenceFleet) -> None:
    plan = make_plan(fleet, [SINGLE, QUAD])

    # 10/s; quad costs 8/6 per request/s and single 1/2. quad keeps its minimum, on an instance that holds two:
    # they carry 9.6/s at 80 %, so one single would do, yet merit order still fills single first.
    assert plan.status is PlanStatus.FEASIBLE
    assert {pool.unit: pool.replicas for pool in plan.pools} == {"single": 1, "quad": 2}
    assert plan.cost_usd_per_h == pytest.approx(1 + 16)
    assert {pool.unit: pool.weight for pool in plan.pools} == {"single": 16, "quad": 84}


LEVELS = ((0.5, 1.0, 0.5), (2.0, 2.0, 1.0), (6.0, 3.0, 2.0))


@pytest.mark.parametrize(
    "limit_per_s, latency_s, words",
    [
        (2.0, 0.75, "answered in 0.7"),  # seven carry 10/s: 1.43/s each, between two levels
        (0.9, 0.5, "answered in 0.5 s or less"),  # below the first
        (8.0, None, "% of its limit."),  # 5/s each, beyond the last
    ],
)
def test_a_pool_says_how_long_its_requests_take_at_the_planned_load(
    fleet: InferenceFleet, limit_per_s: float, latency_s: float | None, words: str
) -> None:
    known = replace(SINGLE, limit_per_s=limit_per_s, levels=LEVELS)
    units = tuple(unit.model_copy(update={"min_replicas": 0, "max_replicas": 40}) for unit in fleet.spec.units)
    pool = make_plan(changed(fleet, units=units), [known]).pools[0]

    assert pool.expected_latency_s == (latency_s if latency_s is None else pytest.approx(latency_s, abs=0.1))
    assert words in pool.reason


def test_a_unit_that_is_not_needed_gets_nothing_and_is_told_why(fleet: InferenceFleet) -> None:
    plan = make_plan(with_minimum(fleet, 0), [SINGLE, QUAD])

    quad = plan.pool("quad")
    assert (plan.pool("single").replicas, plan.pool("single").weight) == (7, 100)
    assert (quad.replicas, quad.weight, quad.utilization, quad.expected_per_s) == (0, 0, 0.0, 0.0)
    assert quad.reason == (
        "No replicas, number 2 of 2 in cost per request (370.37 USD per million requests): "
        "the other pools meet every constraint for less."
    )


def test_the_peak_is_planned_for(fleet: InferenceFleet) -> None:
    peaky = changed(with_minimum(fleet, 0), demand=Demand(rate_per_s="1/s", peak_per_s="10/s"))

    plan = make_plan(peaky, [SINGLE])

    assert (plan.demand_per_s, plan.pool("single").replicas) == (10.0, 7)


def test_a_pool_says_what_it_carries_and_why_it_is_there(fleet: InferenceFleet) -> None:
    pool = make_plan(with_minimum(fleet, 0), [SINGLE, QUAD]).pool("single")

    assert pool.reason == (
        "7 replicas of 2/s, the cheapest per request (138.89 USD per million requests). "
        "Carries 10/s at the planned demand, 71% of its limit."
    )
    assert (pool.limit_source, pool.price_source) == ("row 2", "page")


def test_the_price_of_surviving_a_loss_is_stated(fleet: InferenceFleet) -> None:
    safe = changed(
        with_minimum(fleet, 0),
        capacity=CapacityPolicy(utilization_target="80%", survive="one-pool"),
    )

    plan = make_plan(safe, [SINGLE, QUAD])

    # Either pool alone must carry 10/s at its limit: 5 single, 2 quad (one instance); without insurance 7 single.
    assert {pool.unit: pool.replicas for pool in plan.pools} == {"single": 5, "quad": 2}
    assert any("the largest pool, quad, goes, the others carry 10/s" in reason for reason in plan.reasons)
    assert any("this insurance costs 14.0000 USD/h" in reason for reason in plan.reasons)


@pytest.mark.parametrize(
    "demand, said",
    [
        ({"rate_per_s": "10/s"}, "keep this reserve: they go no lower than these replicas."),
        ({"rate_per_s": "4/s", "peak_per_s": "10/s"}, "keep the reserve for 4/s, the lowest demand; above that"),
        ({"rate_per_s": "4/s", "day_per_s": ("10/s", *("2/s",) * 23)}, "keep the reserve for 2/s, the lowest demand;"),
    ],
)
def test_what_the_rendered_scalers_keep_of_the_reserve_is_said(
    fleet: InferenceFleet, demand: dict[str, Any], said: str
) -> None:
    policy = CapacityPolicy(utilization_target="80%", survive="one-pool")

    plan = make_plan(changed(fleet, demand=Demand(**demand), capacity=policy), [SINGLE, QUAD])

    assert [said in reason for reason in plan.reasons if "`holdfast render`" in reason] == [True]


def test_units_without_evidence_are_named(fleet: InferenceFleet) -> None:
    plan = make_plan(fleet, [SINGLE])

    assert plan.reasons[-1] == "quad is left out: nothing to plan with is known to meet p95<2s, errors<1%."


def test_an_infeasible_plan_is_an_answer_with_the_constraint_and_how_far_it_goes(fleet: InferenceFleet) -> None:
    plan = make_plan(changed(fleet, demand=Demand(rate_per_s="20/s")), [SINGLE])

    assert plan.status is PlanStatus.INFEASIBLE
    assert plan.gap == 1.0
    pool = plan.pool("single")
    assert (pool.replicas, pool.weight, pool.expected_per_s, pool.utilization) == (10, 0, 0.0, 0.0)
    assert "short by 4/s; raise maxReplicas of single from 10 to 13" in plan.reasons[0]
    assert "as many as maxReplicas allows" in pool.reason
    assert pool.reason.endswith("No traffic and no targets: it is not enough.")
    assert pool.autoscaling.targets == ()


def test_a_plan_of_nothing_is_infeasible_and_not_an_error(fleet: InferenceFleet) -> None:
    plan = make_plan(fleet, [])

    assert (plan.status, plan.pools, plan.tables, plan.cost_usd_per_h) == (PlanStatus.INFEASIBLE, (), {}, 0.0)
    assert plan.reasons[0].startswith("No unit has a limit to plan with")


def test_a_slot_that_max_replicas_leaves_empty_is_reported(fleet: InferenceFleet) -> None:
    units = (fleet.unit("single"), fleet.unit("quad").model_copy(update={"max_replicas": 1}))

    plan = make_plan(changed(fleet, units=units), [SINGLE, QUAD])

    assert plan.reasons[-1] == (
        "quad pays for whole instances (1) and leaves room for 1 replica unused, held back by maxReplicas."
    )


def test_a_tiny_pool_is_not_warmed_beyond_its_limit(fleet: InferenceFleet) -> None:
    tiny = replace(QUAD, limit_per_s=0.01, replicas_per_instance=1)

    plan = make_plan(fleet, [SINGLE, tiny])

    # One unit of weight is 0.1/s, ten times what its single replica carries.
    assert plan.pool("quad").replicas == 1
    assert plan.pool("quad").weight == 0
    assert plan.pool("quad").reason.endswith("No traffic at the planned demand: a reserve.")


def test_a_plan_with_other_weights_names_their_policy(fleet: InferenceFleet) -> None:
    routed = changed(fleet, routing=RoutingPolicy(weights=WeightPolicy.INVERSE_COST))

    plan = make_plan(routed, [SINGLE, QUAD])

    # 138.89 and 370.37 USD per million requests: 73 to 27. One single carries 2 of the 10/s, and quad has room.
    assert {pool.unit: (pool.replicas, pool.weight) for pool in plan.pools} == {"single": (1, 20), "quad": (2, 80)}
    assert plan.reasons[-1] == (
        "Weights by inverse cost per request; 53 of 100 moved off pools that would be above their limits."
    )


def test_evidence_of_an_unknown_unit_is_refused(fleet: InferenceFleet) -> None:
    with pytest.raises(ValueError, match="other"):
        make_plan(fleet, [replace(SINGLE, unit="other")])


def test_two_evidences_of_one_unit_are_refused(fleet: InferenceFleet) -> None:
    with pytest.raises(ValueError, match="more than one"):
        make_plan(fleet, [SINGLE, SINGLE])


FINDING = Finding("m.csv", 3, "littles-law", Severity.SUSPICIOUS, "8", "10", "eight is not ten")
TABLE = Table("Extra", (Column("unit"), Column("rate", "1/s", 2)), (("a", None), ("b", 2.5), ("c", 3)), ("a note",))


def test_the_json_has_the_shape_of_the_contract(fleet: InferenceFleet) -> None:
    found = plan_json(make_plan(fleet, [SINGLE, QUAD], findings=[FINDING], extra_tables={"extra": TABLE}))

    assert {"status", "cost_usd_per_h", "gap", "pools", "tables", "findings"} <= set(found)
    assert (found["status"], found["reasons"][0][:14]) == ("feasible", "17.0000 USD/h ")
    assert set(found["pools"][0]) == {
        "unit",
        "replicas",
        "weight",
        "limit_per_s",
        "usd_per_million_requests",
        "tokens_per_usd",
        "estimate_error",
        "expected_latency_s",
        "latency_s",
        "latency_source",
        "limits_by_size_per_s",
        "latencies_by_size_s",
        "traffic_by_size_per_s",
        "autoscaling",
        "reason",
        "allotments",
    }
    scaling = found["pools"][0]["autoscaling"]
    assert [target["name"] for target in scaling.pop("targets")] == ["completed", "received", "in flight", "KV cache"]
    assert scaling == {
        "metric": "requests_per_replica",
        "target": 1.6,
        "unit": "requests/s",
        "min_replicas": 1,
        "max_replicas": 10,
    }
    assert set(found["tables"]) == {"cost", "adjusted_throughput", "extra"}
    assert found["tables"]["extra"]["rows"] == [["a", None], ["b", 2.5], ["c", 3]]
    assert found["findings"][0]["severity"] == "suspicious"


def test_a_plan_read_back_from_json_is_equal(fleet: InferenceFleet) -> None:
    plan = make_plan(fleet, [SINGLE, QUAD], findings=[FINDING], extra_tables={"extra": TABLE})

    assert codec.loads(Plan, codec.dumps(plan), where="plan.json") == plan


def test_an_infeasible_plan_read_back_from_json_is_equal(fleet: InferenceFleet) -> None:
    plan = make_plan(fleet, [])

    assert codec.loads(Plan, codec.dumps(plan), where="plan.json") == plan


@settings(max_examples=30, deadline=None)
@given(
    limits=st.tuples(st.floats(0.05, 20), st.floats(0.05, 20)),
    prices=st.tuples(st.floats(0.1, 30), st.floats(0.1, 30)),
    demand=st.integers(1, 60),
)
def test_a_feasible_plan_overloads_no_pool_and_leaves_no_traffic_over(
    limits: tuple[float, float], prices: tuple[float, float], demand: int
) -> None:
    plan = make_plan(
        changed(FLEET, demand=Demand(rate_per_s=f"{demand}/s")),
        [
            replace(SINGLE, limit_per_s=limits[0], price_usd_per_h=prices[0]),
            replace(QUAD, limit_per_s=limits[1], price_usd_per_h=prices[1]),
        ],
    )

    if plan.status is PlanStatus.INFEASIBLE:
        assert not any(pool.weight or pool.expected_per_s or pool.autoscaling.targets for pool in plan.pools)
    else:
        assert sum(pool.weight for pool in plan.pools) == TOTAL_WEIGHT
        assert all(pool.utilization <= 1 + 1e-9 for pool in plan.pools)
        assert sum(pool.expected_per_s for pool in plan.pools) == pytest.approx(demand)


FLEET = InferenceFleet.model_validate(
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
                {"name": name, "accelerator": "a10g", "instanceType": "g5.xlarge", "framework": "vllm"}
                for name in ("single", "quad")
            ],
            "capacity": {"survive": "none"},
        },
    }
)
