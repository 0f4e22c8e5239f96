"""A run's stages are what its requests say; a stage that was changed, or is of other requests, is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from holdfast.auditing import RunFigures, audit_run
from holdfast.limits import measured
from holdfast.model.findings import Finding, Severity
from holdfast.model.fleet import parse_slo
from holdfast.model.records import Outcome, RequestRecord, RequestTable
from holdfast.model.stages import Arrivals, BreakingPoint, Cause, ClientHealth, Level, LoadCurve, Stage

BEGAN_S = 100.0


def request(number: int, latency_s: float, *, asked: int = 100) -> RequestRecord:
    start_s = BEGAN_S + number * 0.5
    end_s = start_s + latency_s
    return RequestRecord(
        0, start_s, start_s, start_s + 0.1, start_s + 0.1, end_s, 0.01, 50, 200, 100, 200, asked, 200, Outcome.OK
    )


def run_of(records: list[RequestRecord]) -> RunFigures:
    """The run that these requests make, by the code that makes stages."""
    table = RequestTable.of(records)
    level = Level(Arrivals.CONSTANT, rate_per_s=2.0, duration_s=len(records) / 2)
    stage = measured.measure(table.shifted(BEGAN_S), level, 0).stage
    return RunFigures(LoadCurve.of("u", [stage]), {0: BEGAN_S}, table)


@pytest.fixture
def run() -> RunFigures:
    latencies = np.random.default_rng(7).uniform(0.3, 0.9, 400)
    return run_of([request(n, float(latency_s)) for n, latency_s in enumerate(latencies)])


def found(run: RunFigures) -> list[Finding]:
    return [finding for finding in audit_run(run, "run").findings if finding.check != "samples"]


def changed(run: RunFigures, change: Callable[[Stage], Stage]) -> RunFigures:
    return replace(run, curve=replace(run.curve, stages=tuple(map(change, run.curve.stages))))


def test_a_run_that_agrees_with_itself_has_nothing_found(run: RunFigures) -> None:
    assert found(run) == []


@pytest.mark.parametrize(
    "check, change",
    [
        ("counts", lambda stage: replace(stage, requests=stage.requests - 1)),
        ("counts", lambda stage: replace(stage, errors={"TIMEOUT": 3})),
        ("percentiles", lambda stage: replace(stage, latency=replace(stage.latency, p95_s=0.5))),
        ("percentiles", lambda stage: replace(stage, latency=replace(stage.latency, n=stage.latency.n + 1))),
        ("rates", lambda stage: replace(stage, achieved_per_s=stage.achieved_per_s * 60)),
        ("in-flight", lambda stage: replace(stage, in_flight=stage.in_flight * 2)),
    ],
)
def test_a_stage_that_is_not_what_its_requests_say_is_impossible(
    run: RunFigures, check: str, change: Callable[[Stage], Stage]
) -> None:
    hits = [finding for finding in found(changed(run, change)) if finding.check == check]

    assert hits
    assert all((finding.severity, finding.row) == (Severity.IMPOSSIBLE, 1) for finding in hits)


def test_requests_that_end_before_they_begin_are_impossible(run: RunFigures) -> None:
    records = [request(n, 0.5) for n in range(100)]
    records[40] = replace(records[40], first_byte_s=records[40].intended_s - 1)

    assert [finding.check for finding in found(run_of(records))] == ["moments"]


def test_answers_of_another_length_than_asked_for_are_told_per_stage() -> None:
    (finding,) = [
        f for f in found(run_of([request(n, 0.5, asked=130) for n in range(100)])) if f.check == "token-count"
    ]

    assert finding.found == "100 output tokens"
    assert finding.likely == "Answers ended early (no ignore_eos)."


def test_an_invalid_stage_a_late_client_and_a_run_without_end_are_told(run: RunFigures) -> None:
    assert [f.check for f in found(changed(run, lambda stage: replace(stage, invalid="the client was busy")))] == [
        "invalid-stage"
    ]
    late = ClientHealth(lag_p99_s=0.2)
    assert [f.check for f in found(changed(run, lambda stage: replace(stage, client=late)))] == ["client-lag"]
    assert [f.check for f in found(replace(run, cut_off="the run was cut off after 3 requests"))] == ["unfinished"]


def test_a_limit_that_no_stage_came_near_is_impossible(run: RunFigures) -> None:
    point = BreakingPoint(9.0, 8.0, 10.0, 0.9, Cause.LATENCY, "why")

    (finding,) = found(replace(run, curve=replace(run.curve, breaking_point=point)))

    assert finding.message == "The limit is 9/s, and no valid stage had more than 2.001/s answered."


def test_a_stage_that_breaks_the_slo_it_is_held_against_is_told(run: RunFigures) -> None:
    findings = audit_run(run, "run", slo=parse_slo("p95<400ms")).findings

    assert "slo" in {finding.check for finding in findings}


def test_the_percentile_that_was_searched_for_needs_its_requests(run: RunFigures) -> None:
    with_slo = replace(run, slo=parse_slo("p95<1s"))

    assert not [f for f in audit_run(with_slo, "run").findings if f.check == "samples"]
    (note,) = [f for f in audit_run(run, "run").findings if f.check == "samples"]
    assert "beyond their p99, which takes 1,000" in note.message
