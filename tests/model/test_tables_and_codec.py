"""Tables as people read them, and values through JSON."""

import json
import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.model import codec
from holdfast.model.errors import InputError, OutputError
from holdfast.model.findings import Finding, Severity
from holdfast.model.stages import BreakingPoint, Cause, LoadCurve
from holdfast.model.tables import Column, Table

cells = st.one_of(st.none(), st.text(max_size=5), st.integers(-1000, 1000), st.floats(-1e6, 1e6))


@pytest.mark.parametrize(
    "cell, digits, text",
    [
        (None, 2, ""),
        ("words", 2, "words"),
        (1910, None, "1,910"),
        (1910.0, 0, "1,910"),
        (0.00722, 5, "0.00722"),
        (1.23456, None, "1.235"),
        (16.288, 2, "16.29"),
    ],
)
def test_a_cell_is_written_with_the_digits_of_its_column(
    cell: str | float | int | None, digits: int | None, text: str
) -> None:
    assert Table("t", (Column("a", "s", digits),), ((cell,),)).text(0, 0) == text


def test_a_heading_carries_its_unit() -> None:
    assert [Column("price", "USD/h").heading, Column("unit").heading] == ["price [USD/h]", "unit"]


def test_a_row_of_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match="a row of 't' has 2 cells for 1 columns"):
        Table("t", (Column("a"),), ((1, 2),))


def test_a_column_is_found_by_name() -> None:
    table = Table("t", (Column("a"), Column("b")), ((1, "x"), (2, None)))

    assert table.column("b") == ("x", None)
    with pytest.raises(KeyError):
        table.column("c")


@given(st.lists(st.tuples(cells, cells), max_size=5))
def test_a_table_read_back_from_json_is_equal(rows: list[tuple[str | float | None, ...]]) -> None:
    table = Table("t", (Column("a", "s", 2), Column("b")), tuple(rows), ("a note",))

    assert codec.loads(Table, codec.dumps(table), where="t.json") == table


def test_enums_become_their_values_and_come_back() -> None:
    finding = Finding("f", 3, "check", Severity.NOTE, "1", "2", "one is not two")

    assert codec.to_jsonable(finding)["severity"] == "note"
    assert codec.loads(Finding, codec.dumps(finding), where="x") == finding


def test_an_infinite_bound_is_null_in_json_and_infinite_again() -> None:
    point = BreakingPoint(4.0, 4.0, math.inf, 0.9, Cause.NONE, "nothing broke it")
    curve = LoadCurve("u", (), point)

    assert json.loads(codec.dumps(curve))["breaking_point"]["high_per_s"] is None
    assert codec.loads(LoadCurve, codec.dumps(curve), where="x") == curve


@dataclass(frozen=True)
class Pair:
    a: int
    b: float


@pytest.mark.parametrize(
    "text, said",
    [
        ("{", "x.json: the file cannot be read as part of a Pair"),
        ('{"a": 1}', "x.json: b cannot be read as part of a Pair (Field required)"),
        ('{"a": "one", "b": 2}', "x.json: a cannot be read as part of a Pair"),
    ],
)
def test_text_of_another_shape_is_refused_with_the_key(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        codec.loads(Pair, text, where="x.json")

    assert str(caught.value).startswith(said)


def test_numbers_that_json_does_not_have_become_null_at_any_depth() -> None:
    assert codec.to_jsonable({"a": [math.nan, {"b": (math.inf, 1.5)}]}) == {"a": [None, {"b": [None, 1.5]}]}


@pytest.mark.parametrize(
    "error, sentence",
    [
        (InputError("it is wrong"), "it is wrong."),
        (InputError("it is wrong", where="f:3"), "f:3: it is wrong."),
        (InputError("it is wrong", where="f:3", mend="mend it"), "f:3: it is wrong; mend it."),
    ],
)
def test_an_error_is_one_sentence_with_place_and_mend(error: InputError, sentence: str) -> None:
    assert str(error) == sentence


def test_a_caller_who_catches_bad_input_catches_bad_output_places_too() -> None:
    with pytest.raises(InputError):
        raise OutputError("the folder cannot be written")
