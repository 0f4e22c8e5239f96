"""From rows and runs to the limit and the price of each unit."""

import math
from dataclasses import replace

import pytest

from holdfast.model.errors import InputError
from holdfast.model.findings import Severity
from holdfast.model.fleet import InferenceFleet
from holdfast.model.hardware import InstanceType, Offering
from holdfast.model.measurements import Measurement
from holdfast.model.stages import Arrivals, BreakingPoint, Cause, ClientHealth, Level, LoadCurve, Stage, Summary
from holdfast.planning.evidence import from_measurements, refuse_strangers
from holdfast.planning.run_evidence import from_breaking_points

Hardware = dict[str, InstanceType]
Offerings = dict[str, Offering]


def stage(
    achieved_per_s: float,
    latency_s: float,
    tokens_out_per_s: float = 0.0,
    invalid: str = "",
    tokens_in_per_s: float = 0.0,
) -> Stage:
    latency = Summary(100, latency_s, latency_s, latency_s, latency_s, latency_s, latency_s)
    return Stage(
        index=0,
        level=Level(Arrivals.POISSON, rate_per_s=achieved_per_s),
        window_s=(0.0, 10.0),
        requests=100,
        offered_per_s=achieved_per_s,
        achieved_per_s=achieved_per_s,
        latency=latency,
        ttft=None,
        itl=None,
        tokens_in_per_s=tokens_in_per_s,
        tokens_out_per_s=tokens_out_per_s,
        errors={},
        in_flight=1.0,
        little=0.0,
        utilization=None,
        client=ClientHealth(0.0, 0.0, 0.0, 0.1),
        invalid=invalid,
    )


def test_the_limit_is_the_highest_rate_among_rows_that_meet_the_slo(
    fleet: InferenceFleet, offerings: Offerings, hardware: Hardware
) -> None:
    rows = [
        Measurement(row=2, unit="single", rate_per_s=1.0, latency_p95_s=1.0),
        Measurement(
            row=3, unit="single", rate_per_s=3.0, latency_p95_s=1.9, output_tokens_per_s=300, latency_avg_s=0.8
        ),
        Measurement(row=4, unit="single", rate_per_s=5.0, latency_p95_s=2.1),
    ]

    (evidence,), _ = from_measurements(fleet, rows, offerings, hardware, "m.csv")

    assert (evidence.limit_per_s, evidence.tokens_out_per_s, evidence.latency_s) == (3.0, 300, 0.8)
    assert evidence.limit_source == "m.csv:3: latency p95 1.9 s within 2 s; not published, so not judged: error rate"
    assert (evidence.price_usd_per_h, evidence.price_source) == (1.0, "price page, 2026-07-20, us-west-2, on-demand")


def test_figures_of_several_replicas_are_shared_among_them(fleet: InferenceFleet, hardware: Hardware) -> None:
    rows = [
        Measurement(
            row=2,
            unit="quad",
            replicas=2,
            rate_per_s=12.0,
            output_tokens_per_s=1000,
            latency_p95_s=1.0,
            price_usd_per_h=16.0,
            source="a table",
        )
    ]

    (evidence,), _ = from_measurements(fleet, rows, {}, hardware, "m.csv")

    assert (evidence.limit_per_s, evidence.tokens_out_per_s, evidence.price_usd_per_h) == (6.0, 500, 8.0)
    assert evidence.limit_source.startswith("m.csv:2 (a table): ")
    assert evidence.limit_source.endswith("a share of 12/s over 2 replicas")


@pytest.mark.parametrize(
    "concurrencies, said",
    [
        ((8,), "one row shows no plateau: its rate is taken on trust"),
        ((8, 4), "nothing beyond it was tried, so the limit may be higher"),
        ((8, 16), "load beyond it brought no more"),
    ],
)
def test_without_any_latency_the_plateau_decides_and_that_is_said(
    fleet: InferenceFleet, offerings: Offerings, hardware: Hardware, concurrencies: tuple[int, ...], said: str
) -> None:
    rows = [
        Measurement(row=n, unit="single", rate_per_s=5.0 if n == 2 else 4.0, concurrency=concurrency)
        for n, concurrency in enumerate(concurrencies, 2)
    ]

    (evidence,), _ = from_measurements(fleet, rows, offerings, hardware, "m.csv")

    assert evidence.limit_per_s == 5.0
    assert said in evidence.limit_source
    assert "not published, so not judged: latency p95, error rate" in evidence.limit_source


def test_a_row_without_latency_does_not_outbid_one_that_was_judged(
    fleet: InferenceFleet, offerings: Offerings, hardware: Hardware
) -> None:
    rows = [
        Measurement(row=2, unit="single", rate_per_s=3.0, latency_p95_s=1.0),
        Measurement(row=3, unit="single", rate_per_s=9.0),
    ]

    (evidence,), _ = from_measurements(fleet, rows, offerings, hardware, "m.csv")

    assert evidence.limit_per_s == 3.0


