"""Replicas, their instances and their money, whatever befalls them."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from holdfast.control import shortages
from holdfast.simulation import fleet
from holdfast.simulation.clock import Clock
from holdfast.simulation.cluster import Cluster
from holdfast.simulation.events import Scope
from holdfast.simulation.replica import MOVES, IllegalMoveError, Move, Replica, State
from holdfast.simulation.scenario import DataPlaneModel
from holdfast.simulation.supply import Bound, Supply
from holdfast.simulation.traffic import Balance, Traffic
from simulation import worlds


class Small:
    """Two pools, the first in two zones; traffic without requests."""

    def __init__(self, begin: tuple[int, int] = (2, 1), seed: int = 1) -> None:
        first, second = fleet.pools(worlds.plan(2, most=20), worlds.scenario(), {})
        lot = first.lots[0]
        zones = tuple(dataclasses.replace(lot, zone=zone, usd_per_h=usd) for zone, usd in (("z1", 1.0), ("z2", 1.5)))
        self.pools = (dataclasses.replace(first, lots=zones), second)
        self.clock = Clock()
        self.traffic = Traffic(
            [pool.service for pool in self.pools],
            most_replicas=[200, 200],
            balance=Balance.ROUND_ROBIN,
            retries=0,
            seed=1,
            late_s=1.0,
        )
        self.supply = Supply()
        self.short: list[int] = []
        self.cluster = Cluster(
            self.pools,
            self.supply,
            self.traffic,
            self.clock,
            DataPlaneModel(),
            death_s=40.0,
            shortage_s=180.0,
            seed=seed,
            changed=lambda pool: None,
            short=self.short.append,
        )
        self.cluster.begin(begin)

    def pass_time(self, until_s: float) -> None:
        while self.clock.next_s <= until_s:
            self.clock.act()
        self.clock.at(until_s, lambda: None)
        self.clock.act()

    def states(self, pool: int) -> list[State]:
        return [replica.state for replica in self.cluster.replicas[pool]]


def test_a_replica_comes_up_in_the_time_of_its_cold_start() -> None:
    small = Small()
    small.cluster.scale(1, 2)
    small.pass_time(89.0)
    assert small.cluster.ready(1) == 1
    small.pass_time(91.0)
    assert small.cluster.ready(1) == 2


def test_what_waits_and_starts_is_given_back_before_what_serves() -> None:
    small = Small((0, 2))
    small.cluster.scale(1, 4)
    small.pass_time(10.0)
    small.cluster.scale(1, 1)
    assert sorted(state.name for state in small.states(1)) == ["DRAINING", "READY"]


def test_a_refused_replica_waits_until_the_shortage_expires() -> None:
    small = Small()
    small.supply.bound("limit", Bound(frozenset({(1, 0)}), 1))
    small.cluster.scale(1, 3)
    assert small.states(1) == [State.READY, State.ASKED, State.ASKED]
    (fact,) = small.cluster.shortages[1]
    assert fact.expires_s == shortages.HOLD_S
    small.supply.unbound("limit")
    small.pass_time(179.0)
    assert small.cluster.count(1, State.ASKED) == 2
    small.pass_time(180.0 + 91.0)
    assert small.cluster.ready(1) == 3
    assert small.short == [1]


def test_another_zone_is_no_shortage() -> None:
    small = Small((2, 1))
    small.supply.bound("z1", Bound(frozenset({(0, 0)}), 1))
    small.cluster.scale(0, 5)
    assert small.cluster.standing[0] == [1, 4]
    assert not small.cluster.shortages[0]


def test_a_warned_replica_is_replaced_at_once_and_drained_before_it_is_gone() -> None:
    small = Small((0, 1))
    (replica,) = small.cluster.replicas[1]
    small.cluster.warn(replica, 120.0)
    assert small.states(1) == [State.READY, State.PROVISIONING]
    small.pass_time(90.0)
    assert replica.state is State.DRAINING
    small.pass_time(120.0)
    assert replica.gone_s == 120.0
    assert small.cluster.ready(1) == 1


def test_capacity_is_obtained_when_an_instance_is_launched_and_not_when_it_is_refused() -> None:
    small = Small()
    small.pass_time(100.0)
    small.supply.bound(0, Bound(frozenset({(1, 0)}), 1))
    for pool in (0, 1):
        small.cluster.scale(pool, 3)
    assert small.cluster.obtained_s == [100.0, 0.0]


def test_a_death_is_missed_and_replaced_only_when_it_is_seen() -> None:
    small = Small((0, 1))
    (replica,) = small.cluster.replicas[1]
    small.cluster.die(replica)
    assert small.cluster.ready(1) == 1
    assert small.states(1) == []
    small.pass_time(40.0)
    assert small.cluster.ready(1) == 0
    assert small.states(1) == [State.PROVISIONING]


def test_a_new_price_counts_from_then_on() -> None:
    small = Small((0, 2))
    small.pass_time(1800.0)
    small.cluster.reprice(Scope(unit="b"), 3.0)
    small.pass_time(3600.0)
    small.cluster.settle()
    assert small.cluster.usd[1] == pytest.approx(2 * (2.0 / 2 + 6.0 / 2))


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("move", Move)
def test_moves_outside_the_table_are_refused(state: State, move: Move) -> None:
    replica = Replica(0, 0.0, state=state)
    if (state, move) in MOVES:
        replica.move(move, 1.0)
    else:
        with pytest.raises(IllegalMoveError):
            replica.move(move, 1.0)


POOL = st.sampled_from((0, 1))


class Life(RuleBasedStateMachine):
    """Anything in any order; replicas and money are conserved after each."""

    @initialize(first=st.integers(0, 5), second=st.integers(0, 5), seed=st.integers(0, 9))
    def begin(self, first: int, second: int, seed: int) -> None:
        self.small = Small((first, second), seed)
        self.cluster = self.small.cluster
        self.seen: set[Replica] = set()

    @rule(pool=POOL, count=st.integers(0, 12))
    def scale(self, pool: int, count: int) -> None:
        self.cluster.scale(pool, count)
        # The dead that nobody has missed cannot be given back.
        assert self.cluster.asked(pool) == max(count, self.cluster.ghosts[pool])

    @rule(wait_s=st.sampled_from((0.5, 5.0, 31.0, 100.0, 400.0)))
    def wait(self, wait_s: float) -> None:
        self.small.pass_time(self.small.clock.now_s + wait_s)

    @rule(pool=POOL, share=st.floats(0, 1))
    def lose(self, pool: int, share: float) -> None:
        for replica in self.cluster.draw(self.cluster.within(Scope(unit="ab"[pool])), share):
            self.cluster.die(replica)

    @rule(pool=POOL, share=st.floats(0, 1), notice_s=st.sampled_from((10.0, 120.0)))
    def reclaim(self, pool: int, share: float, notice_s: float) -> None:
        for replica in self.cluster.draw(self.cluster.within(Scope(unit="ab"[pool])), share):
            self.cluster.warn(replica, notice_s)

    @rule(most=st.integers(0, 6), lot=st.sampled_from(((0, 0), (0, 1), (1, 0))))
    def limit(self, most: int, lot: tuple[int, int]) -> None:
        self.small.supply.bound(lot, Bound(frozenset({lot}), most))

    @invariant()
    def what_stands_is_what_is_paid(self) -> None:
        for pool, replicas in enumerate(self.cluster.replicas):
            for lot, standing in enumerate(self.cluster.standing[pool]):
                assert standing == sum(r.state.paid and r.lot == lot for r in replicas)
            assert all(r.state is not State.GONE for r in replicas)

    @invariant()
    def nobody_serves_twice_by_one_number(self) -> None:
        for replicas in self.cluster.replicas:
            numbers = [r.number for r in replicas if r.state is State.READY]
            assert len(set(numbers)) == len(numbers)

    @invariant()
    def money_is_replica_seconds_times_price(self) -> None:
        self.cluster.settle()
        now_s = self.small.clock.now_s
        self.seen.update(*self.cluster.replicas)
        for number, pool in enumerate(self.small.pools):
            mine = [r for r in self.seen if r.pool == number and r.launched_s is not None]
            lives = [(r.lot, (now_s if r.gone_s is None else r.gone_s) - (r.launched_s or 0.0)) for r in mine]
            assert self.cluster.replica_s[number] == pytest.approx(sum(life for _, life in lives))
            cost = sum(life / 3600 * pool.lots[lot].usd_per_h for lot, life in lives)
            assert self.cluster.usd[number] == pytest.approx(cost)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
