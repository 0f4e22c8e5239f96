"""Terminal text: numbers whole and right-aligned in any width, hostile text harmless."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from holdfast.model.plan import Plan, PlanStatus
from holdfast.model.stages import BreakingPoint, Cause, LoadCurve, Stage, Summary
from holdfast.model.tables import Column, Table
from holdfast.reports import cells, plan_tables, tabulate, terminal

GOLDEN = Path(__file__).parent / "golden"


def shown(table: Table, width: int = terminal.WIDTH) -> str:
    return terminal.text(terminal.table(table, width), width)


def test_a_table_of_stages_reads_as_stored(curves: tuple[LoadCurve, ...]) -> None:
    assert shown(tabulate.stages(curves[0])) == (GOLDEN / "stages.txt").read_text(encoding="utf-8")


def test_token_times_and_goodput_are_shown_where_they_were_measured(make_stage: Callable[..., Stage]) -> None:
    streamed = Summary(100, 0.1, 0.1, 0.15, 0.2, 0.3, 0.4)
    plain = shown(tabulate.stages(LoadCurve("u", (make_stage(),))))
    full = make_stage(ttft=streamed, tpot=streamed, itl=streamed, goodput_per_s=0.75, tokens_out_per_s=50.0)
    text = shown(tabulate.stages(LoadCurve("u", (full,))))
    assert max(map(len, text.splitlines())) <= 80
    for heading in ("goodput", "TTFT", "TPOT", "ITL"):
        assert heading in text
        assert heading not in plain
    assert "0.75" in text
    assert "warm-up" in plain


def test_a_plan_reads_as_stored(plan: Plan) -> None:
    assert terminal.text(terminal.plan(plan)) == (GOLDEN / "plan.txt").read_text(encoding="utf-8")


WORDS = st.text("abcdefg -", min_size=1, max_size=60).map(str.strip).filter(bool)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    numbers = draw(st.integers(1, 9))
    columns = (Column("unit"), *(Column(f"measure {i}", "requests/s", 2) for i in range(numbers)), Column("why"))
    row = st.tuples(st.text("abc-", min_size=1, max_size=20), *[st.floats(-1e6, 1e6)] * numbers, WORDS)
    return Table("a table", columns, tuple(draw(st.lists(row, min_size=1, max_size=4))))


@given(tables(), st.integers(40, 140))
def test_no_number_is_cut_and_no_line_too_long_in_any_width(table: Table, width: int) -> None:
    text = shown(table, width)
    assert max(map(cell_len, text.splitlines())) <= width
    words = text.split()
    for row in range(len(table.rows)):
        for column in range(1, len(table.columns) - 1):
            assert cells.text(table, row, column) in words


def test_numbers_line_up_at_their_right_under_their_heading() -> None:
    table = Table("t", (Column("unit"), Column("rate", "1/s", 1)), (("a", 1.5), ("b", 1234.0), ("c", None)))
    assert (
        shown(table) == "t\nunit  rate [1/s]\n────────────────\na            1.5\nb        1,234.0\nc              –\n"
    )


def test_a_table_too_wide_is_split_with_its_first_column_repeated() -> None:
    columns = (Column("unit"), *(Column(f"measure{i}", "requests/s") for i in range(4)))
    text = shown(Table("t", columns, (("a", 1, 2, 3, 4),)), 45)
    assert text.count("unit") == 2
    assert max(map(len, text.splitlines())) <= 45


def test_a_table_too_wide_even_for_that_is_stacked() -> None:
    table = Table("t", (Column("unit"), Column("tokens", "tokens/USD", 0)), (("a-rather-long-name", 123456.0),))
    assert shown(table, 24) == "t\na-rather-long-name\n  tokens         123,456\n  [tokens/USD]\n"


def test_notes_stand_below_and_a_table_without_rows_says_so() -> None:
    assert shown(Table("t", (Column("x"),), ((1,),), ("a note",))).endswith("a note\n")
    assert "nothing to show" in shown(Table("t", (Column("x"),), ()))


def test_text_from_outside_cannot_steer_the_terminal_or_be_taken_for_markup() -> None:
    text = shown(Table("t", (Column("unit"), Column("x")), (("\x1b[31mred\x07\n[bold]b[/]", 1),)))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[bold]b[/]" in text


def test_a_breaking_point_states_rate_interval_cause_and_evidence(curves: tuple[LoadCurve, ...]) -> None:
    assert terminal.text(terminal.breaking_point(curves[0]), 100) == (
        "inf2-neuron holds 1.78 requests/s; breaks between 1.78 and 1.887 by latency, 96% confident\n"
        "  p95 was 1.03 s against a bound of 0.90 s at 1.89 requests/s\n"
    )


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        (None, "u: no breaking point was searched for"),
        (BreakingPoint(8, 8, math.inf, 0.5, Cause.NONE, "w"), "u holds 8 requests/s; nothing broke it up to there"),
        (BreakingPoint(0, 0, 1, 0.9, Cause.ERRORS, "w"), "u does not hold even the lowest rate tried"),
    ],
)
def test_a_breaking_point_that_is_none_is_said_to_be(
    make_stage: Callable[..., Stage], point: BreakingPoint | None, expected: str
) -> None:
    assert expected in terminal.text(terminal.breaking_point(LoadCurve("u", (make_stage(),), point)))


def test_terminal_text_needs_no_plotly() -> None:
    script = "import sys, holdfast.reports.terminal; sys.exit('plotly' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == 0


def test_an_infeasible_plan_opens_with_it(plan: Plan) -> None:
    short = dataclasses.replace(plan, status=PlanStatus.INFEASIBLE, pools=(), reasons=("3 requests/s are missing",))
    assert terminal.text(terminal.plan(short)).startswith(
        "infeasible: no plan of these units holds 20 requests/s\n- 3 requests/s are missing\n"
    )


def test_the_pools_of_an_infeasible_plan_have_no_columns_of_traffic(plan: Plan) -> None:
    columns = [
        {column.name for column in plan_tables.pools(dataclasses.replace(plan, status=status)).columns}
        for status in PlanStatus
    ]
    assert columns[0] - columns[1] == {"weight", "expected", "filled to"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (0.012345, "0.01235"),
        (9999.4, "9999"),
        (123456.7, "123,457"),
        (1234567, "1,234,567"),
        ("x", "x"),
    ],
)
def test_cells_are_written_as_people_read_them(value: float | int | str | None, expected: str) -> None:
    assert cells.show(value, Column("c")) == expected
