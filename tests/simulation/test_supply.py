"""What can be had, from limits and from files."""

from __future__ import annotations

import pytest

from holdfast.model.errors import InputError
from holdfast.simulation import supply
from holdfast.simulation.supply import ENDLESS, Bound, Supply


def test_the_tightest_bound_counts() -> None:
    found = Supply()
    found.bound("zone", Bound(frozenset({(0, 0), (1, 0)}), 5))
    found.bound("pool", Bound(frozenset({(0, 0), (0, 1)}), 4))
    standing = [[2, 1], [1]]
    assert found.free(0, 0, standing) == 1
    assert found.free(0, 1, standing) == 1
    assert found.free(1, 0, standing) == 2
    found.unbound("pool")
    assert found.free(0, 1, standing) == ENDLESS


def test_more_than_the_bound_stands_and_nothing_is_free() -> None:
    found = Supply()
    found.bound("pool", Bound(frozenset({(0, 0)}), 1))
    assert found.free(0, 0, [[3]]) == 0


def test_what_a_pool_could_have_adds_up_over_its_zones() -> None:
    found = Supply()
    found.bound("z1", Bound(frozenset({(0, 0)}), 2))
    assert found.allowed(0, 2) == ENDLESS
    found.bound("z2", Bound(frozenset({(0, 1)}), 3))
    assert found.allowed(0, 2) == 5
    found.bound("pool", Bound(frozenset({(0, 0), (0, 1)}), 4))
    assert found.allowed(0, 2) == 4


def test_a_csv_gives_changes_in_order_of_time() -> None:
    text = "time,zone,available\n2024-01-01T00:00,us-west-2a,4\n2024-01-01T00:01,us-west-2a,0\n"
    changes = supply.read(text.splitlines(), where="f")
    assert [(change.at_s, change.scope.zone, change.available) for change in changes] == [
        (0.0, "us-west-2a", 4),
        (60.0, "us-west-2a", 0),
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "f:1: the first line does not name the columns"),
        ("time_s,available\n0,1\n", "does not name the columns"),
        ("time_s,pool,available\n", "the file has no row"),
        ("time_s,pool,available\n0,a,-1\n", "f:2: '-1' is not a number of replicas"),
        ("time_s,pool,available\n0,a,nan\n", "'nan' is not a number of replicas"),
        ("time_s,pool,available\nnan,a,1\n", "'nan' is not a time"),
        ("time_s,pool,available\nsoon,a,1\n", "'soon' cannot be read"),
        ("time_s,pool,available\n5,a,1\n4,a,1\n", "f:3: the row is earlier"),
        ("time_s,pool,available\n5,,1\n", "neither pool nor zone"),
    ],
)
def test_a_wrong_csv_is_told_in_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        supply.read(text.splitlines(), where="f")
