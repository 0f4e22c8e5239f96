"""Plans that add up pass; each figure that is changed by hand is found."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import replace

import pytest

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


def renamed(plan: Plan) -> Plan:
    return replace(plan, pools=(replace(plan.pools[0], unit="stranger"), *plan.pools[1:]))


@pytest.mark.parametrize(
    "check, spoil",
    [
        ("weights", lambda plan: pool(plan, "single", weight=plan.pool("single").weight + 1)),
        ("weights", lambda plan: pool(plan, "single", replicas=0)),
        ("demand", lambda plan: pool(plan, "single", expected_per_s=99.0)),
        ("demand", lambda plan: replace(plan, demand_per_s=1000.0)),
        ("limits", lambda plan: pool(plan, "single", replicas=1)),
        ("limits", lambda plan: pool(plan, "single", replicas=21)),
        ("limits", lambda plan: pool(plan, "single", utilization=0.1234)),
        ("limits", lambda plan: renamed(plan)),
        ("survival", lambda plan: pool(plan, "quad", replicas=1)),
        ("cost", lambda plan: replace(plan, cost_usd_per_h=plan.cost_usd_per_h * 0.9)),
        ("cost", lambda plan: replace(plan, cost_usd_per_h=plan.cost_usd_per_h * 2)),
        ("cost-of-request", lambda plan: pool(plan, "single", usd_per_million_requests=1.0)),
        ("cost-of-request", lambda plan: pool(plan, "single", limit_per_s=0.0)),
    ],
)
def test_a_plan_that_does_not_add_up_is_impossible(plan: Plan, check: str, spoil: Callable[[Plan], Plan]) -> None:
    hits = [finding for finding in found(spoil(plan)) if finding.check == check]

    assert hits
    assert all(finding.severity is Severity.IMPOSSIBLE for finding in hits)


def test_tokens_per_dollar_must_be_of_the_requests_of_the_workload(plan: Plan) -> None:
    tokens = plan.pool("single").tokens_per_usd
    assert tokens is not None

    (finding,) = found(pool(plan, "single", tokens_per_usd=tokens * 1.29))

    assert (finding.check, finding.found) == ("token-count", "129 tokens per request")


@pytest.mark.parametrize("days, old", [(90, False), (91, True)])
def test_prices_grow_old_after_ninety_days(plan: Plan, days: int, old: bool) -> None:
    notes = [f for f in found(plan, datetime.date(2026, 7, 20) + datetime.timedelta(days)) if f.check == "price-age"]

    assert bool(notes) is old


def test_a_price_that_is_not_the_catalogues_is_told_with_its_source(plan: Plan) -> None:
    (finding,) = [f for f in found(pool(plan, "single", price_usd_per_h=0.503)) if f.check == "price"]

    assert "which the catalogue has at 1.006" in finding.message
    assert finding.likely == "The plan took it from: price page, 2026-07-20, us-west-2, on-demand."


def test_a_plan_made_on_impossible_figures_says_so(plan: Plan) -> None:
    broken = Finding("m.csv", 7, "littles-law", Severity.IMPOSSIBLE, "", "", "")

    (finding,) = found(replace(plan, findings=(broken,)))

    assert finding.message == "The plan was made on a file with impossible figures: m.csv:7 (littles-law)."
