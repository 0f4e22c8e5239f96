from __future__ import annotations

import email.utils
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.load import backoff


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"3", 3.0),
        (b" 0.5 ", 0.5),
        (b"86400", 60.0),
        (b"-1", 0.0),
        (b"", 0.0),
        (b"soon", 0.0),
        (b"inf", 0.0),
        (email.utils.formatdate(1000.0 + 20, usegmt=True).encode(), 20.0),
        (email.utils.formatdate(1000.0 - 20, usegmt=True).encode(), 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date_within_a_minute(value: bytes, seconds: float) -> None:
    assert backoff.retry_after_s(value, 1000.0) == pytest.approx(seconds)


@given(st.binary(max_size=60))
def test_whatever_a_server_says_is_a_wait_of_at_most_a_minute(value: bytes) -> None:
    wait_s = backoff.retry_after_s(value, 1e9)
    assert math.isfinite(wait_s)
    assert 0 <= wait_s <= 60
