"""Checks that find what is wrong, and stay silent on what is only rounded."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.auditing import audit_rows, derived, held, littles_law, tokens
from holdfast.model.findings import Severity
from holdfast.model.fleet import parse_slo
from holdfast.model.measurements import Measurement

ROW = Measurement(row=5, unit="u", rate_per_s=2.0, latency_avg_s=5.0, concurrency=10, price_usd_per_h=1.2)


@pytest.mark.parametrize("concurrency, latency_s, think_s", [(10, 5.0, None), (10, 4.6, None), (10, 3.0, 2.0)])
def test_a_row_in_keeping_with_littles_law_is_not_found(
    concurrency: int, latency_s: float, think_s: float | None
) -> None:
    row = replace(ROW, concurrency=concurrency, latency_avg_s=latency_s, think_time_s=think_s)

    assert not littles_law.littles_law([row], "m.csv").findings


@pytest.mark.parametrize(
    "latency_s, severity",
    [
        (4.0, Severity.SUSPICIOUS),  # 8 of 10 in flight: the client did not keep the load up
        (6.0, Severity.IMPOSSIBLE),  # 12 in flight where 10 clients wait: nobody sent the other two
    ],
)
def test_a_row_against_littles_law_is_found_with_its_figures(latency_s: float, severity: Severity) -> None:
    (finding,) = littles_law.littles_law([replace(ROW, latency_avg_s=latency_s)], "m.csv").findings

    assert (finding.row, finding.severity) == (5, severity)
    assert finding.found == f"{2 * latency_s:g} in flight"
    assert finding.expected == "10 in flight"


@pytest.mark.parametrize(
    "rate_per_s, likely",
    [
        (0.0, "Nothing was completed"),
        (0.08, "The concurrency is another run's"),
        (1.2, "The level was too short"),
        (4.0, "Rate and latency are of different windows"),
        (120.0, "The rate is per minute and labelled per second."),
    ],
)
def test_the_likeliest_reason_is_that_of_how_far_it_is_off(rate_per_s: float, likely: str) -> None:
    (finding,) = littles_law.littles_law([replace(ROW, rate_per_s=rate_per_s)], "m.csv").findings

    assert finding.likely.startswith(likely)


@pytest.mark.parametrize(
    "rate_per_s, likely",
    [(120.0, "The requests are per minute and labelled per second."), (1 / 30, "The tokens are per minute")],
)
def test_of_tokens_and_requests_the_one_with_the_wrong_period_is_named(rate_per_s: float, likely: str) -> None:
    row = replace(ROW, rate_per_s=rate_per_s, output_tokens=100, output_tokens_per_s=200)

    assert tokens.token_count([row], "m.csv").findings[0].likely.startswith(likely)


def test_a_row_that_lacks_a_figure_is_not_judged_by_littles_law() -> None:
    assert not littles_law.littles_law([replace(ROW, concurrency=None), replace(ROW, latency_avg_s=None)], "m").findings


@given(
    st.sampled_from([1.0, 60.0, 3600.0, 3.6, 3.6e-3]),
    st.lists(st.tuples(st.floats(0.1, 50), st.floats(0.1, 50)), min_size=1, max_size=6),
)
def test_a_right_cost_of_inference_is_not_found_in_whichever_unit_it_is_printed(
    divisor: float, figures: list[tuple[float, float]]
) -> None:
    rows = [
        replace(ROW, rate_per_s=rate, price_usd_per_h=price, cost_of_inference=round(price / rate / divisor, 9))
        for rate, price in figures
    ]

    assert not derived.cost_of_inference([row for row in rows if row.cost_of_inference], "m.csv").findings


@pytest.mark.parametrize(
    "printed, severity",
    [
        (0.01001, Severity.NOTE),  # one in the last digit: rounded the wrong way
        (0.01002, Severity.IMPOSSIBLE),
        (0.0099, Severity.IMPOSSIBLE),
    ],
)
def test_a_wrong_cost_of_inference_is_found_by_the_digits_that_the_column_prints(
    printed: float, severity: Severity
) -> None:
    # 1.2 USD/h over 120 requests/min is 0.01; the third row shows that the column has five decimals.
    rows = [replace(ROW, cost_of_inference=0.01), replace(ROW, row=6, cost_of_inference=printed)]
    rows.append(replace(ROW, row=7, price_usd_per_h=1.20012, cost_of_inference=0.01000))
    rows.append(replace(ROW, row=8, price_usd_per_h=1.2012, cost_of_inference=0.01001))

    (finding,) = derived.cost_of_inference(rows, "m.csv").findings

    assert (finding.row, finding.severity, finding.expected) == (6, severity, "0.01")
    assert finding.message.endswith("is 0.01 USD/h per request/min.")


def test_tokens_that_were_not_counted_as_asked_are_found_once_per_unit() -> None:
    rows = [
        replace(ROW, row=2, output_tokens=100, output_tokens_per_s=250),
        replace(ROW, row=3, output_tokens=100, output_tokens_per_s=260),
        replace(ROW, row=4, output_tokens=100, output_tokens_per_s=205),
    ]

    (finding,) = tokens.token_count(rows, "m.csv").findings

    assert finding.row == 2
    assert finding.found == "125 to 130 tokens per request"
    assert finding.message.startswith("2 rows of u")


@pytest.mark.parametrize("latencies, severity", [((1.0, 3.0), Severity.NOTE), ((3.0, 4.0), Severity.SUSPICIOUS)])
def test_rows_that_break_the_slo_are_found_once_per_unit(latencies: tuple[float, ...], severity: Severity) -> None:
    rows = [replace(ROW, row=n, latency_avg_s=latency_s) for n, latency_s in enumerate(latencies, 2)]

    (finding,) = held.slo(rows, parse_slo("avg<2s"), "m.csv").findings

    assert finding.severity is severity
    assert finding.expected == "avg<2s, errors<1%"


def test_all_checks_run_on_one_file() -> None:
    row = replace(ROW, latency_avg_s=4.0, output_tokens=100, output_tokens_per_s=250, cost_of_inference=0.0123)

    checks = {finding.check for finding in audit_rows([row], parse_slo("avg<2s"), "m.csv")}

    assert checks == {"cost-of-inference", "littles-law", "token-count", "slo"}
