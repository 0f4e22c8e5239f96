"""The search against servers on virtual time whose limits are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.limits.search import Options, Search
from holdfast.limits.verdict import Verdict
from holdfast.model.fleet import parse_slo
from holdfast.model.stages import Arrivals, Cause, ClientHealth, Level, Stage, Summary
from limits import virtual

CONSTANT = Options(arrivals=Arrivals.CONSTANT, requests=100)


def deterministic(service_s: float) -> virtual.Service:
    return lambda _: service_s


def exponential(mean_s: float) -> virtual.Service:
    return lambda rng: float(rng.exponential(mean_s))


@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize("service_s", [0.02, 0.0571, 0.5])
def test_evenly_paced_load_breaks_a_deterministic_server_at_its_saturation(slots: int, service_s: float) -> None:
    point, _ = virtual.find(parse_slo(f"p95<{4 * service_s}s"), CONSTANT, slots, deterministic(service_s), 0)
    truth = slots / service_s
    assert point.rate_per_s == pytest.approx(truth, rel=0.06)
    assert point.low_per_s <= 1.01 * truth  # an excess below 1 % cannot be told from none
    assert point.high_per_s >= truth
    assert point.cause in (Cause.LATENCY, Cause.UNSTABLE, Cause.PLATEAU)


def test_random_load_breaks_a_server_below_its_saturation() -> None:
    # M/M/1: the time in system is exponential with rate mu - lambda, so p95 = ln 20 / (mu - lambda).
    mu, bound_s = 20.0, 0.5
    truth = mu - math.log(20) / bound_s
    options = Options(requests=3000, least_s=1, most_s=1e6)
    slo = parse_slo(f"p95<{bound_s}s")
    found = [virtual.find(slo, options, 1, exponential(1 / mu), seed)[0].rate_per_s / truth for seed in range(7)]
    assert np.median(found) == pytest.approx(1, abs=0.1)


def test_a_unit_that_misses_its_slo_with_one_request_holds_nothing() -> None:
    point, search = virtual.find(parse_slo("p95<0.1s"), CONSTANT, 1, deterministic(0.2), 0)
    assert point.rate_per_s == 0
    assert point.cause is Cause.LATENCY
    assert "not even one request at a time" in point.why
    assert len(search._tried) == 0


def scripted(search: Search, limit_per_s: float, confidence: float = 0.99) -> list[Level]:
    """Answers every level as a unit would that serves up to `limit_per_s` and breaks above it."""
    asked = []
    while (level := search.ask()) is not None:
        asked.append(level)
        rate = level.rate_per_s or min(limit_per_s, (level.concurrency or 0) * limit_per_s / 3)
        holds = rate <= limit_per_s
        why = Verdict(holds, confidence, Cause.NONE if holds else Cause.LATENCY, "scripted")
        search.tell(level, stage(level, rate), why)
    return asked


def stage(level: Level, rate: float, invalid: str = "") -> Stage:
    latency = Summary(100, *((level.concurrency or 1) / rate,) * 6)
    health = ClientHealth(0, 0, 0, 0)
    return Stage(0, level, (0, 1), 100, rate, rate, latency, None, None, 0, 0, {}, 1, 0, None, health, invalid)


@given(limit=st.floats(0.01, 1e5), precision=st.floats(0.01, 0.3))
@settings(max_examples=200)
def test_with_sure_verdicts_the_interval_contains_the_limit_and_is_as_narrow_as_asked(
    limit: float, precision: float
) -> None:
    search = Search(Options(precision=precision))
    asked = scripted(search, limit)
    point = search.result()
    assert point.low_per_s <= limit <= point.high_per_s
    assert point.high_per_s / point.low_per_s <= 1 + precision + 1e-9
    assert point.rate_per_s == point.low_per_s
    assert len(asked) <= 20


def test_an_unclear_verdict_is_asked_again_before_anything_is_built_on_it() -> None:
    search = Search(Options(repeats=2))
    asked = [level.rate_per_s for level in scripted(search, 100.0, confidence=0.7) if level.rate_per_s]
    first = asked[0]
    assert asked[:3] == [first] * 3


def test_the_client_being_the_limit_is_said_and_never_taken_for_the_servers_limit() -> None:
    search = Search(Options())
    while (level := search.ask()) is not None:
        rate = level.rate_per_s or 10.0 * (level.concurrency or 1)
        invalid = "the client used 99% of a core" if rate > 50 else ""
        search.tell(level, stage(level, rate, invalid), Verdict(True, 0.99, Cause.NONE, ""))
    point = search.result()
    assert 0 < point.rate_per_s <= 50
    assert math.isinf(point.high_per_s)
    assert point.cause is Cause.NONE


def test_a_client_that_is_the_limit_from_the_first_rate_on_is_asked_for_less() -> None:
    search = Search(Options(invalid_repeats=1))
    asked = []
    while (level := search.ask()) is not None:
        rate = level.rate_per_s or 10.0 * (level.concurrency or 1)
        asked.append(rate)
        spoilt = level.rate_per_s is not None and rate > 50
        search.tell(level, stage(level, rate, "busy" if spoilt else ""), Verdict(True, 0.99, Cause.NONE, ""))
    assert 0 < search.result().rate_per_s <= 50


def test_a_spent_budget_ends_the_search_with_what_is_known() -> None:
    search = Search(Options())
    level = search.ask()
    assert level is not None
    search.tell(level, stage(level, 5.0), Verdict(True, 0.99, Cause.NONE, ""))
    search.stop("the budget of 60 s was spent")
    assert search.ask() is None
    assert search.result().why == "the budget of 60 s was spent"


@pytest.mark.parametrize(
    "wrong",
    [{"precision": 0.0}, {"precision": 3.0}, {"requests": 3}, {"arrivals": Arrivals.CLOSED}, {"confidence": 1.0}],
)
def test_impossible_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"precision|requests|open loop|confidence"):
        Options(**wrong)  # type: ignore[arg-type]
