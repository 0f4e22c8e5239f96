"""Plans of fleets with zones, capacity types, hours, sizes, quotas and a number of pools."""

import math

import pytest

from holdfast import catalog
from holdfast.model import codec
from holdfast.model.document import read_fleet
from holdfast.model.errors import InputError
from holdfast.model.fleet import CapacityType, DeploymentUnit, InferenceFleet
from holdfast.model.hardware import Offering
from holdfast.model.plan import Plan, PlanStatus, UnitEvidence
from holdfast.planning.plan import make_plan
from holdfast.planning.supplies import Effort

TEXT = """
apiVersion: holdfast.dev/v1alpha1
kind: InferenceFleet
metadata: {name: pair}
spec:
  model: {id: some/model}
  workload: {api: completions, inputTokens: {mean: 560}, outputTokens: {mean: 140}}
  slo: {latency: {p95: 2s}}
  demand: {rate: 16/s}
  units:
    - {name: g5, accelerator: a10g, instanceType: g5.xlarge, framework: vllm, minReplicas: 0, maxReplicas: 20}
    - {name: g6, accelerator: l4, instanceType: g6.xlarge, framework: vllm, minReplicas: 0, maxReplicas: 40}
  capacity: {survive: none}
"""
G5 = UnitEvidence("g5", 2.0, 1.0, 1, 200.0, 0.5, "row 2", "page")
G6 = UnitEvidence("g6", 1.25, 0.8, 1, 125.0, 0.5, "row 3", "page")
SIZES = """
    sizes: [{share: 80%, inputTokens: 200, outputTokens: 100}, {share: 20%, inputTokens: 2000, outputTokens: 300}]"""


def fleet(*changes: tuple[str, str]) -> InferenceFleet:
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return read_fleet(text, where="fleet.yaml")


def sized(*changes: tuple[str, str]) -> InferenceFleet:
    workload = "  workload:\n    api: completions\n    inputTokens: {mean: 560}\n    outputTokens: {mean: 140}" + SIZES
    return fleet(
        ("  workload: {api: completions, inputTokens: {mean: 560}, outputTokens: {mean: 140}}", workload), *changes
    )


def replicas(plan: Plan) -> dict[str, int]:
    return {pool.unit: pool.replicas for pool in plan.pools}


def work(_unit: DeploymentUnit, input_tokens: float, output_tokens: float) -> Effort:
    return Effort(input_tokens / 10 + output_tokens, 0.01 * output_tokens)


def test_headroom_is_planned_for_and_is_not_traffic() -> None:
    plan = make_plan(fleet(("survive: none", "survive: none, headroom: 25%")), [G5])

    # 20/s at 80 % of 2/s.
    assert (replicas(plan), plan.demand_per_s, plan.pool("g5").expected_per_s) == ({"g5": 13}, 16.0, 16.0)
    assert "for a planned demand of 20/s, 25% headroom included" in plan.reasons[1]


def test_surviving_a_zone_spreads_a_unit_over_zones() -> None:
    plan = make_plan(
        fleet(("survive: none", "survive: [zone]"), ("  units:", "  zones: [west-a, west-b, west-c]\n  units:")), [G5]
    )

    # Two thirds of the replicas must carry 16/s at their limits: 12, four in each zone.
    assert [(a.zone, a.replicas) for a in plan.pool("g5").allotments] == [
        ("west-a", (4,)), ("west-b", (4,)), ("west-c", (4,))
    ]  # fmt: skip
    assert plan.tables["placement"].column("replicas") == (4, 4, 4)
    assert any("If zone west-" in reason and "the others carry 16/s" in reason for reason in plan.reasons)


