"""Which requests make a batch, and when: order, shapes, waits, removal; and anything that may happen to a queue."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from holdfast.serving.hosted.predicting.batches import Queue
from holdfast.serving.hosted.predicting.patience import Patience

MAX_WAIT_S = 0.005


def queue(max_batch: int = 4, max_wait_s: float = MAX_WAIT_S) -> Queue[str]:
    return Queue(max_batch, max_wait_s)


def used_to(gap_s: float, now_s: float = 0.0, *, fixed_s: float = 0.02, each_s: float = 0.001) -> Queue[str]:
    """A queue of shape "s" that has seen batches of 1 and 2, and arrivals so far apart."""
    found = queue()
    for number in range(8):
        at_s = now_s - (8 - number) * gap_s
        size = 1 + number % 2
        found.add("before", "s", at_s)
        found.clear()
        found.ran("s", size, fixed_s + each_s * size, at_s)
    return found


def test_nothing_waits_in_an_empty_queue() -> None:
    assert queue().begins_s() is None
    assert queue().take(0.0) == []


def test_a_lonely_request_begins_at_once() -> None:
    waiting = queue()
    waiting.add("a", "s", 1.0)
    assert waiting.begins_s() == 1.0
    assert waiting.take(1.0) == ["a"]


def test_a_batch_has_the_first_of_one_shape_in_their_order() -> None:
    waiting = queue(max_batch=2)
    for name, shape in (("a", "wide"), ("b", "tall"), ("c", "wide"), ("d", "wide")):
        waiting.add(name, shape, 0.0)
    assert [waiting.take(0.0) for _ in range(4)] == [["a", "c"], ["b"], ["d"], []]


def test_while_requests_come_fast_one_that_would_pay_is_waited_for() -> None:
    waiting = used_to(gap_s=0.001)
    waiting.add("a", "s", 0.0)
    assert waiting.take(0.0) == []
    begins_s = waiting.begins_s()
    assert begins_s is not None and 0 < begins_s <= MAX_WAIT_S
    waiting.add("b", "s", 0.001)
    assert waiting.take(begins_s + MAX_WAIT_S) == ["a", "b"]


def test_a_full_batch_waits_for_nobody() -> None:
    waiting = used_to(gap_s=0.001)
    for name in "abcd":
        waiting.add(name, "s", 0.0)
    assert waiting.take(0.0) == ["a", "b", "c", "d"]


def test_requests_that_come_seldom_are_not_waited_for() -> None:
    waiting = used_to(gap_s=0.5)
    waiting.add("a", "s", 0.0)
    assert waiting.take(0.0) == ["a"]


def test_where_each_input_costs_as_much_alone_nobody_is_waited_for() -> None:
    waiting = used_to(gap_s=0.001, fixed_s=0.0, each_s=0.02)
    waiting.add("a", "s", 0.0)
    assert waiting.take(0.0) == ["a"]


def test_while_another_shape_waits_the_device_is_not_kept_idle() -> None:
    waiting = used_to(gap_s=0.001)
    waiting.add("a", "s", 0.0)
    waiting.add("b", "other", 0.0)
    assert waiting.take(0.0) == ["a"]
    assert waiting.take(0.0) == ["b"]


def test_a_rare_shape_is_not_starved_by_a_common_one() -> None:
    waiting = queue(max_batch=2)
    waiting.add("first", "common", 0.0)
    waiting.add("rare", "rare", 0.0)
    order = []
    for turn in range(6):
        waiting.add(f"{turn}", "common", turn)
        waiting.add(f"{turn}'", "common", turn)
        order += waiting.take(float(turn))
    assert order.index("rare") == 2


def test_what_is_removed_is_in_no_batch_and_a_queue_of_removed_ones_begins_none() -> None:
    waiting = queue()
    first, second = waiting.add("a", "s", 0.0), waiting.add("b", "s", 0.0)
    assert waiting.remove(first) and not waiting.remove(first)
    assert waiting.take(0.0) == ["b"]
    assert not waiting.remove(second)
    third = waiting.add("c", "s", 1.0)
    assert waiting.remove(third)
    assert (len(waiting), waiting.begins_s()) == (0, None)


@given(
    st.floats(1e-5, 10),
    st.floats(0, 1),
    st.lists(st.integers(1, 64), min_size=4, max_size=40).filter(lambda sizes: len(set(sizes)) > 1),
)
def test_what_a_batch_costs_is_found_from_batches_of_several_sizes(
    fixed_s: float, each_s: float, sizes: list[int]
) -> None:
    patience = Patience()
    for size in sizes:
        patience.ran(size, fixed_s + each_s * size)
    found_fixed_s, found_each_s = patience.cost_s()
    assert found_each_s == pytest.approx(each_s, rel=1e-3, abs=1e-3 * fixed_s)
    assert found_fixed_s == pytest.approx(fixed_s, rel=1e-2, abs=0.1 * each_s)


@given(st.lists(st.tuples(st.integers(1, 8), st.floats(0, 100)), max_size=30), st.integers(1, 8))
def test_whatever_was_measured_costs_are_not_negative_and_patience_ends(
    ran: list[tuple[int, float]], waiting: int
) -> None:
    patience = Patience()
    for number, (size, seconds) in enumerate(ran):
        patience.arrived(float(number))
        patience.ran(size, seconds)
    fixed_s, each_s = patience.cost_s()
    assert fixed_s >= -1e-9 and each_s >= 0
    assert patience.goes_s(waiting) < math.inf


class Device(RuleBasedStateMachine):
    """One device before a queue, and time that passes: what every order of events must hold."""

    MAX_BATCH = 3

    def __init__(self) -> None:
        super().__init__()
        self.queue: Queue[int] = Queue(self.MAX_BATCH, MAX_WAIT_S)
        self.now_s = 0.0
        self.waiting: dict[int, tuple[str, float, int]] = {}
        self.seen: set[int] = set()
        self.running: list[int] = []
        self.shape = ""
        self.began_s = self.freed_s = 0.0
        self.asked = 0

    @rule(shape=st.sampled_from("wwwwt"))
    def asks(self, shape: str) -> None:
        key = self.queue.add(self.asked, shape, self.now_s)
        self.waiting[self.asked] = (shape, self.now_s, key)
        self.asked += 1
        self.begins()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def leaves(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.waiting)))
        assert self.queue.remove(self.waiting.pop(number)[2])
        self.begins()

    @rule(seconds=st.sampled_from([0.0001, 0.001, 0.004, 0.02, 1.0]))
    def passes(self, seconds: float) -> None:
        """A free device begins when it should, which may be on the way."""
        until_s = self.now_s + seconds
        while not self.running and self.waiting:
            begins_s = self.queue.begins_s()
            assert begins_s is not None
            if begins_s > until_s:
                break
            self.now_s = max(self.now_s, begins_s)
            self.begins()
        self.now_s = max(self.now_s, until_s)

    @precondition(lambda self: self.running)
    @rule(each_s=st.sampled_from([0.0, 0.001, 0.02]))
    def ends(self, each_s: float) -> None:
        self.now_s += 0.01 + each_s * len(self.running)
        self.queue.ran(self.shape, len(self.running), self.now_s - self.began_s, self.now_s)
        self.running, self.freed_s = [], self.now_s
        self.begins()

    def begins(self) -> None:
        if self.running:
            return
        batch = self.queue.take(self.now_s)
        if not batch:
            return
        assert len(batch) <= self.MAX_BATCH
        shapes = {self.waiting[number][0] for number in batch}
        assert len(shapes) == 1
        self.shape = shapes.pop()
        alike = [number for number, (shape, _, _) in self.waiting.items() if shape == self.shape]
        assert batch == alike[: len(batch)], "somebody was overtaken within the shape"
        assert not self.seen & set(batch), "somebody was served twice"
        self.seen |= set(batch)
        self.running, self.began_s = batch, self.now_s
        for number in batch:
            del self.waiting[number]

    @invariant()
    def nobody_is_lost_or_waits_longer_than_the_bound_while_the_device_is_free(self) -> None:
        assert len(self.queue) == len(self.waiting)
        if not self.running:
            for _, since_s, _ in self.waiting.values():
                assert self.now_s - max(since_s, self.freed_s) <= MAX_WAIT_S + 1e-9


TestDevice = Device.TestCase
TestDevice.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
