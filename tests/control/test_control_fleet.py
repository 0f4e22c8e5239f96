"""The decision at work on a small virtual fleet: stories, and random disturbances in any order."""

from __future__ import annotations

import copy
import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from control.virtual_fleet import EVERYTHING, VirtualFleet, routing_of, three_pools
from holdfast.control.policies import POLICIES
from holdfast.model.pools import RoutingMode

POOL = st.sampled_from((0, 1, 2))


class Disturbed(RuleBasedStateMachine):
    """Anything in any order, under any policy; what the policy promises is checked at every look.

    Left alone, a fleet under merit order settles; the others make no such promise.
    """

    @initialize(
        rate=st.floats(0.0, 12.0),
        min_share=st.sampled_from(("0%", "1%", "20%")),
        step=st.sampled_from(("1%", "25%", "100%")),
        look_s=st.sampled_from((3.0, 10.0, 25.0)),
        policy=st.sampled_from(("merit-order", "merit-order", *POLICIES)),
    )
    def begin(self, rate: float, min_share: str, step: str, look_s: float, policy: str) -> None:
        # A step of 1 % every second, or the bound on settling would be hours.
        every = "1s" if step == "1%" else "30s"
        routing = routing_of(min_share, "120s", step, every, policy)
        self.fleet = VirtualFleet(three_pools(), rate, routing, look_s)

    @rule(index=POOL, obtainable=st.sampled_from((0, 0, 1, 2)))
    def lose(self, index: int, obtainable: int) -> None:
        self.fleet.pools[index].obtainable = obtainable
        self.fleet.tick()

    @rule(index=POOL)
    def give(self, index: int) -> None:
        self.fleet.pools[index].obtainable = EVERYTHING
        self.fleet.tick()

    @rule(index=POOL)
    def crash(self, index: int) -> None:
        """All replicas fall and may start again at once."""
        self.fleet.pools[index].scale(0, self.fleet.now_s)
        self.fleet.tick()

    @rule(index=POOL, count=st.integers(1, 6), notice_s=st.sampled_from((5.0, 30.0, 120.0)))
    def interrupt(self, index: int, count: int, notice_s: float) -> None:
        now_s = self.fleet.now_s
        self.fleet.pools[index].interrupt(count, now_s + notice_s, now_s)
        self.fleet.tick()

    @rule(index=POOL, for_s=st.floats(1.0, 300.0))
    def stall(self, index: int, for_s: float) -> None:
        self.fleet.pools[index].stall(for_s)
        self.fleet.tick()

    @rule(rate=st.floats(0.0, 30.0))
    def change_rate(self, rate: float) -> None:
        self.fleet.rate_per_s = rate
        self.fleet.tick()

    @rule(pools=st.booleans(), rate=st.booleans())
    def blind(self, pools: bool, rate: bool) -> None:
        self.fleet.pools_hidden, self.fleet.rate_hidden = pools, rate
        self.fleet.tick()

    @rule()
    def restart(self) -> None:
        self.fleet.tick(restart=True)

    @rule()
    def restart_between_weights_and_replicas(self) -> None:
        self.fleet.tick(crash=True)

    @rule()
    def restart_slowly(self) -> None:
        self.fleet.away()

    @rule(ticks=st.integers(1, 20))
    def wait(self, ticks: int) -> None:
        for _ in range(ticks):
            self.fleet.tick()

    def teardown(self) -> None:
        if hasattr(self, "fleet") and self.fleet.routing.policy == "merit-order":
            self.fleet.quiet()
            # A step of 1 % takes a look of its own, and a fleet may ramp twice: failing back, and after the shortage.
            self.fleet.settle(within_s=2400.0 + 200 * self.fleet.look_s)
            weights = self.fleet.applied.weights
            for _ in range(10):
                assert self.fleet.tick().weights == weights


TestDisturbed = Disturbed.TestCase
TestDisturbed.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def story(rate_per_s: float) -> list[VirtualFleet]:
    """The fleet at every look of one failover: steady, cheap capacity lost, had again, failed back, steady."""
    fleet = VirtualFleet(three_pools(), rate_per_s, routing_of("1%", "60s", "50%", "30s"), look_s=40.0)
    moments = [copy.deepcopy(fleet)]
    for look in range(22):
        fleet.pools[0].obtainable = 0 if look < 4 else EVERYTHING
        fleet.tick()
        moments.append(copy.deepcopy(fleet))
    assert len({moment.applied.mode for moment in moments}) == 2
    assert fleet.settled()
    return moments


def test_a_failover_shifts_in_the_look_that_sees_the_loss_and_comes_back_by_steps() -> None:
    moments = story(rate_per_s=6.5)
    cheap = [moment.applied.weights["a-cheap"] for moment in moments]
    assert cheap[:3] == [70, 0, 0]
    assert [weight for weight, _ in itertools.groupby(cheap)] == [70, 0, 1, 51, 72]
    assert moments[-1].applied.mode is RoutingMode.COST_OPTIMIZED
    assert [pool.asked for pool in moments[-1].pools] == [3, 2, 1]


def test_a_loss_while_failing_back_shifts_at_once_and_starts_the_proof_anew() -> None:
    moments = story(rate_per_s=6.5)
    fleet = next(moment for moment in moments if moment.applied.weights["a-cheap"] == 51)
    fleet.pools[0].obtainable = 0
    assert fleet.tick().weights["a-cheap"] == 0
    fleet.quiet()
    back = 0
    while not back:
        back = fleet.tick().weights["a-cheap"]
    assert back == 1
    fleet.settle(within_s=2400.0)
    assert fleet.applied.last_shift_s >= fleet.pools[0].ready_since_s + fleet.routing.dwell_s


@pytest.mark.parametrize("wobble", (0.01, 0.02, 0.03))
def test_a_wobbling_rate_rewrites_neither_weights_nor_replicas(wobble: float) -> None:
    fleet = story(rate_per_s=6.5)[-1]
    weights, asked = fleet.applied.weights, [pool.asked for pool in fleet.pools]
    for look in range(60):
        fleet.rate_per_s = 6.5 * (1 + wobble * (-1) ** look)
        assert fleet.tick().weights == weights
    assert [pool.asked for pool in fleet.pools] == asked


def test_a_fleet_whose_pools_start_empty_comes_up_at_the_plan() -> None:
    fleet = VirtualFleet(three_pools(), 6.5, routing_of("1%", "120s", "25%", "30s"), 10.0)
    for pool in fleet.pools:
        pool.scale(0, fleet.now_s)
    assert fleet.tick().mode is RoutingMode.COST_OPTIMIZED
    assert [pool.asked for pool in fleet.pools] == [3, 1, 1]
    fleet.settle(within_s=2400.0)
