from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.load import traces
from holdfast.load.traces import Trace
from holdfast.model.errors import InputError

AZURE = """\
TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:17:03.9799600,4808,10
2023-11-16 18:17:04.0319600,3180,8
2023-11-16 18:17:33.4590290,34,12
"""
BURST_1 = """\
Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,472,18,490,Conversation log
45,ChatGPT,1087,230,1317,Conversation log
118,GPT-4,417,0,417,Conversation log
120,GPT-4,417,276,693,API log
"""
BURST_3 = """\
Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type
0.5,a1,3.25,ChatGPT,472,18,490,Conversation log
1.25,,0.5,GPT-4,87,30,117,API log
"""


def read(text: str, most: int | None = None) -> Trace:
    return traces.read(text.splitlines(keepends=True), where="t.csv", most=most)


def test_azures_dates_become_seconds_from_the_first_request() -> None:
    trace = read(AZURE)
    assert trace.starts_s.tolist() == pytest.approx([0, 0.052, 29.479069], abs=1e-6)
    assert trace.tokens_in.tolist() == [4808, 3180, 34]
    assert trace.tokens_out.tolist() == [10, 8, 12]


def test_azures_second_trace_has_a_time_zone() -> None:
    rows = "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:00.5+00:00,1,2\n2024-05-10 01:00:01+01:00,3,4\n"
    assert read(rows).starts_s.tolist() == [0, 0.5]


def test_burstgpts_failed_requests_are_left_out_and_counted() -> None:
    trace = read(BURST_1)
    assert (trace.starts_s.tolist(), trace.tokens_in.tolist()) == ([0, 40, 115], [472, 1087, 417])
    assert trace.left_out == 1


def test_burstgpts_newer_columns_are_found_by_name() -> None:
    trace = read(BURST_3)
    assert (trace.starts_s.tolist(), trace.tokens_out.tolist()) == ([0, 0.75], [18, 30])


def test_rows_out_of_order_are_sorted_with_their_lengths() -> None:
    trace = read("timestamp,input_tokens,output_tokens\n3,30,1\n1,10,1\n2,20,1\n")
    assert (trace.starts_s.tolist(), trace.tokens_in.tolist()) == ([0, 1, 2], [10, 20, 30])


def test_a_trace_can_be_sped_up_and_cut_short() -> None:
    trace = read(BURST_1)
    assert trace.sped(2).starts_s.tolist() == [0, 20, 57.5]
    assert trace.cut(40).tokens_in.tolist() == [472]
    assert len(read(BURST_1, most=2)) == 2


def test_the_rate_of_a_trace_is_its_requests_over_its_duration() -> None:
    assert len(read(BURST_1)) / read(BURST_1).duration_s == pytest.approx(2 / 115)
    assert read(BURST_1, most=1).duration_s == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "t.csv:1: the first line names no column of timestamp"),
        ("a,b\n", "t.csv:1: the first line names no column of timestamp"),
        ("timestamp,input tokens\n", "t.csv:1: the first line names no column of output tokens"),
        (AZURE.replace("3180", "many"), "t.csv:3: 'many' is not a number of tokens; mend or remove the row"),
        (AZURE.replace("3180", "-1"), "t.csv:3: '-1' is not a number of tokens"),
        (AZURE.replace("3180", "nan"), "t.csv:3: 'nan' is not a number of tokens"),
        (AZURE.replace("3180", "1.5"), "t.csv:3: '1.5' is not a number of tokens"),
        (AZURE.replace("3180,8", "3180"), "t.csv:3: the row is too short"),
        (AZURE.replace("2023-11-16 18:17:04.0319600", "soon"), "t.csv:3: 'soon' is neither seconds nor a date"),
        (BURST_1.replace("45,", "inf,"), "t.csv:3: the timestamp 'inf' is not finite"),
        (BURST_1.splitlines()[0] + "\n", "t.csv: the trace has no request"),
        (AZURE + f'"{"x" * 200_000}"\n', "t.csv:5: this is not CSV (field larger"),
    ],
)
def test_a_bad_trace_is_one_sentence_with_file_and_line(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read(text)
    assert said in str(caught.value)


ROWS = st.lists(st.tuples(st.floats(0, 1e7), st.integers(1, 10_000), st.integers(1, 10_000)), min_size=1, max_size=50)


@given(rows=ROWS)
def test_whatever_was_recorded_is_replayed_in_order(rows: list[tuple[float, int, int]]) -> None:
    trace = read("timestamp,input tokens,output tokens\n" + "".join(f"{s!r},{n},{m}\n" for s, n, m in rows))
    assert trace.starts_s[0] == 0
    assert np.all(np.diff(trace.starts_s) >= 0)
    assert sorted(zip(trace.tokens_in, trace.tokens_out, strict=True)) == sorted((n, m) for _, n, m in rows)
    assert len(trace.times_s(trace.duration_s, 0)) == len(rows)


@given(text=st.text(alphabet='0123456789,.:- \n"nae', max_size=200))
def test_no_text_is_more_than_one_sentence(text: str) -> None:
    try:
        read("timestamp,input tokens,output tokens\n" + text)
    except InputError as error:
        assert "\n" not in str(error)


@pytest.mark.skipif("HOLDFAST_TRACES" not in os.environ, reason="HOLDFAST_TRACES names no folder of published traces")
def test_the_published_traces_are_read_whole() -> None:
    files = sorted(Path(os.environ["HOLDFAST_TRACES"]).glob("*.csv"))
    for file in files:
        with file.open(encoding="utf-8", newline="") as lines:
            trace = traces.read(lines, where=str(file))
        with file.open(encoding="utf-8", newline="") as lines:
            assert len(trace) + trace.left_out == sum(1 for line in lines if line.strip()) - 1
    print(f"{len(files)} traces checked")  # noqa: T201
    assert files
