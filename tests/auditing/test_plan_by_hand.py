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
from holdfast.model.plan import Plan, UnitEvidence
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
FREE = {
    ("version",): "another version is refused before the audit",
    ("gap",): "a certificate is only made by solving anew; that it is 0 to 1 is checked",
    ("tables", "*", "columns", "*", "digits"): "how many digits are shown",
}


def evidence(unit: str, limit_per_s: float, usd_per_h: float, fitting: int, by_size: tuple[float, ...]) -> UnitEvidence:
    source = "price page, 2026-07-20, us-west-2, on-demand"
    tokens_per_s = limit_per_s * 100
    return UnitEvidence(unit, limit_per_s, usd_per_h, fitting, tokens_per_s, 1.5, "measured", source, by_size)


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


def changed(whole: Any, path: tuple[str | int, ...], other: float) -> Any:
    copied = copy.deepcopy(whole)
    place = copied
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = other
    return copied


PLACES = {by_size: [path for path in numbers(document(by_size)) if not is_free(path)] for by_size in (False, True)}


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
    assert {path[0] for path in numbers(document(False)) if is_free(path)} == {"fleet", "version", "gap", "tables"}


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


@pytest.mark.parametrize(
    "survive, said",
    [
        ("zone", "Without zone us-west-2"),
        ("accelerator", "Without every a10g"),
        ("spot", "Without spot g5.xlarge in us-west-2"),
        ("pool", "Without single"),
    ],
)
def test_a_loss_that_is_no_longer_survived_is_named_with_its_hour(survive: str, said: str) -> None:
    plan = moved(planned(survive=survive), 12, "inf", 3)

    (first, *_) = [finding for finding in audited(plan) if finding.check == "survival"]

    assert first.message.startswith(said)
    assert "at hour 12" in first.message


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
