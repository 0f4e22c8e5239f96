"""Load curves rise, pass through clean measurements, and answer only where something was measured."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import catalog
from holdfast.catalog import models
from holdfast.model.curve import Curve
from holdfast.model.errors import InputError
from holdfast.model.measurements import Measurement, read_measurements
from holdfast.model.stages import Arrivals, ClientHealth, Level, LoadCurve, Stage, Summary
from holdfast.performance import curve
from holdfast.performance.estimate import estimate

CLEAN = Curve((1.0, 2.0, 4.0, 8.0), (1.0, 1.8, 3.0, 4.0), (1.0, 1.1, 1.33, 2.0), "avg", False, "by hand")
POSITIVE = st.floats(min_value=1e-3, max_value=1e3)


def row(number: int, rate_per_s: float, latency_s: float, **more: float) -> Measurement:
    return Measurement(row=number, unit="u", rate_per_s=rate_per_s, latency_avg_s=latency_s, **more)  # type: ignore[arg-type]


def stage(rate_per_s: float, p95_s: float, invalid: str = "") -> Stage:
    latency = Summary(100, p95_s / 1.5, p95_s / 1.6, p95_s / 1.1, p95_s, p95_s, p95_s)
    return Stage(
        0, Level(Arrivals.CLOSED, concurrency=1), (0.0, 9.0), 100, rate_per_s, rate_per_s, latency, None, None, 0.0,
        0.0, {}, rate_per_s * latency.avg_s, 0.0, None, ClientHealth(), invalid,
    )  # fmt: skip


def test_a_clean_curve_passes_through_its_levels() -> None:
    for rate, latency in zip(CLEAN.rates_per_s, CLEAN.latencies_s, strict=True):
        assert CLEAN.latency_s(rate) == pytest.approx(latency)


def test_nothing_is_extrapolated_beyond_the_last_level() -> None:
    assert CLEAN.latency_s(4.01) == math.inf
    assert CLEAN.rate_per_s(100.0) == CLEAN.plateau_per_s == 4.0


def test_below_the_first_level_the_rate_falls_and_the_latency_stays() -> None:
    assert CLEAN.rate_per_s(0.5) == 0.5 and CLEAN.latency_s(0.5) == 1.0 and CLEAN.rate_per_s(0) == 0


@given(
    st.lists(st.tuples(POSITIVE, POSITIVE, POSITIVE), min_size=1, max_size=12),
    st.lists(POSITIVE, min_size=2, max_size=20),
)
def test_whatever_was_measured_rate_and_latency_rise_and_never_overshoot(
    levels: list[tuple[float, float, float]], asked: list[float]
) -> None:
    made = curve.of_levels(levels, "p95", False, "noise")
    assert made is not None

    numbers = sorted(asked)
    rates = [made.rate_per_s(number) for number in numbers]
    assert all(before <= after * (1 + 1e-9) for before, after in pairwise(rates))
    assert all(0 <= rate <= made.plateau_per_s for rate in rates)
    latencies = [made.latency_s(min(rate, made.plateau_per_s)) for rate in rates]
    assert all(before <= after * (1 + 1e-9) for before, after in pairwise(latencies))
    assert all(made.latencies_s[0] <= latency <= made.latencies_s[-1] for latency in latencies)


def test_levels_out_of_order_become_the_nearest_that_rise() -> None:
    assert curve.rising([1.0, 3.0, 2.0, 4.0], [1.0, 1.0, 1.0, 1.0]) == (1.0, 2.5, 2.5, 4.0)
    assert curve.rising([3.0, 1.0], [1.0, 3.0]) == (1.5, 1.5)


def test_the_curve_of_a_run_has_its_valid_stages_alone() -> None:
    stages = [stage(1.0, 0.9), stage(2.0, 1.2), stage(9.0, 9.0, invalid="the client was late")]

    made = curve.of_stages(LoadCurve.of("u", stages))

    assert made is not None and made.rates_per_s == (1.0, 2.0) and not made.estimated
    assert curve.of_stages(LoadCurve.of("u", [])) is None


def test_rows_are_placed_by_littles_law_or_by_the_concurrency_they_state() -> None:
    made = curve.of_measurements([row(2, 2.0, 1.5), row(1, 1.0, 1.0, concurrency=10)], "avg")
    assert made is not None and made.in_flight == (1.0, 3.0)

    stated = Measurement(row=1, unit="u", rate_per_s=1.0, latency_p95_s=2.0, concurrency=10)
    by_p95 = curve.of_measurements([stated])
    assert by_p95 is not None and by_p95.in_flight == (10.0,) and by_p95.statistic == "p95"


def test_rows_without_a_latency_make_no_curve_and_rows_of_two_units_are_refused() -> None:
    assert curve.of_measurements([Measurement(row=1, unit="u", rate_per_s=1.0)]) is None
    with pytest.raises(InputError):
        curve.of_measurements([Measurement(row=1, unit="a"), Measurement(row=2, unit="b")])


def test_a_published_table_becomes_a_curve() -> None:
    lines = ["unit,concurrency,rate_per_s,latency_avg_s"]
    lines += ["g5,10,4.40,2.24", "g5,20,9.25,2.12", "g5,40,11.28,3.39", "g5,120,15.14,6.37", "g5,200,14.81,8.97"]

    made = curve.of_measurements(read_measurements("\n".join(lines), where="table"), "avg")

    assert made is not None
    assert made.plateau_per_s == pytest.approx((15.14 + 14.81) / 2)
    assert made.rates_per_s[:3] == (4.40, 9.25, 11.28)


def held(rate_per_s: float, in_flight: float, loop: Level) -> Stage:
    level = stage(rate_per_s, 1.5 * in_flight / rate_per_s)
    return replace(level, level=loop, in_flight=in_flight)


def closed(rate_per_s: float, users: int) -> Stage:
    return held(rate_per_s, users, Level(Arrivals.CLOSED, concurrency=users))


OPEN = Level(Arrivals.POISSON, rate_per_s=2.0)


@pytest.mark.parametrize(
    ("others", "levels", "why"),
    [
        ([held(1.2, 3.0, OPEN)], [1.0, 4.0], "an open loop whose number in flight swings about 3 is slower than 3"),
        ([held(2.6, 9.0, OPEN)], [1.0, 4.0, 9.0], "the closed loops did not go as far as the open one"),
    ],
)
def test_a_replica_serves_by_the_numbers_that_were_held(others: list[Stage], levels: list[float], why: str) -> None:
    made = curve.of_held(LoadCurve("u", (closed(1.0, 1), *others, closed(2.0, 4))))
    assert made is not None and list(made.in_flight) == levels, why


def test_one_closed_loop_among_open_ones_is_not_taken_alone() -> None:
    made = curve.of_held(LoadCurve("u", (closed(1.9, 4), held(1.2, 1.0, OPEN))))
    assert made is not None and made.in_flight == (1.0, 4.0)


def test_a_run_without_a_level_has_no_curve() -> None:
    assert curve.of_held(LoadCurve("u", ())) is None


def test_an_estimate_makes_a_curve_that_says_that_it_is_one() -> None:
    model, device = models.architecture("meta-llama/Llama-3.1-8B"), catalog.accelerator("h100")
    found = estimate(model, device, tensor_parallel=1, input_tokens=200, output_tokens=100)

    made = curve.of_estimate(found)

    assert made is not None and made.estimated and "estimate for h100" in made.source
    assert made.plateau_per_s == found.points[-1].rate_per_s