@pytest.mark.parametrize(
    "rows, line, reason",
    [
        ([], 0, "the file has no row of it"),
        ([Measurement(row=3, unit="quad", concurrency=8)], 3, "none of its rows states a rate above 0"),
        (
            [
                Measurement(row=3, unit="quad", rate_per_s=2.0, latency_p95_s=4.0),
                Measurement(row=4, unit="quad", rate_per_s=1.0, latency_p95_s=3.0),
            ],
            4,
            "none of its 2 rows meets the SLO; the nearest: latency p95 3 s above 2 s",
        ),
    ],
)
def test_a_unit_that_nothing_speaks_for_is_left_out_and_named(
    fleet: InferenceFleet,
    offerings: Offerings,
    hardware: Hardware,
    rows: list[Measurement],
    line: int,
    reason: str,
) -> None:
    good = Measurement(row=2, unit="single", rate_per_s=3.0, latency_p95_s=1.0)

    evidence, (finding,) = from_measurements(fleet, [good, *rows], offerings, hardware, "m.csv")

    assert [known.unit for known in evidence] == ["single"]
    assert (finding.check, finding.file, finding.row) == ("left-out", "m.csv", line)
    assert finding.message == f"Unit 'quad' is left out of the plan: {reason}."


def test_rows_of_units_that_the_fleet_does_not_have_are_named_once(
    fleet: InferenceFleet, offerings: Offerings, hardware: Hardware
) -> None:
    rows = [
        Measurement(row=2, unit="single", rate_per_s=3.0, latency_p95_s=1.0),
        Measurement(row=3, unit="other", rate_per_s=3.0),
        Measurement(row=4, unit="other", rate_per_s=4.0),
    ]

    _, findings = from_measurements(fleet, rows, offerings, hardware, "m.csv")

    assert [(f.row, f.found) for f in findings if f.check == "unknown-unit"] == [(3, "other")]


def test_a_file_about_other_units_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match=r"m.csv: no row is of a unit of the fleet \(rows are of qad\); .*: quad"):
        refuse_strangers(["single", "quad"], [Measurement(row=2, unit="qad", rate_per_s=1.0)], "m.csv")


def test_rows_of_another_tp_say_nothing_of_a_unit_though_its_batch_was_not_measured(
    fleet: InferenceFleet, offerings: Offerings, hardware: Hardware
) -> None:
    rows = [
        Measurement(row=2, unit="quad", rate_per_s=3.0, latency_p95_s=1.0, tensor_parallel=4, max_num_seqs=8),
        Measurement(row=3, unit="quad", rate_per_s=9.0, latency_p95_s=1.0, tensor_parallel=8, max_num_seqs=8),
    ]

    (known,), _ = from_measurements(fleet, rows, offerings, hardware, "m.csv")

    assert known.limit_per_s == 3.0


def test_a_row_that_was_measured_on_something_else_is_suspicious(
    fleet: InferenceFleet, offerings: Offerings, hardware: Hardware
) -> None:
    rows = [
        Measurement(row=2, unit="quad", rate_per_s=3.0, latency_p95_s=1.0, framework="triton"),
        Measurement(row=3, unit="quad", rate_per_s=2.0, latency_p95_s=1.0),
    ]

    _, findings = from_measurements(fleet, rows, offerings, hardware, "m.csv")

    (mismatch,) = [finding for finding in findings if finding.check == "configuration"]
    assert (mismatch.row, mismatch.severity) == (2, Severity.SUSPICIOUS)
    assert mismatch.message == "Unit 'quad' was measured with framework triton and is planned with vllm."


def test_rows_of_another_parallelism_or_batch_are_no_evidence_of_the_unit(
    fleet: InferenceFleet, offerings: Offerings, hardware: Hardware
) -> None:
    rows = [
        Measurement(row=2, unit="quad", rate_per_s=3.0, latency_p95_s=1.0, tensor_parallel=4),
        Measurement(row=3, unit="quad", rate_per_s=9.0, latency_p95_s=1.0, tensor_parallel=8),
    ]

    (evidence,), findings = from_measurements(fleet, rows, offerings, hardware, "m.csv")

    assert evidence.limit_per_s == 3.0
    (mismatch,) = [finding for finding in findings if finding.check == "configuration"]
    assert (mismatch.row, mismatch.severity) == (3, Severity.NOTE)
    assert mismatch.message == (
        "Unit 'quad' was measured with tensor_parallel 8 and is planned with 4; rows of that kind are compared in the "
        "grid and say nothing of the unit's limit."
    )


def test_a_unit_measured_only_in_another_parallelism_is_planned_on_it_and_suspicious(
    fleet: InferenceFleet, offerings: Offerings, hardware: Hardware
) -> None:
    rows = [Measurement(row=3, unit="quad", rate_per_s=9.0, latency_p95_s=1.0, tensor_parallel=8)]

    (evidence,), findings = from_measurements(fleet, rows, offerings, hardware, "m.csv")

    assert evidence.limit_per_s == 9.0
    (mismatch,) = [finding for finding in findings if finding.check == "configuration"]
    assert mismatch.severity is Severity.SUSPICIOUS


