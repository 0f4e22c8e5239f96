"""What a person sees while load is sent."""

from __future__ import annotations

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.cli import live
from holdfast.cli.live import Watched
from holdfast.load.tally import Glance

NAN = math.nan
NOTHING = Glance(NAN, 0.0, 0, NAN, NAN, NAN, NAN, 0.0, NAN)
BUSY = Glance(12.5, 12.1, 42, 0.052, 1.25, 0.02, 0.3, 1234.0, 0.0012, {"timeout": 3, "rejected": 1200})

seconds = st.one_of(st.just(math.nan), st.floats(0, 9999))
glances = st.builds(
    Glance,
    st.one_of(st.just(math.nan), st.floats(0, 1e6)),
    st.floats(0, 1e6),
    st.integers(0, 99_999),
    seconds,
    seconds,
    seconds,
    seconds,
    st.floats(0, 9e6),
    st.floats(0, 999),
    st.dictionaries(
        st.sampled_from(["timeout", "rejected", "connect", "http_error", "malformed"]), st.integers(1, 10**9)
    ),
)


@given(st.lists(st.tuples(st.text("abcdefgh-", max_size=40), glances), min_size=1, max_size=5), st.floats(0, 1e6))
def test_the_table_fits_eighty_columns(rows: list[tuple[str, Glance]], elapsed_s: float) -> None:
    assert max(map(len, live.table(rows, elapsed_s, math.inf).splitlines())) <= 80


def test_each_target_has_a_row_and_those_with_errors_a_line() -> None:
    assert live.table([("A", BUSY), ("B", NOTHING)], 65.0, 300.0).splitlines() == [
        "1:05 of 5:00; the last 10 s:",
        "           offered  served     in latency            TTFT          tokens    lag",
        "               1/s     1/s flight     p50     p95     p50     p95     1/s    p99",
        "A             12.5    12.1     42   52 ms  1.25 s   20 ms  300 ms    1234   1 ms",
        "B                -       0      0       -       -       -       -       0      -",
        "A: errors: timeout 3, rejected 1,200",
    ]


def test_a_load_without_end_says_how_to_end_it() -> None:
    assert live.table([("A", BUSY)], 4000.0, math.inf).startswith("1:06:40, until Ctrl-C; the last 10 s:\n")


def test_in_a_log_a_line_says_the_same_in_words() -> None:
    assert live.line("A", BUSY, 40.0) == (
        " 0:40 A: offered 12.5/s, served 12.1/s, in flight 42, p50 52 ms, p95 1.25 s, TTFT p50 20 ms, p95 300 ms, "
        "1234 tokens/s, lag p99 1 ms, errors so far: timeout 3, rejected 1,200"
    )
    assert live.line("", NOTHING, 10.0) == " 0:10 offered -/s, served 0/s, in flight 0"


@pytest.mark.parametrize(("elapsed_s", "text"), [(0.4, "0:00"), (59.9, "0:59"), (60, "1:00"), (3600, "1:00:00")])
def test_a_clock(elapsed_s: float, text: str) -> None:
    assert live.clock(elapsed_s) == text


def test_a_log_gets_a_line_for_each_target_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(live, "_LINE_S", 0.05)

    async def run(*, quiet: bool) -> None:
        async with live.shown([Watched("A", lambda: BUSY), Watched("B", lambda: NOTHING)], 60.0, quiet=quiet):
            await asyncio.sleep(0.5)

    asyncio.run(run(quiet=True))
    assert capsys.readouterr().err == ""
    asyncio.run(run(quiet=False))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 2
    assert lines[0].startswith(" 0:00 A: offered 12.5/s")
    assert lines[1].startswith(" 0:00 B: ")
