"""The parts of a load are disjoint, and together they are the whole."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.load import pacers
from holdfast.load.shards import Shard

COUNTS = st.integers(1, 12)


@given(COUNTS, st.integers(0, 2**31 - 1), st.floats(0.5, 50))
def test_the_shards_of_a_schedule_are_exactly_the_schedule(count: int, seed: int, rate_per_s: float) -> None:
    times_s = pacers.schedule(pacers.Constant(rate_per_s), 10.0, seed, pacers.poisson_points)
    parts = [shard.times(times_s) for shard in Shard().split(count)]
    assert np.array_equal(np.sort(np.concatenate(parts)), times_s)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@given(COUNTS, st.integers(0, 100))
def test_the_shards_of_a_trace_ask_its_lengths_at_its_times(count: int, requests: int) -> None:
    starts_s, lengths = np.arange(float(requests)), [(n, n + 1) for n in range(requests)]
    for shard in Shard().split(count):
        assert [n for n, _ in shard.lengths(lengths)] == shard.times(starts_s).astype(int).tolist()


@given(COUNTS, st.integers(0, 100))
def test_the_shards_of_a_bound_in_flight_keep_it_and_each_can_send(count: int, most: int) -> None:
    bounds = [shard.bound(most) for shard in Shard().split(count)]
    assert sum(bounds) == (max(most, count) if most else 0)
    assert (min(bounds) > 0) == (most > 0)


@given(COUNTS, st.integers(1, 300), st.integers(0, 5000))
def test_the_shards_of_a_closed_loop_have_its_users_and_its_requests(count: int, users: int, requests: int) -> None:
    shards = Shard().split(count)
    assert sum(shard.users(users) for shard in shards) == users
    assert sum(shard.requests(requests, users) for shard in shards) == requests
    for shard in shards:
        # Nobody is left with requests and no user to send them, and users share them evenly.
        own = shard.users(users)
        assert requests // users * own <= shard.requests(requests, users) <= -(-requests // users) * own


@given(COUNTS, COUNTS)
def test_the_parts_of_a_part_are_parts_of_the_whole(count: int, again: int) -> None:
    times_s = np.arange(200.0)
    for shard in Shard().split(count):
        parts = [part.times(times_s) for part in shard.split(again)]
        assert np.array_equal(np.sort(np.concatenate(parts)), shard.times(times_s))


@given(st.integers(0, 2**31 - 1), st.integers(2, 12))
def test_no_two_shards_and_no_resumed_part_have_the_same_prompts(seed: int, count: int) -> None:
    seeds = [
        seed,
        *(shard.seed(seed) for shard in Shard().split(count)),
        *(Shard().seed(seed, part) for part in (1, 2)),
    ]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= one < 2**31 for one in seeds)
    assert Shard(1, 3).seed(seed) == Shard(1, 3).seed(seed)


@given(st.integers(1, 10_000).flatmap(lambda count: st.tuples(st.integers(0, count - 1), st.just(count))))
def test_a_shard_reads_what_it_writes(pair: tuple[int, int]) -> None:
    assert Shard.parse(str(Shard(*pair))) == Shard(*pair)


@pytest.mark.parametrize(
    ("text", "words"),
    [("4/4", "are 0 to 3, not 4"), ("1", "write it like"), ("-1/4", "write it like"), ("0/0", "1 to 10,000 shards")],
)
def test_a_wrong_shard_is_refused_in_a_sentence(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        Shard.parse(text)