def test_a_run_of_our_own_gives_its_breaking_point_with_the_interval(
    fleet: InferenceFleet, offerings: Offerings, hardware: Hardware
) -> None:
    point = BreakingPoint(4.0, 3.8, 4.5, 0.9, Cause.LATENCY, "p95 rose above 2 s")
    curve = LoadCurve(
        "single",
        (stage(2.0, 0.5, 240.0), stage(3.9, 0.9, 390.0), stage(4.0, 9.0, 1.0, invalid="the client lagged")),
        point,
    )

    (evidence,), findings = from_breaking_points(fleet, {"single": [curve]}, offerings, hardware)

    assert evidence.limit_per_s == 4.0
    assert evidence.tokens_out_per_s == pytest.approx(400.0)
    assert evidence.latency_s == 0.9
    assert evidence.limit_source == (
        "measured: held 3.8/s, broke at 4.5/s (cause: latency, confidence 90%), taken as 4/s; p95 rose above 2 s"
    )
    assert [finding.message for finding in findings] == ["Unit 'quad' is left out of the plan: no run measured it."]


def test_a_run_of_other_requests_than_the_workloads_says_so(
    fleet: InferenceFleet, offerings: Offerings, hardware: Hardware
) -> None:
    point = BreakingPoint(4.0, 3.8, 4.5, 0.9, Cause.LATENCY, "p95 rose above 2 s")
    levels = (stage(2.0, 0.5, 200.0, tokens_in_per_s=96.0), stage(4.0, 0.9, 400.0, tokens_in_per_s=204.0))
    curves = {"single": [LoadCurve("single", levels, point)], "quad": [LoadCurve("quad", levels)]}

    evidence, findings = from_breaking_points(fleet, curves, offerings, hardware)

    far = "measured with 50 input and 100 output tokens, the workload has 200 and 100 (75% fewer input tokens)"
    assert [known.other_size for known in evidence] == [far, far]
    assert [finding.message for finding in findings] == [
        f"Unit {name!r} was {far}; its limit is taken as it is, not scaled." for name in ("single", "quad")
    ]


def test_a_run_that_nothing_broke_says_so(fleet: InferenceFleet, offerings: Offerings, hardware: Hardware) -> None:
    point = BreakingPoint(4.0, 4.0, math.inf, 0.5, Cause.NONE, "the search ended at its ceiling")

    (evidence,), _ = from_breaking_points(fleet, {"single": [LoadCurve("single", (), point)]}, offerings, hardware)

    assert "held 4/s, nothing broke it" in evidence.limit_source
    assert evidence.tokens_out_per_s is None
    assert evidence.latency_s is None


def test_a_unit_that_holds_no_load_at_all_is_left_out_with_the_searchs_reason(
    fleet: InferenceFleet, offerings: Offerings, hardware: Hardware
) -> None:
    point = BreakingPoint(0.0, 0.0, 0.5, 0.9, Cause.LATENCY, "p95 is 3 s at the lowest rate")
    curves = {"single": [LoadCurve("single", (), point)], "quad": [LoadCurve("quad")]}

    evidence, findings = from_breaking_points(fleet, curves, offerings, hardware)

    assert evidence == ()
    assert [finding.message for finding in findings] == [
        "Unit 'single' is left out of the plan: it holds no load at all: p95 is 3 s at the lowest rate.",
        "Unit 'quad' is left out of the plan: no run measured it.",
    ]


def test_a_sweep_gives_its_highest_level_that_meets_the_slo(
    fleet: InferenceFleet, offerings: Offerings, hardware: Hardware
) -> None:
    spoilt, behind = stage(9.0, 0.1, invalid="the client lagged"), replace(stage(8.0, 1.0), offered_per_s=20.0)
    curve = LoadCurve("single", (stage(2.0, 0.5), stage(4.0, 1.5, 400.0), stage(6.0, 2.5), spoilt, behind))

    (evidence,), _ = from_breaking_points(fleet, {"single": [curve]}, offerings, hardware)

    assert (evidence.limit_per_s, evidence.tokens_out_per_s, evidence.latency_s) == (4.0, 400.0, 1.5)
    assert evidence.limit_source == (
        "measured: at 4/s, the best of 3 levels, between which nothing was measured: "
        "latency p95 1.5 s within 2 s; error rate 0 within 0.01"
    )


def test_a_sweep_without_such_a_level_leaves_its_unit_out(
    fleet: InferenceFleet, offerings: Offerings, hardware: Hardware
) -> None:
    curve = LoadCurve("single", (stage(6.0, 2.5),))

    evidence, (finding, _) = from_breaking_points(fleet, {"single": [curve]}, offerings, hardware)

    assert evidence == ()
    assert "none of its 1 rows meets the SLO; the nearest: latency p95 2.5 s above 2 s" in finding.message
