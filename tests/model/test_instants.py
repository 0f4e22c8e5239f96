"""Moments survive being written and read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.model import instants
from holdfast.model.errors import InputError


@given(st.floats(0, 253402300799))
def test_a_moment_that_is_written_and_read_is_the_same_float(at_s: float) -> None:
    assert instants.unix_s(instants.rfc3339(at_s)) == at_s


@pytest.mark.parametrize(
    ("at_s", "text"),
    [(0.0, "1970-01-01T00:00:00Z"), (1795293000.25, "2026-11-21T20:30:00.25Z"), (1e-7, "1970-01-01T00:00:00.0000001Z")],
)
def test_moments_are_written_in_utc_without_needless_digits(at_s: float, text: str) -> None:
    assert instants.rfc3339(at_s) == text


@pytest.mark.parametrize(
    "text",
    ["2026-11-21T20:30:00z", "2026-11-21T21:30:00+01:00", "2026-11-21t20:30:00.000Z", "2026-11-21T14:30:00-06:00"],
)
def test_the_same_moment_may_be_written_in_many_ways(text: str) -> None:
    assert instants.unix_s(text) == 1795293000.0


@pytest.mark.parametrize(
    "text", ["", "now", "2026-11-21", "2026-11-21T20:30:00", "2026-13-41T20:30:00Z", "2026-11-21T25:00:00Z", "1e9"]
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        instants.unix_s(text)


@pytest.mark.parametrize("at_s", [-1.0, float("nan"), float("inf"), 1e15])
def test_what_is_no_unix_time_is_not_written(at_s: float) -> None:
    with pytest.raises(InputError):
        instants.rfc3339(at_s)
