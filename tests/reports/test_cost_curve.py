"""The cost curve: as a table of the mixes, as stacked bands, as a page."""

import math

import pytest

from holdfast.model.cost_curve import CostCurve, CostPoint, PoolCost
from holdfast.reports import contents, palette, plan_tables
from holdfast.reports.cost_chart import cost_curve_chart


def point(rate: float, cheap: int, dear: int) -> CostPoint:
    pools = (PoolCost("cheap", cheap, cheap * 1.0), PoolCost("dear", dear, dear * 3.0), PoolCost("never", 0, 0.0))
    return CostPoint(rate, cheap * 1.0 + dear * 3.0, 0.0, pools)


CURVE = CostCurve(
    "pair",
    "some/model",
    (
        point(1.0, 1, 0),
        point(2.0, 1, 0),
        point(4.0, 1, 1),
        CostPoint(8.0, math.nan, 1.0, (), "All pools at maxReplicas carry 5/s of 8/s."),
    ),
)


def test_rates_with_the_same_mix_are_one_row() -> None:
    table = plan_tables.cost_curve(CURVE)

    assert table.column("up to") == (2.0, 4.0, 8.0)
    assert table.column("cost") == (1.0, 4.0, None)
    assert table.column("of a million requests")[0] == pytest.approx(1 / 7200 * 1e6)
    assert (table.column("cheap"), table.column("dear")) == ((1, 1, None), (0, 1, None))
    assert "never" not in [column.name for column in table.columns]
    assert table.notes[-1] == "Where there is no cost, no plan holds. All pools at maxReplicas carry 5/s of 8/s."


def test_a_long_table_is_thinned_to_its_last_row_and_says_so() -> None:
    long = CostCurve("pair", "some/model", tuple(point(float(n), n, 0) for n in range(1, 11)))

    table = plan_tables.cost_curve(long, most_rows=4)

    assert table.column("up to") == (1.0, 4.0, 7.0, 10.0)
    assert "every 3 rows one is shown" in table.notes[0]


def test_the_bands_are_the_pools_that_have_replicas_and_end_where_no_plan_holds() -> None:
    chart = cost_curve_chart(CURVE, palette.assign(CURVE.units))

    cheap, dear = chart.figure.data
    assert (cheap.name, list(cheap.x), list(cheap.y)) == ("cheap", [1.0, 2.0, 4.0], [1.0, 1.0, 1.0])
    assert list(dear.y) == [0.0, 0.0, 3.0]
    assert {trace.stackgroup for trace in chart.figure.data} == {"cost"}
    assert chart.summary == (
        "The cheapest plan goes from $1.00/h at 1 requests/s to $4.00/h at 4 requests/s. "
        "Above 4 requests/s no plan holds."
    )
    assert chart.data.rows[-1] == (8.0, None, None, None, None, None, None)


def test_a_curve_that_holds_nowhere_is_a_page_without_a_figure() -> None:
    nothing = CostCurve("pair", "some/model", CURVE.points[-1:])

    made = contents.cost_curve_page(nothing)

    assert made.lead == "No rate is held."


def test_the_page_has_the_figure_and_the_table() -> None:
    made = contents.cost_curve_page(CURVE, provenance=("here",))

    (section,) = made.sections
    assert [type(block).__name__ for block in section.blocks] == ["Chart", "Table"]
    assert made.provenance == ("here",)
