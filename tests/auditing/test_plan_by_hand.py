"""A plan.json that somebody changed by hand: no number of it can be changed without a finding, but those named here.

The plan is of a day with zones, two capacity types, quotas, starts and two losses, so every rule has a figure. What is
free is stated with the reason; the fleet document in a plan is what was asked for, and only found where the plan
contradicts it.
"""

from __future__ import annotations

import copy
import datetime
import functools
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast import catalog
from holdfast.auditing import audit_plan
from holdfast.model import codec
from holdfast.model.document import read_fleet
from holdfast.model.errors import InputError
from holdfast.model.findings import Finding, Severity
from holdfast.model.plan import Plan, PlanStatus, UnitEvidence
from holdfast.planning.plan import make_plan

FLEET = """
apiVersion: holdfast.dev/v1alpha1
kind: InferenceFleet
metadata: {{name: day}}
spec:
  model: {{id: some/model}}
  workload: {{api: completions, inputTokens: {{mean: 200}}, outputTokens: {{mean: 100}}{sizes}}}
  slo: {{latency: {{p95: 2s}}, errorRate: 1%}}
  demand: {{rate: 10/s, {demand}}}
  region: us-west-2
  zones: [us-west-2a, us-west-2b]
  units:
    - {{name: single, accelerator: a10g, instanceType: g5.xlarge, framework: vllm, maxReplicas: 60, maxNumSeqs: 2,
       capacityTypes: [on-demand, spot], prices: {{spot: $0.5/h}}, startup: 300s}}
    - {{name: quad, accelerator: a10g, instanceType: g5.48xlarge, framework: vllm, tensorParallel: 4, maxReplicas: 20,
       minReplicas: 0, maxNumSeqs: 64}}
    - {{name: inf, accelerator: inferentia2, instanceType: inf2.xlarge, framework: neuronx, maxReplicas: {most}}}
  capacity: {{utilizationTarget: 80%, headroom: 10%, survive: [{survive}], quotas: {{G: 800 vCPU, G spot: 200 vCPU}}}}
  routing: {{bySize: {by_size}}}
"""
RATES = [4, 4, 4, 4, 4, 6, 8, 10, 12, 14, 16, 18, 20, 20, 18, 16, 14, 12, 10, 8, 6, 4, 4, 4]
DAY = f"day: [{', '.join(f'{rate}/s' for rate in RATES)}]"
SIZES = ", sizes: [{share: 70%, inputTokens: 100, outputTokens: 50}, {share: 30%, inputTokens: 433, outputTokens: 217}]"
TODAY = datetime.date(2026, 9, 1)
MEASURED = "measured; that the curve rises, and what it says of the planned rate, is checked"

FREE = {
    ("version",): "another version is refused before the audit",
    ("gap",): "a certificate is only made by solving anew; that it is 0 to 1 is checked",
    ("tables", "*", "columns", "*", "digits"): "how many digits are shown",
    ("pools", "*", "curve", "in_flight", "*"): MEASURED,
    ("pools", "*", "curve", "rates_per_s", "*"): MEASURED,
    ("pools", "*", "curve", "latencies_s", "*"): MEASURED,
}


def evidence(unit: str, limit_per_s: float, usd_per_h: float, fitting: int, by_size: tuple[float, ...]) -> UnitEvidence:
    source = "price page, 2026-07-20, us-west-2, on-demand"
    tokens_per_s = limit_per_s * 100
    levels = ((1.0, limit_per_s / 3, 0.9), (limit_per_s, limit_per_s * 0.8, 1.2), (limit_per_s * 1.5, limit_per_s, 1.5))
    return UnitEvidence(
        unit,
        limit_per_s,
        usd_per_h,
        fitting,
        tokens_per_s,
        1.5,
        "measured",
        source,
        by_size,
        levels=() if by_size else levels,
    )


@functools.cache
def planned(demand: str = DAY, survive: str = "zone, accelerator, spot", by_size: bool = False, most: int = 40) -> Plan:
    text = FLEET.format(
        demand=demand, survive=survive, sizes=SIZES if by_size else "", by_size=str(by_size).lower(), most=most
    )
    fleet = read_fleet(text, where="fleet.yaml")
    known = [
        evidence("single", 2.0, 1.006, 1, (5.0, 1.0) if by_size else ()),
        evidence("quad", 6.0, 8.144, 2, (9.0, 5.0) if by_size else ()),
        evidence("inf", 2.5, 0.7582, 1, (4.0, 0.8) if by_size else ()),
    ]
    hardware = {unit.name: catalog.instance_type(unit.instance_type) for unit in fleet.spec.units}
    return make_plan(fleet, known, hardware=hardware)


@functools.cache
def document(by_size: bool) -> Any:
    return codec.to_jsonable(planned(by_size=by_size))


