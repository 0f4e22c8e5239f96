"""A limit is taken from the rows whose requests are nearest in length to those of the workload, and told as such."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import catalog
from holdfast.model.findings import Severity
from holdfast.model.fleet import InferenceFleet, Workload
from holdfast.model.hardware import InstanceType, Offering
from holdfast.model.measurements import Measurement
from holdfast.planning import measured_size
from holdfast.planning.evidence import from_measurements
from holdfast.planning.grid import of_measurements
from holdfast.planning.plan import make_plan

Offerings = dict[str, Offering]
Hardware = dict[str, InstanceType]


def workload(input_tokens: float, output_tokens: float) -> Workload:
    return Workload.model_validate(
        {"api": "completions", "inputTokens": {"mean": input_tokens}, "outputTokens": {"mean": output_tokens}}
    )


IMAGES = Workload.model_validate({"api": "images"})


def row(
    number: int, input_tokens: float | None, output_tokens: float | None, rate_per_s: float = 3.0, **figures: float
) -> Measurement:
    return Measurement(
        row=number,
        unit="single",
        rate_per_s=rate_per_s,
        latency_p95_s=1.0,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        latency_avg_s=figures.get("latency_avg_s"),
    )


def fleet_of(fleet: InferenceFleet, input_tokens: float) -> InferenceFleet:
    """The fleet with prompts of that length on average."""
    return fleet.model_copy(update={"spec": fleet.spec.model_copy(update={"workload": workload(input_tokens, 100)})})


SHORT, LONG = row(2, 200, 100, 9.0), row(3, 1600, 100, 2.0)


@pytest.mark.parametrize(
    "asked, expected",
    [
        ((200, 100), [2]),
        ((400, 100), [2]),  # half of it is nearer than four times of it
        ((800, 100), [3]),
        ((1600, 100), [3]),
        ((math.sqrt(200 * 1600), 100), [3]),  # equally near: the one with more tokens
        ((100_000, 100), [3]),
    ],
)
def test_the_nearest_length_is_taken(asked: tuple[float, float], expected: list[int]) -> None:
    assert [one.row for one in measured_size.nearest([SHORT, LONG], workload(*asked))] == expected


def test_lengths_that_differ_as_means_do_are_one() -> None:
    levels = [row(2, 200, 122), row(3, 201, 130), row(4, 199, 126), row(5, 200, 260)]

    assert [one.row for one in measured_size.nearest(levels, workload(200, 126))] == [2, 3, 4]


def test_rows_that_state_their_lengths_go_before_rows_that_do_not() -> None:
    rows = [row(2, None, None), row(3, 200, None), row(4, 900, 500)]

    assert [one.row for one in measured_size.nearest(rows, workload(200, 100))] == [4]
    assert [one.row for one in measured_size.nearest(rows[:2], workload(200, 100))] == [3]
    assert [one.row for one in measured_size.nearest(rows[:1], workload(200, 100))] == [2]


def test_of_images_all_rows_are_taken() -> None:
    assert measured_size.nearest([SHORT, LONG], IMAGES) == [SHORT, LONG]
    assert measured_size.otherwise(SHORT, IMAGES) == ""


@pytest.mark.parametrize(
    "measured, said",
    [
        ((200, 100), ""),
        ((190, 110), ""),
        ((None, None), ""),
        ((800, None), ""),
        (
            (200, 100),
            "measured with 200 input and 100 output tokens, the workload has 800 and 100 (75% fewer input tokens)",
        ),
        ((None, 300), "measured with 300 output tokens, the workload has 100 (200% more output tokens)"),
        (
            (1600, 20),
            "measured with 1600 input and 20 output tokens, the workload has 800 and 100 "
            "(100% more input tokens, 80% fewer output tokens)",
        ),
    ],
)
def test_how_far_it_is_from_the_length_asked_for_is_said(
    measured: tuple[float | None, float | None], said: str
) -> None:
    asked = workload(800, 100) if said or measured == (800, None) else workload(200, 100)

    assert measured_size.otherwise(row(2, *measured), asked) == said


tokens = st.floats(min_value=1, max_value=1e6)
sized = st.lists(st.tuples(st.none() | tokens, st.none() | tokens), max_size=8).map(
    lambda lengths: [row(number, *each) for number, each in enumerate(lengths)]
)


@given(sized, tokens, tokens)
def test_what_is_taken_is_some_of_the_rows_and_as_near_as_any(
    rows: list[Measurement], input_tokens: float, output_tokens: float
) -> None:
    asked = workload(input_tokens, output_tokens)
    taken = measured_size.nearest(rows, asked)

    assert bool(taken) == bool(rows)
    assert [one for one in rows if one in taken] == taken
    if any(one.input_tokens == input_tokens and one.output_tokens == output_tokens for one in rows):
        assert all(measured_size.otherwise(one, asked) == "" for one in taken)


def test_the_limit_of_short_requests_is_not_that_of_long_ones(
    fleet: InferenceFleet, offerings: Offerings, hardware: Hardware
) -> None:
    rows = [SHORT, row(3, 1600, 100, 2.0, latency_avg_s=0.5), row(4, 1600, 100, 1.0, latency_avg_s=0.4)]
    long = fleet_of(fleet, 1600)

    (known,), findings = from_measurements(long, rows, offerings, hardware, "m.csv")

    assert (known.limit_per_s, known.other_size, len(known.levels)) == (2.0, "", 2)
    assert (findings[0].check, findings[0].message) == (
        "size",
        "A row of 'single', with requests of another length than those nearest to the workload's, says nothing of its "
        "limit.",
    )


def test_a_unit_left_out_says_that_it_was_measured_with_other_requests(
    fleet: InferenceFleet, offerings: Offerings, hardware: Hardware
) -> None:
    slow = Measurement(row=3, unit="single", rate_per_s=2.0, latency_p95_s=3.0, input_tokens=1600, output_tokens=100)

    _, findings = from_measurements(fleet_of(fleet, 800), [SHORT, slow], offerings, hardware, "m.csv")

    (left_out, *_) = (one.message for one in findings if one.check == "left-out")
    assert left_out == (
        "Unit 'single' is left out of the plan: none of its 1 rows meets the SLO; the nearest: latency p95 3 s above "
        "2 s (measured with 1600 input and 100 output tokens, the workload has 800 and 100 (100% more input tokens))."
    )


def test_a_plan_says_which_length_was_measured_in_its_reason_and_in_a_finding(
    fleet: InferenceFleet, offerings: Offerings, hardware: Hardware
) -> None:
    asked = fleet_of(fleet, 800)
    far = "measured with 1600 input and 100 output tokens, the workload has 800 and 100 (100% more input tokens)"

    known, findings = from_measurements(asked, [SHORT, LONG], offerings, hardware, "m.csv")
    (pool,) = make_plan(asked, known, findings=findings, hardware=hardware).pools

    assert f"of 2/s ({far}; not scaled to it)" in pool.reason
    assert [(one.row, one.message) for one in findings if one.severity is Severity.SUSPICIOUS] == [
        (3, f"Unit 'single' was {far}; its limit is taken as it is, not scaled.")
    ]


def test_a_cell_of_the_grid_is_of_the_length_nearest_to_the_workloads(
    fleet: InferenceFleet, offerings: Offerings, hardware: Hardware
) -> None:
    equipment = {name: (kind, catalog.accelerator("a10g")) for name, kind in hardware.items()}

    (cell,) = of_measurements(fleet_of(fleet, 1600), [SHORT, LONG], offerings, equipment, "m.csv")

    assert (cell.rate_per_s, cell.peak_per_s, cell.source) == (2.0, 2.0, "m.csv:3")
