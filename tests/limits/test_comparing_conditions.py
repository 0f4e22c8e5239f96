"""Conditions are read as they are written, nonsense is refused with a sentence, and unsure is not broken."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.limits import conditions
from holdfast.limits.change import Change
from holdfast.limits.conditions import Case, Condition
from holdfast.limits.estimates import Estimate
from holdfast.model.comparison import METRICS, Kind, Outcome

TIMES = [name for name, metric in METRICS.items() if metric.kind is Kind.TIME]


def change(name: str, relative: float, error: float) -> Change:
    """A change by the share `relative` of something that was 1."""
    value = math.log1p(relative)
    after = 1 + relative
    own = Estimate(math.log(after), error, 19)
    return Change(METRICS[name], 1.0, after, Estimate(value, error, 19), Estimate(relative, error, 19), own)


def outcome(text: str, *changes: Change) -> Outcome:
    tested = [Case(f"{n}/s", each) for n, each in enumerate(changes)]
    (answer,) = conditions.judge([Condition.parse(text)], tested, 0.95)
    return answer.outcome


@given(
    st.sampled_from(TIMES), st.sampled_from("<>"), st.sampled_from("+-"), st.integers(1, 99), st.sampled_from(["", " "])
)
def test_a_signed_percentage_is_a_change(name: str, way: str, sign: str, percent: int, gap: str) -> None:
    read = Condition.parse(f"{name}{gap}{way}{gap}{sign}{gap}{percent}%")
    assert (read.metric.name, read.above, read.change, read.relative) == (name, way == ">", True, True)
    assert read.bound == pytest.approx((1 if sign == "+" else -1) * percent / 100)


@pytest.mark.parametrize(
    ("text", "change_", "relative", "bound"),
    [
        ("p95 > 800ms", False, False, 0.8),
        ("p95 > +50ms", True, False, 0.05),
        ("throughput < -3%", True, True, -0.03),
        ("throughput < 10/s", False, False, 10.0),
        ("limit < -120/min", True, False, -2.0),
        ("errors > 1%", False, False, 0.01),
        ("errors > +0.5%", True, False, 0.005),
        ("errors > 0%", False, False, 0.0),
        ("ITL.p95 > +5%", True, True, 0.05),
    ],
)
def test_units_are_those_of_the_metric(text: str, change_: bool, relative: bool, bound: float) -> None:
    read = Condition.parse(text)
    assert (read.change, read.relative) == (change_, relative)
    assert read.bound == pytest.approx(bound)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not a condition"),
        ("p95", "is not a condition"),
        ("p95 >", "is not a condition"),
        ("p95 >= +5%", "is not a condition"),
        ("p95 > +-5%", "is not a condition"),
        ("p9 > +5%", "there is no metric 'p9'; did you mean p99?"),
        ("p95 > 5%", "of what?"),
        ("p95 > +5", "has no unit"),
        ("p95 > +5/s", "is not a unit of a duration"),
        ("throughput < 5ms", "is not a unit of a rate"),
        ("p95 > +nan%", "is not a condition"),
        ("p95 < -100%", "nothing falls by 100%"),
        ("p95 > 0ms", "never below 0"),
        ("errors > 200%", "more than 100%"),
        ("p95 > +1e9%", "is not a percentage"),
        ("p95 > +999999999%", "too large"),
    ],
)
def test_nonsense_is_refused_with_a_sentence(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        Condition.parse(text)


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused_and_never_breaks(text: str) -> None:
    try:
        read = Condition.parse(text)
    except ValueError as error:
        assert str(error)
    else:
        assert math.isfinite(read.bound)


def test_a_change_surely_beyond_the_bound_breaks_it() -> None:
    assert outcome("p95 > +5%", change("p95", 0.2, 0.01)) is Outcome.BROKEN


def test_a_change_surely_within_the_bound_holds_it() -> None:
    assert outcome("p95 > +5%", change("p95", 0.0, 0.01)) is Outcome.HELD


def test_a_change_that_may_be_on_either_side_is_unsure() -> None:
    assert outcome("p95 > +5%", change("p95", 0.06, 0.02)) is Outcome.UNSURE


def test_a_fall_beyond_the_bound_breaks_it_and_a_rise_does_not() -> None:
    assert outcome("throughput < -3%", change("throughput", -0.1, 0.01)) is Outcome.BROKEN
    assert outcome("throughput < -3%", change("throughput", 0.1, 0.01)) is Outcome.HELD


def test_one_level_that_breaks_it_is_enough() -> None:
    assert outcome("p95 > +5%", change("p95", 0.0, 0.01), change("p95", 0.5, 0.01)) is Outcome.BROKEN


def test_the_figure_itself_is_held_against_a_bound_without_a_sign() -> None:
    assert outcome("p95 > 1.5s", change("p95", 1.0, 0.01)) is Outcome.BROKEN
    assert outcome("p95 > 2.5s", change("p95", 1.0, 0.01)) is Outcome.HELD


def test_what_cannot_be_told_is_unsure() -> None:
    unknown = Change(METRICS["p95"], 1.0, 2.0, why="12 answers of the 100 that it takes")
    assert outcome("p95 > +5%", unknown) is Outcome.UNSURE
    assert outcome("p95 > +5%") is Outcome.UNSURE


def test_of_twenty_levels_one_that_is_beyond_by_chance_does_not_break_it() -> None:
    """One-sided 2 % alone would be enough for 95 %; among twenty levels it is to be expected."""
    by_chance = change("p95", 0.05 + 0.0231, 0.01)
    alone = outcome("p95 > +5%", by_chance)
    assert alone is Outcome.BROKEN
    assert outcome("p95 > +5%", by_chance, *[change("p95", 0.0, 0.01)] * 19) is Outcome.UNSURE