def audited(plan: Plan) -> tuple[Finding, ...]:
    return audit_plan(plan, "plan.json", today=TODAY).findings


def numbers(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from numbers(item, (*path, key))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path


def is_free(path: tuple[str | int, ...]) -> bool:
    return path[0] == "fleet" or any(
        len(path) == len(free) and all(want in ("*", key) for key, want in zip(path, free, strict=True))
        for free in FREE
    )


def not_given(whole: Any) -> set[tuple[str | int, ...]]:
    """Limits and latencies of sizes that a pool is given none of: evidence, that only survival may rest on."""
    hour = RATES.index(max(RATES))
    return {
        ("pools", index, kind, size)
        for index, pool in enumerate(whole["pools"])
        for kind in ("limits_by_size_per_s", "latencies_by_size_s")
        for size, rate in enumerate(pool["traffic_by_size_per_s"][hour] if pool["traffic_by_size_per_s"] else ())
        if rate == 0
    }


def changed(whole: Any, path: tuple[str | int, ...], other: float) -> Any:
    copied = copy.deepcopy(whole)
    place = copied
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = other
    return copied


PLACES = {
    by_size: [
        path for path in numbers(document(by_size)) if not is_free(path) and path not in not_given(document(by_size))
    ]
    for by_size in (False, True)
}


@settings(max_examples=60)
@given(st.data(), st.booleans())
def test_no_number_of_a_plan_can_be_changed_without_a_finding(data: st.DataObject, by_size: bool) -> None:
    path = data.draw(st.sampled_from(PLACES[by_size]))
    whole = document(by_size)
    value = functools.reduce(lambda place, key: place[key], path, whole)
    others = st.integers(-5, 999) | st.just(10**400) if isinstance(value, int) else st.floats(-1e3, 1e6)
    other = data.draw(others.filter(lambda new: abs(new - value) > 1e-4 * abs(value) + 1e-6), label=str(path))

    try:
        plan = codec.loads(Plan, json.dumps(changed(whole, path, other)), where="plan.json")
    except InputError:
        return
    found = audited(plan)

    assert found
    assert any(finding.severity is Severity.IMPOSSIBLE for finding in found)


def test_the_free_numbers_are_few() -> None:
    assert len(PLACES[False]) > 300
    free = {path[0] for path in numbers(document(False)) if is_free(path)}
    assert free == {"fleet", "version", "gap", "tables", "pools"}
    assert len(not_given(document(True))) <= 4


@pytest.mark.parametrize(
    "demand, survive, by_size, most",
    [
        (DAY, "zone, accelerator, spot", False, 40),
        (DAY, "zone, accelerator, spot", True, 40),
        ("peak: 40/s", "zone, accelerator, spot, pool", False, 40),
        ("peak: 11/s", "pool", True, 40),
        ("peak: 11/s", "", False, 40),
        ("peak: 4000/s", "accelerator", False, 2),  # infeasible
    ],
)
def test_a_plan_as_it_was_made_has_nothing_found(demand: str, survive: str, by_size: bool, most: int) -> None:
    assert audited(planned(demand, survive, by_size, most)) == ()


@settings(max_examples=12, deadline=None)
@given(st.data(), st.floats(0.5, 30), st.sampled_from(["", "pool", "accelerator", "zone, spot"]), st.booleans())
def test_plans_over_sizes_add_up_and_more_demand_costs_no_less(
    data: st.DataObject, rate_per_s: float, survive: str, by_size: bool
) -> None:
    limits = [data.draw(st.tuples(st.floats(0.3, 9), st.floats(0.3, 9))) for _ in range(3)]
    plans = []
    for peak_per_s in (10 + rate_per_s, 10 + 1.4 * rate_per_s):
        text = FLEET.format(
            demand=f"peak: {peak_per_s:.6f}/s", survive=survive, sizes=SIZES, by_size=str(by_size).lower(), most=40
        )
        known = [
            evidence(unit, 2.0, usd_per_h, fitting, limits[index])
            for index, (unit, usd_per_h, fitting) in enumerate(
                (("single", 1.006, 1), ("quad", 8.144, 2), ("inf", 0.7582, 1))
            )
        ]
        fleet = read_fleet(text, where="fleet.yaml")
        hardware = {unit.name: catalog.instance_type(unit.instance_type) for unit in fleet.spec.units}
        plans.append(make_plan(fleet, known, hardware=hardware))
    less, more = plans

    assert [audited(plan) for plan in plans] == [(), ()]
    if more.status is PlanStatus.FEASIBLE:
        assert less.status is PlanStatus.FEASIBLE
        assert less.cost_usd_per_h <= more.cost_usd_per_h * (1 + 1e-6)


def moved(plan: Plan, hour: int, unit: str, less: int) -> Plan:
    """Replicas of the unit taken away at that hour, and the cost mended so that it adds up."""

    def fewer(replicas: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(max(0, count - less) if index == hour else count for index, count in enumerate(replicas))

    pools = tuple(
        replace(pool, allotments=tuple(replace(one, replicas=fewer(one.replicas)) for one in pool.allotments))
        if pool.unit == unit
        else pool
        for pool in plan.pools
    )
    return replace(plan, pools=pools)


@pytest.mark.parametrize("by_size", [False, True])
@pytest.mark.parametrize(
    "survive, said",
    [
        ("zone", "Without zone us-west-2"),
        ("accelerator", "Without every a10g"),
        ("spot", "Without spot g5.xlarge in us-west-2"),
        ("pool", "Without single"),
    ],
)
def test_a_loss_that_is_no_longer_survived_is_named_with_its_hour(survive: str, said: str, by_size: bool) -> None:
    plan = moved(planned(survive=survive, by_size=by_size), 12, "inf", 3)

    (first, *_) = [finding for finding in audited(plan) if finding.check == "survival"]

    assert first.message.startswith(said)
    assert "at hour 12" in first.message


def with_pool(plan: Plan, unit: str, **changes: Any) -> Plan:
    return replace(plan, pools=tuple(replace(one, **changes) if one.unit == unit else one for one in plan.pools))


def test_replicas_that_no_longer_carry_their_sizes_are_named_with_their_hour() -> None:
    found = audited(moved(planned(survive="", by_size=True), 7, "inf", 2))

    (first, *_) = [finding for finding in found if finding.check == "demand"]
    assert first.message.startswith("inf is given what keeps ") and "busy at hour 7, and has" in first.message


def test_requests_of_a_size_that_nobody_is_given_are_found() -> None:
    plan = planned(by_size=True)
    given = plan.pool("inf").traffic_by_size_per_s
    less = tuple((rates[0] / 2, *rates[1:]) for rates in given)

    found = audited(with_pool(plan, "inf", traffic_by_size_per_s=less))

    message = next(finding.message for finding in found if finding.check == "demand")
    assert message.startswith("Of the requests of 100 + 50 tokens 15.4/s come at hour 1")  # the 12th or the 13th
    assert message.endswith("so in 24 hours, this is the worst.")


def test_a_plan_by_size_without_its_traffic_is_not_taken_on_trust() -> None:
    plan = planned(by_size=True)
    bare = replace(plan, pools=tuple(replace(pool, traffic_by_size_per_s=()) for pool in plan.pools))

    assert "demand" in {finding.check for finding in audited(bare)}


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"expected_latency_s": 0.1}, "The expected latency of inf is 0.1 s and should be "),
        ({"expected_latency_s": None}, "The expected latency of inf is no latency and should be "),
        ({"curve": None}, "it has no load curve up to its traffic"),
    ],
)
def test_an_expected_latency_that_is_not_that_of_the_load_curve_is_found(changes: dict[str, Any], said: str) -> None:
    (finding,) = audited(with_pool(planned(), "inf", **changes))

    assert finding.severity is Severity.IMPOSSIBLE
    assert said in finding.message


