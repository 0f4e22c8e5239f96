"""Numbers with units: read, refused, written and read again."""

from collections.abc import Callable

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.model import fields, quantities

Read = Callable[[object], float]


@pytest.mark.parametrize(
    "read, text, value",
    [
        (quantities.duration_s, "900ms", 0.9),
        (quantities.duration_s, "0.9s", 0.9),
        (quantities.duration_s, " 5 min ", 300.0),
        (quantities.duration_s, "1h", 3600.0),
        (quantities.duration_s, "250us", 0.00025),
        (quantities.rate_per_s, "12/s", 12.0),
        (quantities.rate_per_s, "105/min", 1.75),
        (quantities.rate_per_s, "3600/h", 1.0),
        (quantities.share, "80%", 0.8),
        (quantities.share, "0.5 %", 0.005),
        (quantities.price_usd_per_h, "$1.006/h", 1.006),
        (quantities.price_usd_per_h, "1.006 USD/h", 1.006),
    ],
)
def test_a_quantity_is_read_in_any_of_its_units(read: Read, text: str, value: float) -> None:
    assert read(text) == pytest.approx(value)


@pytest.mark.parametrize("read", [quantities.duration_s, quantities.rate_per_s, quantities.share])
@pytest.mark.parametrize("bare", [1, 0.9, "0.9"])
def test_a_bare_number_is_refused_with_an_example(read: Read, bare: object) -> None:
    with pytest.raises(ValueError, match=r"has no unit; write a \w+ like"):
        read(bare)


@pytest.mark.parametrize(
    "read, wrong",
    [
        (quantities.duration_s, "12/s"),
        (quantities.rate_per_s, "0.9s"),
        (quantities.share, "0.9s"),
        (quantities.price_usd_per_h, "1.006/h"),
        (quantities.duration_s, "-1s"),
        (quantities.duration_s, "fast"),
        (quantities.duration_s, ""),
        (quantities.duration_s, True),
        (quantities.duration_s, None),
        (quantities.duration_s, ["1s"]),
        (quantities.rate_per_s, "1e999/s"),
        (quantities.share, "101%"),
    ],
)
def test_what_is_no_such_quantity_is_refused(read: Read, wrong: object) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read(wrong)


numbers = st.integers(1, 999_999).map(lambda whole: whole / 1000)


@given(st.integers(1, 100_000))
def test_a_share_in_thousandths_of_a_percent_survives_writing(thousandths: int) -> None:
    value = quantities.share(f"{thousandths / 1000}%")

    assert quantities.share(quantities.format_share(value)) == value


@given(numbers)
def test_a_duration_of_six_digits_survives_writing_to_the_last_float(value: float) -> None:
    assert quantities.duration_s(quantities.format_duration(value)) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize("seconds, text", [(0.25, "250ms"), (1.0, "1s"), (90.0, "90s"), (0.0, "0s"), (0.0005, "0.5ms")])
def test_a_duration_is_written_in_the_unit_that_people_expect(seconds: float, text: str) -> None:
    assert quantities.format_duration(seconds) == text


class _Written(pydantic.BaseModel):
    duration: fields.Duration
    rate: fields.Rate
    share: fields.Share
    price: fields.Price


any_size = st.floats(1e-9, 1e9)


@given(any_size, any_size, st.floats(0, 1), any_size)
def test_a_document_is_written_so_that_it_reads_back_to_the_same_floats(
    duration: float, rate: float, share: float, price: float
) -> None:
    value = _Written.model_construct(duration=duration, rate=rate, share=share, price=price)

    assert _Written.model_validate_json(value.model_dump_json()) == value
