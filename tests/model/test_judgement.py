"""Published rows held against an SLO that bounds what they do not state."""

import pytest

from holdfast.model.fleet import parse_slo
from holdfast.model.judgement import judge
from holdfast.model.measurements import Measurement


def row(**figures: float) -> Measurement:
    return Measurement(row=2, unit="u", rate_per_s=1.0, **figures)  # type: ignore[arg-type]


@pytest.mark.parametrize("latency_s, holds", [(1.99, True), (2.0, True), (2.01, False)])
def test_the_bounded_statistic_decides_where_it_is_published(latency_s: float, holds: bool) -> None:
    judgement = judge(row(latency_p95_s=latency_s, latency_p99_s=9.0), parse_slo("p95<2s"))

    assert judgement.holds is holds
    assert f"latency p95 {latency_s:g} s {'within' if holds else 'above'} 2 s" in judgement.judged


@pytest.mark.parametrize(
    "figures, slo, said",
    [
        # A higher percentile within the bound proves the lower one.
        (
            {"latency_p99_s": 1.5},
            "p95<2s",
            "latency p99 1.5 s within 2 s (p95 is not published; p99 is at least as high)",
        ),
        # The nearest one proves it with the least excess.
        ({"latency_p99_s": 3.0, "latency_p95_s": 1.5}, "p90<2s", "latency p95 1.5 s within 2 s (p90 is not published"),
        # The mean proves nothing of the tail, and that is said.
        (
            {"latency_avg_s": 1.5},
            "p95<2s",
            "latency avg 1.5 s within 2 s (p95 is not published; avg stands in and proves",
        ),
        # Nor does a percentile prove a mean, which one outlier can carry past any of them.
        (
            {"latency_p99_s": 1.5},
            "avg<2s",
            "latency p99 1.5 s within 2 s (avg is not published; p99 stands in and proves",
        ),
        (
            {"ttft_p95_s": 0.3},
            "ttft p90<1s",
            "ttft p95 0.3 s within 1 s (p90 is not published; p95 is at least as high)",
        ),
    ],
)
def test_a_stand_in_is_named_with_what_it_proves(figures: dict[str, float], slo: str, said: str) -> None:
    judgement = judge(row(**figures), parse_slo(slo))

    assert judgement.holds
    assert judgement.judged[0].startswith(said)


def test_a_stand_in_above_the_bound_breaks_it() -> None:
    assert not judge(row(latency_p99_s=2.5), parse_slo("p95<2s")).holds


def test_what_the_row_does_not_speak_to_is_listed() -> None:
    judgement = judge(row(latency_p95_s=1.0), parse_slo("p95<2s, ttft p95<1s, itl p99<50ms, utilization<80%"))

    assert judgement.holds
    assert judgement.unjudged == ("ttft p95", "itl p99", "error rate", "utilization")


def test_a_row_without_any_latency_is_not_judged_on_one() -> None:
    judgement = judge(row(error_rate=0.001), parse_slo("p95<2s"))

    assert not judgement.latency_seen
    assert judgement.unjudged == ("latency p95",)


@pytest.mark.parametrize(
    "figures, broken",
    [
        ({"error_rate": 0.02}, "error rate 0.02 above 0.01"),
        ({"utilization": 0.9}, "utilization 0.9 above 0.8"),
        ({"itl_p95_s": 0.08}, "itl p95 0.08 s above 0.05 s"),
    ],
)
def test_errors_utilisation_and_token_gaps_break_it_too(figures: dict[str, float], broken: str) -> None:
    judgement = judge(row(latency_p95_s=1.0, **figures), parse_slo("p95<2s, itl p95<50ms, utilization<80%"))

    assert judgement.broken == (broken,)