def test_an_infeasible_plan_with_weights_or_targets_is_found() -> None:
    plan = planned("peak: 4000/s", "accelerator", False, 2)
    targets = planned().pool("inf").autoscaling.targets
    scaled = replace(plan.pool("inf").autoscaling, targets=targets)

    assert "weights" in {finding.check for finding in audited(with_pool(plan, "inf", weight=100))}
    assert "autoscaling" in {finding.check for finding in audited(with_pool(plan, "inf", autoscaling=scaled))}


def test_a_quota_that_is_exceeded_is_named() -> None:
    plan = planned(survive="")
    quotas = plan.fleet.spec.capacity.model_copy(update={"quotas": {"G spot": 4}})
    spec = plan.fleet.spec.model_copy(update={"capacity": quotas})

    found = audited(replace(plan, fleet=plan.fleet.model_copy(update={"spec": spec})))

    (finding,) = [finding for finding in found if finding.check == "quotas"]
    assert finding.expected == "at most 4 vCPU" and "of the class G spot at hour" in finding.message


def test_a_target_per_minute_that_is_over_five_is_found() -> None:
    plan = planned()
    pool = plan.pool("single")
    targets = tuple(
        replace(target, period_s=300.0) if target.name == "received" else target for target in pool.autoscaling.targets
    )
    scaled = replace(pool, autoscaling=replace(pool.autoscaling, targets=targets))

    found = audited(replace(plan, pools=tuple(scaled if one is pool else one for one in plan.pools)))

    assert {finding.check for finding in found} == {"autoscaling"}
    assert any("requests per 300 s" in finding.message for finding in found)