def test_spot_is_priced_by_the_fleet_or_else_by_what_the_catalogue_offers() -> None:
    types = ("framework: vllm, minReplicas: 0, maxReplicas: 20", "framework: vllm, capacityTypes: [on-demand, spot]")
    own = (types[0], types[1] + ", prices: {spot: $0.3/h}")
    offering = Offering("g5.xlarge", "us-west-2", CapacityType.SPOT, 0.5, "snapshot", "2026", False)

    cheap = make_plan(fleet(own), [G5])
    offered = make_plan(fleet(types), [G5], offerings={"g5": {CapacityType.SPOT: offering}})

    assert [pool.price_usd_per_h for plan in (cheap, offered) for pool in plan.pools] == [0.3, 0.5]
    assert cheap.pool("g5").price_source == "page; mean over the zones and capacity types as planned"
    with pytest.raises(InputError, match="unit 'g5' has no spot price"):
        make_plan(fleet(types), [G5])


def test_the_offerings_of_the_catalogue_are_by_capacity_type() -> None:
    both = fleet(
        ("framework: vllm, minReplicas: 0, maxReplicas: 20", "framework: vllm, capacityTypes: [on-demand, spot]")
    )

    found = catalog.offerings_by_way(both)

    assert {unit: set(ways) for unit, ways in found.items()} == {
        "g5": {CapacityType.ON_DEMAND, CapacityType.SPOT},
        "g6": {CapacityType.ON_DEMAND},
    }


def test_a_quota_is_counted_in_the_vcpus_of_the_catalogue() -> None:
    bounded = fleet(("survive: none", "survive: none, quotas: {G: 36 vCPU}"))

    plan = make_plan(bounded, [G5, G6], hardware=catalog.hardware_of(bounded))

    # g5.xlarge and g6.xlarge have 4 vCPUs each: nine instances, and ten are needed.
    assert plan.status is PlanStatus.INFEASIBLE
    assert plan.reasons[0] == (
        "The most that the limits allow carries 14.4/s of 16/s: short by 1.6/s; "
        "raise the G quota, which lacks 4 vCPU, from 36 to 40."
    )
    with pytest.raises(InputError, match=r"capacity\.quotas counts them"):
        make_plan(bounded, [G5])


def test_units_beyond_the_number_of_pools_get_none_and_are_named() -> None:
    plan = make_plan(fleet(("survive: none", "survive: none, maxPools: 1")), [G5, G6])

    assert replicas(plan) == {"g5": 10}
    assert "g6 is not among the pools: capacity.maxPools leaves 1, others do for less." in plan.reasons


def test_a_pool_without_replicas_stays_where_the_number_of_pools_allows_it() -> None:
    plan = make_plan(fleet(("survive: none", "survive: none, maxPools: 2")), [G5, G6])

    assert replicas(plan) == {"g5": 10, "g6": 0}


def test_a_day_is_planned_hour_by_hour() -> None:
    rates = ", ".join(["4/s"] * 12 + ["16/s"] * 12)
    plan = make_plan(
        fleet(("rate: 16/s", f"rate: 10/s, day: [{rates}]"), ("framework: vllm, ", "framework: vllm, startup: 15m, ")),
        [G5],
    )

    # 4/s and 16/s at 80 % of 2/s: 3 and 10 replicas; seven start at noon, a quarter of an hour each.
    assert plan.pool("g5").allotments[0].replicas == (3,) * 12 + (10,) * 12
    assert (plan.demand_per_s, plan.pool("g5").replicas) == (16.0, 10)
    assert [period.cost_usd_per_h for period in plan.periods] == [3.0] * 12 + [10 + 7 / 4] + [10.0] * 11
    assert plan.cost_usd_per_h == pytest.approx(math.fsum(period.cost_usd_per_h for period in plan.periods) / 24)
    assert plan.tables["day"].column("g5") == (3,) * 12 + (10,) * 12
    assert plan.gap <= 0.01
    assert codec.loads(Plan, codec.dumps(plan), where="plan.json") == plan


