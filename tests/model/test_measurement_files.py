"""Measurement CSVs: units converted once, mistakes named with line, column and mend."""

from dataclasses import fields

import pytest

from holdfast.model.errors import InputError
from holdfast.model.measurements import COLUMNS, Measurement, read_measurements


def test_a_row_keeps_its_line_and_leaves_gaps_as_none() -> None:
    text = "# source: somewhere\n\nunit,rate_per_s,concurrency,latency_avg_s,source\na,2.5,,0.9,a table\nb,,8,,\n"

    rows = read_measurements(text, where="m.csv")

    assert rows == (
        Measurement(row=4, unit="a", rate_per_s=2.5, latency_avg_s=0.9, source="a table"),
        Measurement(row=5, unit="b", concurrency=8),
    )


def test_rates_per_minute_are_converted() -> None:
    (row,) = read_measurements("unit,rate_per_min\na,105\n", where="m.csv")

    assert row.rate_per_s == 1.75


def test_the_columns_are_those_of_the_contract() -> None:
    assert set(COLUMNS) == {field.name for field in fields(Measurement)} - {"row", "last_digit"} | {"rate_per_min"}
    assert len(COLUMNS) == len(set(COLUMNS))


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("", "m.csv: the file has no header and no rows"),
        ("# only a comment\n", "m.csv: the file has no header and no rows"),
        ("unit,rate_per_s\n", "m.csv: the file has a header and no rows"),
        ("unit,rate_per_sec\na,1\n", "m.csv:1: unknown column 'rate_per_sec'; the nearest known one is 'rate_per_s'."),
        ("unit,zzz,rate_per_s\na,1,1\n", "m.csv:1: unknown column 'zzz'; known: unit, model"),
        ("unit,unit,rate_per_s\na,b,1\n", "m.csv:1: the column 'unit' stands twice"),
        ("rate_per_s\n1\n", "m.csv:1: the column 'unit' is missing"),
        ("unit,rate_per_s,rate_per_min\na,1,2\n", "m.csv:1: both rate_per_s and rate_per_min are given"),
        ("unit,latency_avg_s\na,1\n", "m.csv:1: there is no rate and no concurrency column"),
        ("unit,rate_per_s\na,1,2\n", "m.csv:2: the row has 3 cells and the header 2"),
        ("unit,rate_per_s\n,1\n", "m.csv:2: the row names no unit"),
        ("unit,rate_per_s\na,\n", "m.csv:2: the row has neither a rate nor a concurrency"),
        ("unit,rate_per_s\na,\"1,000\"\n", "m.csv:2: rate_per_s is '1,000', not a number"),
        ("unit,rate_per_s\na,nan\n", "m.csv:2: rate_per_s is nan; leave the cell empty"),
        ("unit,rate_per_s\na,-1\n", "m.csv:2: rate_per_s is -1 and must be at least 0"),
        ("unit,rate_per_s,latency_avg_s\na,1,0\n", "m.csv:2: latency_avg_s is 0 and must be above 0"),
        ("unit,rate_per_s,tensor_parallel\na,1,0\n", "m.csv:2: tensor_parallel is 0 and must be above 0"),
        ("unit,concurrency\na,1.5\n", "m.csv:2: concurrency is 1.5 and must be a whole number"),
        ("unit,rate_per_s,error_rate\na,1,5\n", "m.csv:2: error_rate is 5 and must be 0..1; write 80% as 0.8."),
    ],
)  # fmt: skip
def test_a_mistake_in_a_file_is_answered_with_line_and_mend(text: str, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        read_measurements(text, where="m.csv")

    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize("statistic, value", [("avg", 1.0), ("p99", 2.0), ("p50", None)])
def test_a_latency_is_found_by_its_statistic(statistic: str, value: float | None) -> None:
    row = Measurement(row=2, unit="a", latency_avg_s=1.0, latency_p99_s=2.0)

    assert row.latency_s(statistic) == value
