"""Plans that add up pass; each figure that is changed by hand is found."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import replace

import pytest

from holdfast import catalog
from holdfast.auditing import audit_plan
from holdfast.model.document import read_fleet
from holdfast.model.findings import Finding, Severity
from holdfast.model.plan import Plan, PoolPlan, UnitEvidence
from holdfast.planning.plan import make_plan

FLEET = """
apiVersion: holdfast.dev/v1alpha1
kind: InferenceFleet
metadata: {name: pair}
spec:
  model: {id: some/model}
  workload: {api: completions, inputTokens: {mean: 200}, outputTokens: {mean: 100}}
  slo: {latency: {p95: 2s}, errorRate: 1%}
  demand: {rate: 10/s}
  region: us-west-2
  units:
    - {name: single, accelerator: a10g, instanceType: g5.xlarge, framework: vllm, maxReplicas: 20}
    - {name: quad, accelerator: a10g, instanceType: g5.48xlarge, framework: vllm, tensorParallel: 4, maxReplicas: 20}
  capacity: {utilizationTarget: 80%, survive: one-pool}
"""
TODAY = datetime.date(2026, 9, 1)


def evidence(unit: str, limit_per_s: float, usd_per_h: float, fitting: int) -> UnitEvidence:
    source = "price page, 2026-07-20, us-west-2, on-demand"
    return UnitEvidence(unit, limit_per_s, usd_per_h, fitting, limit_per_s * 100, 1.0, "measured", source)


@pytest.fixture
def plan() -> Plan:
    fleet = read_fleet(FLEET, where="fleet.yaml")
    return make_plan(fleet, [evidence("single", 2.0, 1.006, 1), evidence("quad", 6.0, 8.144, 2)])


def found(plan: Plan, today: datetime.date = TODAY) -> tuple[Finding, ...]:
    return audit_plan(plan, "plan.json", today=today).findings


def test_a_plan_that_adds_up_has_nothing_found(plan: Plan) -> None:
    assert found(plan) == ()


def pool(plan: Plan, unit: str, **changes: object) -> Plan:
    def changed(one: PoolPlan) -> PoolPlan:
        return replace(one, **changes) if one.unit == unit else one  # type: ignore[arg-type]

    return replace(plan, pools=tuple(map(changed, plan.pools)))


def held(plan: Plan, unit: str, replicas: int) -> Plan:
    """So many replicas, in its pool and its only allotment alike."""
    (one,) = plan.pool(unit).allotments
    return pool(plan, unit, replicas=replicas, allotments=(replace(one, replicas=(replicas,)),))


def paid(plan: Plan, usd_per_h: float) -> Plan:
    (one,) = plan.pool("single").allotments
    return pool(plan, "single", price_usd_per_h=usd_per_h, allotments=(replace(one, instance_usd_per_h=usd_per_h),))


def renamed(plan: Plan) -> Plan:
    return replace(plan, pools=(replace(plan.pools[0], unit="stranger"), *plan.pools[1:]))


@pytest.mark.parametrize(
    "check, spoil",
    [
        ("weights", lambda plan: pool(plan, "single", weight=plan.pool("single").weight + 1)),
        ("weights", lambda plan: pool(plan, "single", replicas=0)),
        ("traffic", lambda plan: pool(plan, "single", expected_per_s=99.0)),
        ("traffic", lambda plan: pool(plan, "single", utilization=0.1234)),
        ("traffic", lambda plan: pool(plan, "single", replicas=1)),
        ("limits", lambda plan: pool(plan, "single", replicas=21)),
        ("limits", lambda plan: held(plan, "single", 21)),
        ("limits", lambda plan: held(plan, "single", 0)),
        ("demand", lambda plan: held(held(plan, "single", 1), "quad", 1)),
        ("survival", lambda plan: held(plan, "quad", 1)),
        ("shape", lambda plan: renamed(plan)),
        ("shape", lambda plan: replace(plan, demand_per_s=1000.0)),
        ("shape", lambda plan: replace(plan, periods=())),
        ("shape", lambda plan: replace(plan, gap=-0.1)),
        ("shape", lambda plan: replace(plan, pools=(*plan.pools, plan.pools[0]))),
        ("shape", lambda plan: pool(plan, "single", limit_per_s=0.0)),
        ("shape", lambda plan: pool(plan, "single", price_usd_per_h=-1.0)),
        ("cost", lambda plan: replace(plan, cost_usd_per_h=plan.cost_usd_per_h * 0.9)),
        ("cost", lambda plan: replace(plan, cost_usd_per_h=plan.cost_usd_per_h * 2)),
        ("cost-of-request", lambda plan: pool(plan, "single", usd_per_million_requests=1.0)),
    ],
)
def test_a_plan_that_does_not_add_up_is_impossible(plan: Plan, check: str, spoil: Callable[[Plan], Plan]) -> None:
    hits = [finding for finding in found(spoil(plan)) if finding.check == check]

    assert hits
    assert all(finding.severity is Severity.IMPOSSIBLE for finding in hits)


def test_tokens_per_dollar_must_be_of_the_requests_of_the_workload(plan: Plan) -> None:
    tokens = plan.pool("single").tokens_per_usd
    assert tokens is not None

    (finding,) = [f for f in found(pool(plan, "single", tokens_per_usd=tokens * 1.29)) if f.check == "token-count"]

    assert finding.found == "129 tokens per request"


@pytest.mark.parametrize("days, old", [(0, False), (catalog.STALE_AFTER_DAYS, False), (91, True), (-2, True)])
def test_prices_grow_old_by_the_rule_of_the_catalogue(plan: Plan, days: int, old: bool) -> None:
    today = datetime.date(2026, 7, 20) + datetime.timedelta(days)

    assert bool([f for f in found(plan, today) if f.check == "price-age"]) is old


@pytest.mark.parametrize(
    "source, said",
    [
        ("some page, undated snapshot (2026), us-west-2, on-demand, an estimate", "of no known age (undated snapshot"),
        ("price of the fleet document", None),
        ("line 3 of the measurements", None),
        ("a page of 2020-01-01, 2026-08-30, us-west-2, spot; 2 replicas share one g5.48xlarge", None),
    ],
)
def test_the_age_of_a_price_is_that_of_the_catalogue_that_it_cites(plan: Plan, source: str, said: str | None) -> None:
    notes = [f.message for f in found(pool(plan, "single", price_source=source)) if f.check == "price-age"]

    assert [said in note for note in notes if said] == ([True] if said else [])
    assert bool(notes) is bool(said)


def test_a_price_that_is_not_the_catalogues_is_told_with_its_source(plan: Plan) -> None:
    (finding,) = [f for f in found(paid(plan, 0.503)) if f.check == "price"]

    assert "which the catalogue has at 1.006" in finding.message
    assert finding.likely == "The plan took it from: price page, 2026-07-20, us-west-2, on-demand."


def test_a_price_that_is_not_the_fleet_documents_is_impossible(plan: Plan) -> None:
    unit = plan.fleet.unit("single").model_copy(update={"price_usd_per_h": 2.0})
    units = (unit, *(other for other in plan.fleet.spec.units if other.name != "single"))
    spec = plan.fleet.spec.model_copy(update={"units": units})

    made = replace(plan, fleet=plan.fleet.model_copy(update={"spec": spec}))

    (finding,) = [f for f in found(made) if f.check == "price"]
    assert finding.severity is Severity.IMPOSSIBLE
    assert finding.message.startswith("single is planned at 1.0060 USD/h (on-demand), and its fleet document says 2.0")


def test_a_plan_made_on_impossible_figures_says_so(plan: Plan) -> None:
    broken = Finding("m.csv", 7, "littles-law", Severity.IMPOSSIBLE, "", "", "")

    (finding,) = found(replace(plan, findings=(broken,)))

    assert finding.message == "The plan was made on a file with impossible figures: m.csv:7 (littles-law)."


@pytest.fixture
def spread() -> Plan:
    """Replicas of two p5.48xlarge each, within a quota."""
    units = "    - {name: pair, accelerator: h100, instanceType: p5.48xlarge, framework: vllm, tensorParallel: 8, "
    text = f"{FLEET[: FLEET.index('    - {name')]}{units}pipelineParallel: 2, zones: [a, b], maxReplicas: 20}}\n"
    fleet = read_fleet(f"{text}  capacity: {{survive: [zone], quotas: {{P: 768 vCPU}}}}\n", where="fleet.yaml")
    offering = catalog.offerings_of(fleet)["pair"]
    known = evidence("pair", 20.0, 2 * offering.price_usd_per_h, 1)
    return make_plan(fleet, [replace(known, instances_per_replica=2)], hardware=catalog.hardware_of(fleet))


def test_a_plan_over_several_nodes_adds_up(spread: Plan) -> None:
    assert found(spread) == ()
    # Either zone carries 10/s by itself: two replicas, four instances.
    assert spread.cost_usd_per_h == pytest.approx(4 * spread.pools[0].allotments[0].instance_usd_per_h)
    names = [column.name for column in spread.tables["placement"].columns]
    assert [row[names.index("instances")] for row in spread.tables["placement"].rows] == [2, 2]


@pytest.mark.parametrize("nodes, said", [(1, "has 1 replicas to an instance"), (3, "has 3 instances to a replica")])
def test_nodes_that_a_replica_does_not_take_are_impossible(spread: Plan, nodes: int, said: str) -> None:
    one, other = spread.pools[0].allotments
    spoilt = pool(spread, "pair", allotments=(replace(one, instances_per_replica=nodes), other))

    (finding,) = [f for f in found(spoilt) if f.check == "shape"]

    assert finding.severity is Severity.IMPOSSIBLE
    assert said in finding.message and "2 instances to a replica" in finding.message


def test_a_replica_that_no_instances_hold_is_impossible(spread: Plan) -> None:
    unit = spread.fleet.unit("pair").model_copy(update={"tensor_parallel": 12})
    spec = spread.fleet.spec.model_copy(update={"units": (unit,)})

    messages = [f.message for f in found(replace(spread, fleet=spread.fleet.model_copy(update={"spec": spec})))]

    assert any("cannot be placed on p5.48xlarge: a tensor-parallel group of 12 devices fills no" in m for m in messages)
