"""Exact least-outstanding balancing, case by case: who is drawn, in which order among equals, and who is not."""

from __future__ import annotations

import numpy as np
import pytest

from holdfast.simulation.traffic import Balance, Service, Traffic

LONG = 1000.0
"""Work that does not end within a test."""


def pool(replicas: int, slots: int = 1, queue: int = 2, retries: int = 0) -> Traffic:
    """One pool whose requests of work 1 take 1 s each, whatever is beside them."""
    traffic = Traffic(
        [Service(slots, (1.0,) * slots, queue)],
        most_replicas=[6],
        balance=Balance.LEAST_OUTSTANDING,
        retries=retries,
        seed=1,
        late_s=9.0,
        ends=100,
    )
    traffic.weights([1.0])
    for _ in range(replicas):
        traffic.add(0)
    return traffic


def send(traffic: Traffic, *work: float) -> None:
    """Requests of this much work, all now; a moment passes."""
    now_s = traffic.now_s
    traffic.run(now_s + 0.01, np.full(len(work), now_s), np.array(work))


def wait(traffic: Traffic, seconds: float) -> None:
    traffic.run(traffic.now_s + seconds, np.empty(0), np.empty(0))


def outstanding(traffic: Traffic) -> list[int]:
    return [int(number) for number in traffic.outstanding(0)[:4]]


def drawn(traffic: Traffic) -> int:
    """The replica that gets one more long request."""
    before = traffic.outstanding(0)
    send(traffic, LONG)
    return int(np.argmax(traffic.outstanding(0) - before))


def test_replicas_that_are_equal_are_drawn_the_longest_so_first() -> None:
    traffic = pool(4)
    assert [drawn(traffic) for _ in range(8)] == [0, 1, 2, 3, 0, 1, 2, 3]


def test_the_one_with_fewer_is_drawn_before_those_that_were_there_longer() -> None:
    traffic = pool(3)
    send(traffic, LONG, LONG, LONG)
    traffic.add(0)
    assert [drawn(traffic) for _ in range(2)] == [3, 0]


def test_those_that_became_idle_are_drawn_in_the_order_of_their_departures() -> None:
    traffic = pool(4)
    send(traffic, 4.0, 2.0, 3.0, 1.0)
    wait(traffic, 5.0)
    assert [drawn(traffic) for _ in range(4)] == [3, 1, 2, 0]


def test_of_departures_at_one_moment_the_lower_number_is_the_first() -> None:
    traffic = pool(4)
    send(traffic, 1.0, 1.0, 1.0, 1.0)
    wait(traffic, 2.0)
    assert [drawn(traffic) for _ in range(4)] == [0, 1, 2, 3]


def test_a_departure_at_the_moment_of_an_arrival_comes_before_it() -> None:
    traffic = pool(2)
    send(traffic, LONG, 1.0)
    traffic.run(2.0, np.array([1.0]), np.array([LONG]))
    assert outstanding(traffic) == [1, 1, 0, 0]


def test_a_served_request_makes_room_before_the_next_is_drawn_however_many_left_since() -> None:
    traffic = pool(3)
    send(traffic, 3.0, 1.0, 2.0, 3.0)
    wait(traffic, 2.5)
    assert [drawn(traffic) for _ in range(2)] == [1, 2]


def test_a_draining_replica_is_not_drawn_though_it_is_idle() -> None:
    traffic = pool(3)
    traffic.drain(0, 0)
    assert [drawn(traffic) for _ in range(4)] == [1, 2, 1, 2]


def test_a_draining_replica_finishes_what_it_has_and_is_not_drawn_after_it() -> None:
    traffic = pool(3)
    send(traffic, 1.0, LONG, LONG)
    traffic.drain(0, 0)
    wait(traffic, 2.0)
    assert traffic.read().served.tolist() == [1]
    assert [drawn(traffic) for _ in range(3)] == [1, 2, 1]


@pytest.mark.parametrize("gone", [0, 1, 2, 3])
def test_the_others_keep_their_order_when_one_is_drained(gone: int) -> None:
    traffic = pool(4)
    traffic.drain(0, gone)
    left = [number for number in range(4) if number != gone]
    assert [drawn(traffic) for _ in range(6)] == left + left


@pytest.mark.parametrize("gone", [0, 1, 2, 3])
def test_the_others_leave_in_order_when_one_that_serves_is_drained(gone: int) -> None:
    traffic = pool(4)
    send(traffic, 4.0, 2.0, 3.0, 1.0)
    traffic.drain(0, gone)
    wait(traffic, 5.0)
    assert [drawn(traffic) for _ in range(3)] == [number for number in (3, 1, 2, 0) if number != gone]


def test_an_unnoticed_death_is_drawn_like_an_idle_replica_in_its_turn() -> None:
    traffic = pool(3)
    send(traffic, LONG, LONG, LONG)
    traffic.kill(0, 1, noticed=False)
    send(traffic, LONG, LONG)
    assert traffic.read().failed.tolist() == [3]  # the one that it served, and both that came
    traffic.notice(0, 1)
    assert [drawn(traffic) for _ in range(2)] == [0, 2]


def test_of_two_dead_replicas_the_one_that_was_not_drawn_for_longest_is_drawn() -> None:
    traffic = pool(3)
    traffic.kill(0, 0, noticed=False)
    traffic.kill(0, 1, noticed=False)
    send(traffic, LONG, LONG, LONG, LONG, LONG)
    broken = [int(end["replica"]) for end in traffic.ends()]
    assert broken == [0, 1, 0, 1]  # 2, which was idle for as long, had its turn after the first two


def test_a_dead_replica_that_was_busy_joins_the_idle_ones_behind_those_that_left_before() -> None:
    """Nobody looks between the departures and the death: both departures still come first, in their order."""
    traffic = pool(2)
    send(traffic, 1.0, 2.0)
    wait(traffic, 3.0)
    traffic.kill(0, 1, noticed=False)
    send(traffic, LONG)
    assert outstanding(traffic) == [1, 0, 0, 0]


def test_a_second_attempt_takes_the_next_in_the_ring_and_not_the_one_that_broke_it() -> None:
    traffic = pool(4, retries=1)
    traffic.kill(0, 0, noticed=False)
    assert drawn(traffic) == 1


def test_a_second_attempt_goes_to_a_busier_replica_when_the_idle_one_broke_it() -> None:
    traffic = pool(3, retries=1)
    send(traffic, LONG, LONG, LONG, LONG, LONG)  # 2, 2 and 1 outstanding
    traffic.kill(0, 2, noticed=False)
    assert outstanding(traffic) == [3, 2, 0, 0]
    assert drawn(traffic) == 1


def test_a_second_attempt_has_nowhere_else_to_go_in_a_pool_of_one() -> None:
    traffic = pool(1, retries=1)
    traffic.kill(0, 0, noticed=False)
    send(traffic, LONG)
    assert traffic.read().failed.tolist() == [1]


def test_a_full_pool_refuses_until_somebody_leaves() -> None:
    traffic = pool(2, queue=0)
    send(traffic, LONG, 1.0, LONG)
    assert traffic.read().refused.tolist() == [1]
    wait(traffic, 1.0)
    assert drawn(traffic) == 1


def test_looking_changes_no_order() -> None:
    traffic = pool(4)
    send(traffic, 4.0, 2.0, 3.0, 1.0)
    for _ in range(50):
        wait(traffic, 0.1)
        traffic.read()
    assert [drawn(traffic) for _ in range(4)] == [3, 1, 2, 0]
