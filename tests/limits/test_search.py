"""The search against servers on virtual time whose limits are known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.limits.measured import Measured
from holdfast.limits.search import Options, Search
from holdfast.limits.verdict import Verdict
from holdfast.model.fleet import parse_slo
from holdfast.model.records import RequestTable
from holdfast.model.stages import Arrivals, Cause, ClientHealth, Level, Stage, Summary
from limits import virtual
from limits.virtual import Bucket, Slots

CONSTANT = Options(arrivals=Arrivals.CONSTANT, requests=100)
SLO = parse_slo("p95<1s")
NONE = RequestTable.of([])


@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize("service_s", [0.02, 0.0571, 0.5])
def test_evenly_paced_load_breaks_a_deterministic_server_at_its_saturation(slots: int, service_s: float) -> None:
    server = Slots(slots, virtual.fixed(service_s))
    point, _ = virtual.find(parse_slo(f"p95<{4 * service_s}s"), CONSTANT, server, 0)
    truth = slots / service_s
    assert point.rate_per_s == pytest.approx(truth, rel=0.06)
    assert point.low_per_s <= truth <= point.high_per_s
    assert point.cause in (Cause.LATENCY, Cause.UNSTABLE, Cause.PLATEAU)


def test_random_load_breaks_a_server_below_its_saturation_within_the_interval_that_is_stated() -> None:
    # M/M/1: the time in system is exponential with rate mu - lambda, so p95 = ln 20 / (mu - lambda).
    truth = 20.0 - math.log(20) / 0.5
    options = Options(requests=1000, least_s=5, most_s=45, budget_s=600)
    found = [virtual.find(parse_slo("p95<0.5s"), options, Slots(1, virtual.exponential(0.05)), s)[0] for s in range(5)]
    assert np.median([point.rate_per_s / truth for point in found]) == pytest.approx(1, abs=0.06)
    assert sum(point.low_per_s <= truth <= point.high_per_s for point in found) >= 4
    assert {point.cause for point in found} == {Cause.LATENCY}


def test_requests_that_are_turned_away_when_the_unit_is_full_are_the_cause_of_its_limit() -> None:
    server = Slots(8, virtual.exponential(0.2), most=8)
    options = Options(requests=1000, least_s=5, most_s=45, budget_s=400)
    point, _ = virtual.find(parse_slo("p95<5s, errors<1%"), options, server, 1)
    # Erlang's B of 8 slots is 1 % at 3.13 Erlang.
    assert point.rate_per_s == pytest.approx(3.128 / 0.2, rel=0.08)
    assert point.cause is Cause.ERRORS


def test_a_burst_that_is_served_on_credit_is_not_taken_for_a_rate_that_holds() -> None:
    options = Options(arrivals=Arrivals.CONSTANT, requests=150, least_s=5, most_s=45)
    point, _ = virtual.find(parse_slo("p95<0.5s"), options, Bucket(20.0, 10, 0.1), 0)
    assert point.rate_per_s == pytest.approx(20, rel=0.02)
    assert point.low_per_s <= 20 <= point.high_per_s


def test_a_server_that_is_cold_for_a_minute_is_measured_warm() -> None:
    options = Options(requests=1000, least_s=5, most_s=45, budget_s=500, settle_s=60)
    cold = Slots(8, virtual.exponential(0.2), cold_s=60, cold=3)
    point, _ = virtual.find(parse_slo("p95<1s"), options, cold, 3)
    assert point.rate_per_s == pytest.approx(36.1, rel=0.08)


def test_the_highest_number_in_flight_is_found_exactly() -> None:
    # 4 slots of 0.1 s: with n in flight a request takes n / 40 seconds.
    options = Options(arrivals=Arrivals.CLOSED, requests=100, precision=0.01)
    point, _ = virtual.find(parse_slo("p95<0.31s"), options, Slots(4, virtual.fixed(0.1)), 0)
    assert point.concurrency == 12
    assert point.rate_per_s == pytest.approx(40, rel=0.05)


def test_a_unit_that_misses_its_slo_with_one_request_holds_nothing() -> None:
    point, search = virtual.find(parse_slo("p95<0.1s"), CONSTANT, Slots(1, virtual.fixed(0.2)), 0)
    assert point.rate_per_s == 0
    assert point.cause is Cause.LATENCY
    assert "not even one request at a time" in point.why
    assert search.asked == 1


def scripted(search: Search, limit_per_s: float, confidence: float = 0.99) -> list[Level]:
    """Answers every level as a unit would that serves up to `limit_per_s` and breaks above it."""
    asked = []
    while (level := search.ask()) is not None:
        asked.append(level)
        rate = level.rate_per_s or min(limit_per_s, (level.concurrency or 0) * limit_per_s / 3)
        holds = rate <= limit_per_s
        search.tell(level, stage(level, rate), verdict(holds, confidence))
    return asked


def verdict(holds: bool, confidence: float = 0.99) -> Verdict:
    return Verdict(holds, confidence, Cause.NONE if holds else Cause.LATENCY, "scripted")


def stage(level: Level, rate: float, invalid: str = "") -> Measured:
    latency = Summary(100, *((level.concurrency or 1) / rate,) * 6)
    made = Stage(0, level, (0, 1), 100, rate, rate, latency, None, None, 0, 0, {}, 1, 0, None, ClientHealth(), invalid)
    return Measured(made, NONE, np.zeros(0, dtype=bool))


@given(limit=st.floats(0.01, 1e5), precision=st.floats(0.01, 0.3))
@settings(max_examples=200)
def test_with_sure_verdicts_the_interval_contains_the_limit_and_is_as_narrow_as_asked(
    limit: float, precision: float
) -> None:
    search = Search(SLO, Options(arrivals=Arrivals.CONSTANT, precision=precision))
    asked = scripted(search, limit)
    point = search.result()
    assert point.low_per_s <= limit <= point.high_per_s
    assert point.high_per_s / point.rate_per_s <= 1 + precision + 1e-9
    assert len(asked) <= 24


def test_an_unclear_verdict_is_asked_again_before_anything_is_built_on_it() -> None:
    search = Search(SLO, replace(CONSTANT, repeats=2))
    asked = [level.rate_per_s for level in scripted(search, 100.0, confidence=0.7) if level.rate_per_s]
    assert asked[:3] == [asked[0]] * 3


@pytest.mark.parametrize("arrivals", [Arrivals.CONSTANT, Arrivals.POISSON])
def test_the_client_being_the_limit_is_said_and_never_taken_for_the_servers_limit(arrivals: Arrivals) -> None:
    search = Search(SLO, Options(arrivals=arrivals))
    while (level := search.ask()) is not None:
        rate = level.rate_per_s or 10.0 * (level.concurrency or 1)
        invalid = "the client used 99% of a core" if rate > 50 else ""
        search.tell(level, stage(level, rate, invalid), verdict(True))
    point = search.result()
    assert 0 < point.rate_per_s <= 50
    assert math.isinf(point.high_per_s)
    assert point.cause is Cause.NONE


def test_a_client_that_is_the_limit_from_the_first_rate_on_is_asked_for_less() -> None:
    search = Search(SLO, replace(CONSTANT, invalid_repeats=1))
    while (level := search.ask()) is not None:
        rate = level.rate_per_s or 10.0 * (level.concurrency or 1)
        spoilt = level.rate_per_s is not None and rate > 50
        search.tell(level, stage(level, rate, "busy" if spoilt else ""), verdict(True))
    assert 0 < search.result().rate_per_s <= 50


def test_a_spent_budget_ends_the_search_with_what_is_known() -> None:
    search = Search(SLO, replace(CONSTANT, budget_requests=550))
    asked = scripted(search, 100.0)
    assert search.sent <= 550 + 100
    assert len(asked) == 5
    assert "the budget was spent" in search.result().why


def test_a_search_that_is_stopped_says_why() -> None:
    search = Search(SLO, CONSTANT)
    level = search.ask()
    assert level is not None
    search.tell(level, stage(level, 5.0), verdict(True))
    search.stop("it was interrupted")
    assert search.ask() is None
    assert search.result().why == "it was interrupted"


def test_a_search_that_is_told_its_first_levels_again_goes_on_as_if_it_had_not_been_interrupted() -> None:
    whole, told = Search(SLO, CONSTANT), list[tuple[Level, Measured, Verdict]]()
    while (level := whole.ask()) is not None:
        rate = level.rate_per_s or min(100.0, (level.concurrency or 0) * 30.0)
        told.append((level, stage(level, rate), verdict(rate <= 100)))
        whole.tell(*told[-1])
    resumed = Search(SLO, CONSTANT)
    for level, seen, judged in told[:7]:
        resumed.tell(level, seen, judged)
    assert resumed.ask() == told[7][0]


@pytest.mark.parametrize(
    "wrong",
    [{"precision": 0.0}, {"precision": 3.0}, {"requests": 3}, {"budget_s": 0}, {"confidence": 1.0}],
)
def test_impossible_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"precision|requests|budget|confidence"):
        Options(**wrong)  # type: ignore[arg-type]
