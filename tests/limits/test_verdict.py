from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from holdfast.limits import measured, statistics, verdict
from holdfast.limits.measured import Measured
from holdfast.model.fleet import parse_slo
from holdfast.model.records import Outcome, RequestTable
from holdfast.model.stages import Arrivals, Cause, ClientHealth, Level
from limits import virtual

LEVEL = Level(Arrivals.POISSON, rate_per_s=100.0, duration_s=10.0)


def seen(
    latencies_s: np.ndarray, outcomes: list[Outcome] | None = None, *, utilization: float | None = None
) -> Measured:
    times = (np.arange(len(latencies_s)) + 0.5) / 100
    kinds = outcomes or [Outcome.OK] * len(times)
    records = [virtual.record(float(t), float(t + s), o) for t, s, o in zip(times, latencies_s, kinds, strict=True)]
    return measured.measure(RequestTable.of(records), LEVEL, 0, client=ClientHealth(cpu=0.1), utilization=utilization)


def noisy(mean_s: float, n: int = 1000) -> np.ndarray:
    return np.random.default_rng(1).normal(mean_s, 0.01, n).clip(0.001)


@pytest.mark.parametrize(
    ("slo", "holds"),
    [("p95<0.15s", True), ("p95<0.11s", False), ("p50<0.11s", True), ("avg<0.09s", False), ("avg<0.11s", True)],
)
def test_percentiles_and_means_are_held_against_their_bounds(slo: str, holds: bool) -> None:
    judged = verdict.judge(seen(noisy(0.1)), parse_slo(slo))
    assert judged.holds is holds
    assert judged.cause is (Cause.NONE if holds else Cause.LATENCY)
    assert judged.confidence > 0.9


def test_a_queue_that_grows_is_unstable_while_its_percentiles_still_look_fine() -> None:
    growing = noisy(0.1) + np.arange(1000) / 100 * 0.05  # 50 ms more for every second that passes
    judged = verdict.judge(seen(growing), parse_slo("p95<2s"))
    assert not judged.holds
    assert judged.cause is Cause.UNSTABLE
    assert "the queue has no bound" in judged.why


def test_errors_above_the_bound_break_a_level_that_is_quick() -> None:
    outcomes = [Outcome.HTTP_ERROR if n % 20 == 0 else Outcome.OK for n in range(1000)]
    judged = verdict.judge(seen(noisy(0.1), outcomes), parse_slo("p95<1s"))
    assert (judged.holds, judged.cause) == (False, Cause.ERRORS)
    assert "50 http_error of 1000" in judged.why


def test_requests_that_the_client_cancelled_are_late_but_no_errors() -> None:
    latencies = noisy(0.1)
    latencies[500:] = 3.0
    outcomes = [Outcome.OK] * 500 + [Outcome.CANCELLED] * 500
    found = seen(latencies, outcomes)
    assert found.stage.errors == {}
    judged = verdict.judge(found, parse_slo("p95<1s"))
    assert (judged.holds, judged.cause) == (False, Cause.LATENCY)
    assert "at least" in judged.why


def test_a_bound_on_the_first_token_counts_requests_that_never_had_one() -> None:
    latencies = noisy(0.1)
    outcomes = [Outcome.CANCELLED if n % 4 == 0 else Outcome.OK for n in range(1000)]
    found = seen(latencies, outcomes)
    never = found.steady.first_token_s.copy()
    never[found.steady.outcome == Outcome.CANCELLED] = np.nan
    steady = replace(found.steady, first_token_s=never, end_s=found.steady.intended_s + 3.0)
    cut = Measured(found.stage, steady, np.ones(len(steady), dtype=bool))
    judged = verdict.judge(cut, parse_slo("ttft p95<1s"))
    assert (judged.holds, judged.cause) == (False, Cause.TTFT)


def test_a_bound_on_the_stream_of_answers_that_do_not_stream_never_holds() -> None:
    assert not verdict.judge(seen(noisy(0.1)), parse_slo("itl p95<1s")).holds


def test_a_level_without_one_answer_never_holds() -> None:
    judged = verdict.judge(seen(noisy(0.1), [Outcome.CANCELLED] * 1000), parse_slo("ttft p95<10s"))
    assert not judged.holds


