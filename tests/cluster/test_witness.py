"""The witness of the scenarios says so when a fleet is not as it must be."""

from __future__ import annotations

from cluster.witness import Moment, Witness
from holdfast.kube.connection import Connection


def witness(*moments: Moment, now_s: float = 100.0) -> Witness:
    found = Witness(Connection("http://api.test"), lambda: now_s, "sd21", "inference")
    found.moments = list(moments)
    return found


def test_weights_that_follow_the_replicas_are_right() -> None:
    seen = witness(
        Moment(0.0, {"a": 60, "b": 40}, {"a": 1, "b": 1}),
        Moment(10.0, {"a": 60, "b": 40}, {"a": 0, "b": 1}),
        Moment(10.5, {"a": 0, "b": 100}, {"a": 0, "b": 1}),
    )
    assert seen.wrong(reaction_s=1.0) == []
    assert seen.exposures() == [("a", 10.0, 10.5)]


def test_weight_that_stays_on_an_empty_pool_is_told_also_when_it_still_does() -> None:
    seen = witness(Moment(10.0, {"a": 60, "b": 40}, {"a": 0, "b": 1}))
    assert seen.wrong(reaction_s=1.0) == ["a had weight and no replica for 90.00 s from 10.00 on"]


def test_nothing_can_be_done_where_no_pool_has_a_replica() -> None:
    assert witness(Moment(10.0, {"a": 60, "b": 40}, {"a": 0, "b": 0})).wrong(reaction_s=1.0) == []


def test_weight_for_a_pool_that_has_long_been_empty_is_told_at_once() -> None:
    seen = witness(
        Moment(0.0, {"a": 0, "b": 100}, {"a": 0, "b": 1}),
        Moment(50.0, {"a": 10, "b": 90}, {"a": 0, "b": 1}),
        Moment(50.2, {"a": 0, "b": 100}, {"a": 0, "b": 1}),
    )
    assert seen.wrong(reaction_s=1.0) == ["a was raised to 10 at 50.00 though it had no replica"]


def test_weights_of_another_sum_are_told() -> None:
    seen = witness(Moment(0.0, {"a": 60, "b": 60}, {"a": 1, "b": 1}))
    assert seen.wrong(reaction_s=1.0) == ["the weights are {'a': 60, 'b': 60} at 0.00, and do not sum to 100"]
