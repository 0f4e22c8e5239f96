"""The tables on figures that can be checked in the head."""

import pytest

from holdfast.model.fleet import parse_slo
from holdfast.model.measurements import Measurement
from holdfast.model.plan import UnitEvidence
from holdfast.planning import tables

SLO = parse_slo("p95<2s")


def known(unit: str, limit_per_s: float, price: float, tokens: float | None = None) -> UnitEvidence:
    return UnitEvidence(unit, limit_per_s, price, 1, tokens, None, "", "")


def row(unit: str, rate: float, price: float | None = 1.0, **figures: float) -> Measurement:
    return Measurement(row=2, unit=unit, rate_per_s=rate, price_usd_per_h=price, **figures)  # type: ignore[arg-type]


def test_cost_is_listed_cheapest_first_in_every_unit_that_people_use() -> None:
    table = tables.cost([known("b", 1.0, 7.2), known("a", 2.0, 3.6, tokens=200)])

    # a: 3.6 USD/h over 7200 requests/h is 500 USD per million; 200 x 3600 / 3.6 tokens per dollar; 3.6 over 120/min.
    assert table.rows[0] == pytest.approx(("a", 2.0, 3.6, 500.0, 200_000.0, 2.0 / 3.6, 0.03))
    assert table.column("unit") == ("a", "b")
    assert table.column("tokens per USD") == (200_000.0, None)


def test_adjusted_throughput_is_cut_to_the_mean_of_the_limits() -> None:
    table = tables.adjusted_throughput([known("a", 5.0, 1), known("b", 1.0, 1)])

    assert table.column("adjusted") == (3.0, 1.0)
    assert table.column("adjusted per minute") == (180.0, 60.0)


def test_the_peak_is_of_tokens_where_all_rows_state_them_else_of_requests() -> None:
    with_tokens = [row("a", 9, output_tokens_per_s=10.0), row("a", 1, price=2.0, output_tokens_per_s=50.0)]

    assert tables.peak(with_tokens).column("per dollar") == (25.0,)
    assert tables.peak([*with_tokens, row("b", 4)]).column("peak") == (9, 4)


def test_low_latency_names_the_units_that_have_no_place_in_it() -> None:
    rows = [row("a", 3, latency_p95_s=1.0), row("a", 5, latency_p95_s=2.5), row("b", 9, latency_p95_s=2.5)]

    table = tables.low_latency([*rows, row("c", 9)], "p95", 2.0)

    assert table.column("unit") == ("a",)
    assert table.column("throughput") == (3,)
    assert table.notes == ("Left out, no row within the bound: b, c.",)


def test_a_budget_buys_whole_instances_and_is_never_exceeded() -> None:
    # 0.3 / 0.1 is 2.9999999999999996, and three at 0.1 are within 0.3 all the same.
    table = tables.equal_budget([row("a", 2, price=0.1), row("b", 9, price=0.5), row("c", 9, price=0.3)], 0.3)

    assert table.column("times") == (3, 0, 1)
    assert table.column("throughput") == (6, 0, 9)
    assert table.column("per dollar") == pytest.approx((2 / 0.1, None, 9 / 0.3))


@pytest.mark.parametrize(
    "rows, names",
    [
        ([row("a", 1, price=None)], set()),
        ([row("a", 1), row("b", 1)], {"equal_budget"}),
        ([row("a", 1), row("a", 2)], {"equal_budget", "peak"}),
        ([row("a", 1), row("a", 2, latency_p95_s=1.0)], {"equal_budget", "peak", "low_latency"}),
    ],
)
def test_only_tables_that_the_rows_have_figures_for_are_made(rows: list[Measurement], names: set[str]) -> None:
    assert set(tables.of_rows(rows, SLO)) == names