def test_an_error_bound_of_zero_holds_without_errors() -> None:
    assert verdict.judge(seen(noisy(0.1)), parse_slo("p95<1s, errors<0%")).holds
    outcomes = [Outcome.HTTP_ERROR if n == 500 else Outcome.OK for n in range(1000)]
    assert not verdict.judge(seen(noisy(0.1), outcomes), parse_slo("p95<1s, errors<0%")).holds


def test_utilisation_above_its_ceiling_breaks_a_level() -> None:
    judged = verdict.judge(seen(noisy(0.1), utilization=0.93), parse_slo("p95<1s, utilization<80%"))
    assert (judged.holds, judged.cause) == (False, Cause.UTILIZATION)


def test_an_unknown_utilisation_is_not_judged() -> None:
    assert verdict.judge(seen(noisy(0.1)), parse_slo("p95<1s, utilization<80%")).holds


def test_few_requests_make_a_verdict_unsure() -> None:
    few = verdict.judge(seen(noisy(0.1, 20)), parse_slo("p95<0.15s"))
    many = verdict.judge(seen(noisy(0.1, 2000)), parse_slo("p95<0.15s"))
    assert few.confidence < 0.95 < many.confidence


def test_a_level_is_given_up_only_when_its_percentile_is_lost_whatever_follows() -> None:
    slo = parse_slo("p95<0.1s")
    late, fine, none = np.full(46, 0.2), np.full(50, 0.05), np.array([])
    assert verdict.hopeless(slo, 200, np.concatenate([late, fine]), none)
    assert not verdict.hopeless(slo, 200, np.concatenate([late[:45], fine]), none)
    assert verdict.hopeless(slo, 200, fine, np.full(46, 0.3))  # those that still wait count, too
    assert not verdict.hopeless(parse_slo("avg<0.1s"), 200, late, none)


def test_a_busy_or_late_client_makes_the_stage_invalid() -> None:
    table = RequestTable.of([virtual.record(n / 100, n / 100 + 0.05) for n in range(100)])
    health = ClientHealth(cpu=0.1)
    busy = measured.measure(table, LEVEL, 0, client=replace(health, cpu=0.99)).stage
    assert "used 99% of a core" in busy.invalid
    late = measured.measure(replace(table, sent_s=table.intended_s + 0.02), LEVEL, 0, client=health).stage
    assert "sent 100% of the requests late by more than 5 ms" in late.invalid
    assert measured.measure(table, LEVEL, 0, client=health).stage.valid


def test_littles_law_holds_for_what_is_measured() -> None:
    level = Level(Arrivals.POISSON, rate_per_s=15.0, duration_s=200.0)
    rows = virtual.hold(virtual.Slots(1, virtual.exponential(0.04)), level, np.random.default_rng(5))
    stage = measured.measure(rows, level, 0).stage
    assert abs(stage.little) < 0.02
    assert stage.in_flight == pytest.approx(stage.offered_per_s * stage.latency.avg_s, rel=0.02)


def test_the_warm_up_is_cut_and_the_steady_part_is_not() -> None:
    steady = np.random.default_rng(2).normal(1.0, 0.1, 500)
    cold = np.concatenate([np.linspace(5, 1, 100), steady])
    assert 80 <= statistics.warm_up(cold) <= 130
    assert statistics.warm_up(steady) < 100


@pytest.mark.parametrize(
    ("x", "a", "b", "exact"),
    # Beta(1, b): 1 - (1 - x)^b. Beta(a, 1): x^a. Beta(2, 2): 3x^2 - 2x^3.
    [
        (0.3, 1, 5, 1 - 0.7**5),
        (0.3, 4, 1, 0.3**4),
        (0.25, 2, 2, 3 / 16 - 2 / 64),
        (0.5, 50, 50, 0.5),
        (0, 1, 1, 0),
        (1, 1, 1, 1),
    ],
)
def test_the_beta_distribution_agrees_with_its_closed_forms(x: float, a: float, b: float, exact: float) -> None:
    assert statistics.beta_cdf(x, a, b) == pytest.approx(exact, abs=1e-10)


def test_correlated_values_count_for_less() -> None:
    rng = np.random.default_rng(3)
    walk = np.zeros(5000)
    for n in range(1, len(walk)):
        walk[n] = 0.95 * walk[n - 1] + rng.normal()
    assert statistics.correlation_length(rng.normal(size=5000)) < 2.5
    assert statistics.correlation_length(walk) > 15  # an AR(1) of 0.95 has (1 + 0.95) / (1 - 0.95) = 39