def test_sizes_that_were_not_measured_are_scaled_by_their_work() -> None:
    plan = make_plan(sized(), [G5], work=work)

    # Work of the mean 196, of the sizes 120 and 500: 2/s become 3.27/s and 0.784/s, together again 2/s.
    assert plan.pool("g5").limit_per_s == pytest.approx(1 / (0.8 / (2 * 196 / 120) + 0.2 / (2 * 196 / 500)))
    assert plan.pool("g5").limit_per_s == pytest.approx(2.0)
    assert plan.pool("g5").limit_source == "row 2; scaled to each size by its work"
    # 0.5 s at 140 tokens answered; the roofline's latency goes by these alone here.
    assert plan.pool("g5").latencies_by_size_s == pytest.approx((0.5 * 100 / 140, 0.5 * 300 / 140))
    assert plan.pool("g5").latency_s == pytest.approx(0.5)
    assert plan.pool("g5").latency_source.endswith("as the roofline's latency; the mean over the sizes by their shares")


def test_sizes_without_a_measurement_or_a_work_are_refused() -> None:
    with pytest.raises(InputError, match="a limit for requests of mean length only"):
        make_plan(sized(), [G5])


SHORT = UnitEvidence("g5", 2.0, 1.0, 1, 200.0, 0.5, "row 2", "page", (8.0, 0.5))
LONG = UnitEvidence("g6", 1.25, 0.8, 1, 125.0, 0.5, "row 3", "page", (1.5, 1.5))


def test_weights_that_know_no_sizes_get_the_mixture_everywhere() -> None:
    plan = make_plan(sized(), [SHORT, LONG])

    assert plan.pool("g5").limit_per_s == pytest.approx(1 / (0.8 / 8 + 0.2 / 0.5))
    assert "traffic_by_size" not in plan.tables


def test_who_routes_by_size_sends_each_to_the_unit_that_is_good_at_it_for_less() -> None:
    blind = make_plan(sized(), [SHORT, LONG])
    seeing = make_plan(sized(("survive: none}", "survive: none}\n  routing: {bySize: true}")), [SHORT, LONG])

    # 12.8/s of the first size need two g5, 3.2/s of the second three g6.
    assert replicas(seeing) == {"g5": 2, "g6": 3}
    assert seeing.cost_usd_per_h == pytest.approx(2 * 1.0 + 3 * 0.8)
    assert seeing.cost_usd_per_h < blind.cost_usd_per_h
    assert [pool.weight for pool in seeing.pools] == [80, 20]
    assert seeing.tables["traffic_by_size"].column("g6") == pytest.approx((0.0, 3.2))


def test_a_pool_that_gets_some_sizes_is_held_to_its_limit_for_them() -> None:
    plan = make_plan(sized(("survive: none}", "survive: none}\n  routing: {bySize: true}")), [SHORT, LONG])
    short, long = plan.pool("g5"), plan.pool("g6")

    assert short.limit_per_s == pytest.approx(8.0)  # short requests alone, not 2/s of the mixture
    assert short.utilization == pytest.approx(0.8)
    assert long.utilization == pytest.approx(3.2 / 4.5)
    assert short.autoscaling.target == pytest.approx(0.8 * 8.0)
    # One in flight at 2/s x 0.5 s, and so at 8/s of short ones alone: 0.8 of it to scale at.
    assert (short.latency_s, long.latency_s) == pytest.approx((1 / 8, 0.625 / 1.5))
    in_flight = next(target for target in short.autoscaling.targets if target.name == "in flight")
    assert in_flight.value == pytest.approx(0.8)
    assert "as many in flight at the limit of each size as at 2/s, 1;" in in_flight.reason
    assert short.traffic_by_size_per_s[0] == pytest.approx((12.8, 0.0))
    # It was measured to give 100 tokens where the workload has 140 on average; of these requests it has 100.
    assert short.tokens_per_usd == pytest.approx(8.0 * 3600 * 100 * 100 / 140)


def test_limits_for_another_number_of_sizes_are_refused() -> None:
    wrong = UnitEvidence("g5", 2.0, 1.0, 1, 200.0, 0.5, "row 2", "page", (8.0,))

    with pytest.raises(ValueError, match="1 limits for 2 sizes"):
        make_plan(sized(), [wrong])
