"""Random small fleets under random events: the compiled kernel against plain Python, and what must always hold."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.simulation import kernel
from holdfast.simulation.traffic import Balance, Counts, Ingress, Service, Traffic
from simulation.eager_fleet import EagerFleet, End

HOWS = {kernel.SERVED: "served", kernel.FAILED: "failed", kernel.SHED: "refused"}
EVENTS = ("run", "run", "run", "add", "kill", "kill unnoticed", "drain", "notice", "weights")


@dataclasses.dataclass(frozen=True)
class Scenario:
    """Pools and how many replicas each may have; events as (name, a number in [0, 1) that says which or how much).

    tied:    all times are whole eighths of a second, so that many things happen at the same moment.
    watched: whether somebody looks after every event, which brings all replicas up to date, or only at the end.
    """

    services: tuple[Service, ...]
    most: tuple[int, ...]
    balance: Balance
    ingress: Ingress
    retries: int
    seed: int
    events: tuple[tuple[str, float], ...]
    tied: bool
    watched: bool = True


@st.composite
def services(draw: st.DrawFn, tied: bool) -> Service:
    slots = draw(st.integers(1, 4))
    if tied:
        return Service(slots, (1.0,) * slots, draw(st.integers(0, 3)))
    curve = draw(st.lists(st.floats(0.1, 3), min_size=slots, max_size=slots))
    return Service(slots, tuple(np.cumsum(curve).tolist()), draw(st.integers(0, 3)))


@st.composite
def crowds(draw: st.DrawFn) -> Scenario:
    """Pools of up to six replicas from the start, the least outstanding drawn: nobody need look in between."""
    tied = draw(st.booleans())
    scenario = draw(scenarios(tied))
    added = [("add", number) for number in draw(st.lists(st.floats(0, 1, exclude_max=True), min_size=3, max_size=8))]
    most = tuple(draw(st.integers(3, 6)) for _ in scenario.most)
    return dataclasses.replace(
        scenario,
        balance=Balance.LEAST_OUTSTANDING,
        most=most,
        events=(*added, *scenario.events),
        watched=draw(st.booleans()),
    )


@st.composite
def scenarios(draw: st.DrawFn, tied: bool = False) -> Scenario:
    pools = draw(st.integers(1, 3))
    return Scenario(
        services=tuple(draw(services(tied)) for _ in range(pools)),
        most=tuple(draw(st.integers(1, 6)) for _ in range(pools)),
        balance=draw(st.sampled_from(Balance)),
        ingress=draw(st.sampled_from(Ingress)),
        retries=draw(st.integers(0, 3)),
        seed=draw(st.integers(0, 2**64 - 1)),
        events=tuple(
            draw(st.lists(st.tuples(st.sampled_from(EVENTS), st.floats(0, 1, exclude_max=True)), max_size=25))
        ),
        tied=tied,
    )


class Played:
    """A scenario played on both, step by step; the lives of replica numbers are kept to hold requests against them."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        pools = range(len(scenario.services))
        self.traffic = Traffic(
            scenario.services,
            most_replicas=scenario.most,
            balance=scenario.balance,
            retries=scenario.retries,
            seed=scenario.seed,
            late_s=1.0,
            ingress=scenario.ingress,
            ends=10_000,
        )
        self.eager = EagerFleet(
            scenario.services,
            most_replicas=scenario.most,
            balance=scenario.balance,
            retries=scenario.retries,
            seed=scenario.seed,
            ingress=scenario.ingress,
        )
        self.random = np.random.default_rng(scenario.seed)
        self.taking: list[tuple[int, int]] = []
        self.draining: list[tuple[int, int]] = []
        self.unnoticed: list[tuple[int, int]] = []
        self.work: dict[float, float] = {}
        self.deaths: Counter[tuple[int, int]] = Counter()
        self.dead_since: dict[tuple[int, int], float] = {}
        self.counts: list[Counts] = []
        self.ends: list[End] = []
        self.both("weights", [1.0] * len(pools))
        for pool in pools:
            self.add(pool)
        for name, number in scenario.events:
            self.event(name, number)
            if scenario.watched:
                self.look()
        self.run(5.0)
        self.look()

    def both(self, name: str, *given: object, **more: object) -> object:
        answers = [getattr(fleet, name)(*given, **more) for fleet in (self.traffic, self.eager)]
        assert answers[0] == answers[1]
        return answers[0]

    def event(self, name: str, number: float) -> None:
        pool = int(number * len(self.scenario.services))
        where = {"kill": [*self.taking, *self.draining], "kill unnoticed": self.taking, "drain": self.taking}
        if name == "run":
            self.run(4 * number)
        elif name == "weights":
            weights = self.random.integers(0, 3, size=len(self.scenario.services)).astype(float)
            weights[pool] = 1.5
            self.both("weights", list(weights))
        elif name == "add":
            self.add(pool)
        elif name == "notice" and self.unnoticed:
            self.both("notice", *self.unnoticed.pop(int(number * len(self.unnoticed))))
        elif where.get(name):
            candidates = where[name]
            replica = candidates[int(number * len(candidates))]
            if name == "drain":
                self.both("drain", *replica)
                self.draining.append(replica)
            else:
                self.both("kill", *replica, noticed=name == "kill")
                self.dead_since[replica] = self.traffic.now_s
                if name == "kill unnoticed":
                    self.unnoticed.append(replica)
            (self.taking if replica in self.taking else self.draining).remove(replica)

    def add(self, pool: int) -> None:
        outstanding = self.traffic.outstanding(pool)
        self.draining = [(p, r) for p, r in self.draining if p != pool or outstanding[r]]
        present = [*self.taking, *self.draining, *self.unnoticed]
        if sum(p == pool for p, _ in present) == self.scenario.most[pool]:
            with pytest.raises(ValueError, match="has all of its"):
                self.traffic.add(pool)
            return
        number = self.both("add", pool)
        assert isinstance(number, int)
        self.taking.append((pool, number))
        self.dead_since.pop((pool, number), None)

    def run(self, duration_s: float) -> None:
        start_s, until_s = self.traffic.now_s, self.traffic.now_s + duration_s
        if self.scenario.tied:
            until_s = start_s + int(8 * duration_s) / 8
            arrivals_s = np.arange(start_s, until_s, 1 / 8)
            work = self.random.integers(1, 16, size=len(arrivals_s)) / 8
        else:
            arrivals_s = np.sort(self.random.uniform(start_s, until_s, size=int(6 * duration_s)))
            work = self.random.exponential(1.0, size=len(arrivals_s)) + 0.01
        self.work |= dict(zip(arrivals_s.tolist(), work.tolist(), strict=True))
        self.both("run", until_s, arrivals_s, work)

    def look(self) -> None:
        """What ended since the last look, on both; and the rules that hold at any moment."""
        counts = self.traffic.read()
        ends = [
            (float(row["arrived_s"]), float(row["end_s"]), int(row["pool"]), int(row["replica"]), HOWS[int(row["how"])])
            for row in self.traffic.ends()
        ]
        assert_same(ends, self.eager.ends)
        self.eager.ends = []
        self.ends += ends
        self.counts.append(counts)
        for number, pool in enumerate(self.eager.pools):
            for name in ("arrived", "taken", "served", "failed", "refused", "retried"):
                assert getattr(counts, name)[number] == pool.counts[name], name
            pool.counts.clear()
            replicas = pool.replicas.values()
            assert counts.in_flight[number] == sum(len(replica.serving) for replica in replicas)
            assert counts.waiting[number] == sum(len(replica.waiting) for replica in replicas)
            outstanding = self.traffic.outstanding(number)
            assert max(outstanding) <= pool.service.slots + pool.service.queue
        for _, end_s, number, replica_number, how in ends:
            if how == "served":
                assert end_s <= self.dead_since.get((number, replica_number), np.inf)


def assert_same(ends: list[End], others: list[End]) -> None:
    assert len(ends) == len(others)
    for one, other in zip(sorted(ends), sorted(others), strict=True):
        assert one[0] == other[0]
        assert one[2:] == other[2:]
        assert one[1] == pytest.approx(other[1], abs=1e-9)


@given(scenarios())
@settings(max_examples=200, deadline=None)
def test_the_kernel_agrees_with_plain_python_event_by_event(scenario: Scenario) -> None:
    Played(scenario)


@given(scenarios(tied=True))
@settings(max_examples=100, deadline=None)
def test_the_kernel_agrees_with_plain_python_where_many_things_happen_at_once(scenario: Scenario) -> None:
    Played(scenario)


@given(crowds())
@settings(max_examples=150, deadline=None)
def test_the_least_outstanding_of_a_crowd_is_the_one_that_plain_python_draws(scenario: Scenario) -> None:
    Played(scenario)


@given(scenarios())
@settings(max_examples=60, deadline=None)
def test_no_request_is_lost_made_up_or_served_faster_than_alone(scenario: Scenario) -> None:
    played = Played(scenario)
    last = played.counts[-1]
    ended = Counter(how for *_, how in played.ends)
    assert ended.total() + int(last.in_flight.sum() + last.waiting.sum()) == len(played.work)
    assert len({arrived_s for arrived_s, *_ in played.ends}) == ended.total()
    for how in ("served", "failed", "refused"):
        assert sum(int(getattr(counts, how).sum()) for counts in played.counts) == ended[how]
    total = {
        field.name: sum(getattr(counts, field.name) for counts in played.counts) for field in dataclasses.fields(Counts)
    }
    went = sum(total[name] for name in ("served", "failed", "refused", "retried"))
    np.testing.assert_array_equal(total["arrived"] + total["taken"], went + last.in_flight + last.waiting)
    np.testing.assert_array_equal(total["latencies"].sum(axis=1), total["served"])
    for arrived_s, end_s, pool, _, how in played.ends:
        if how == "served":
            assert end_s - arrived_s >= played.work[arrived_s] * scenario.services[pool].seconds[0] - 1e-9


@given(scenarios())
@settings(max_examples=30, deadline=None)
def test_the_same_calls_with_the_same_seed_give_the_same_counts(scenario: Scenario) -> None:
    one, other = Played(scenario), Played(scenario)
    assert one.ends == other.ends
    for field in dataclasses.fields(Counts):
        for left, right in zip(one.counts, other.counts, strict=True):
            np.testing.assert_array_equal(getattr(left, field.name), getattr(right, field.name))
