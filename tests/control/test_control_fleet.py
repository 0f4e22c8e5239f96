"""The decision at work on a small virtual fleet: random disturbances, and every one of a small scope."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from holdfast.control import shares, shortages
from holdfast.control.decide import decide
from holdfast.control.decision import Decision
from holdfast.control.invariants import check
from holdfast.control.observation import Applied, Observation
from holdfast.control.shifts import DEAD_BAND
from holdfast.model import codec
from holdfast.model.fleet import CapacityPolicy, RoutingPolicy
from holdfast.model.pools import CapacityPool, RoutingMode, Shortage
from holdfast.planning.weights import Fillable, integer_weights, merit_order

CAPACITY = CapacityPolicy.model_validate({"utilizationTarget": "80%"})
EVERYTHING = 10_000


def routing_of(min_share: str, dwell: str, step: str, every: str) -> RoutingPolicy:
    return RoutingPolicy.model_validate({"minShare": min_share, "dwell": dwell, "ramp": {"step": step, "every": every}})


@dataclass
class VirtualPool:
    """A pool whose replicas take `cold_start_s` to come up, as far as `obtainable` allows it."""

    name: str
    limit_per_s: float
    usd: float
    planned: int
    maximum: int
    cold_start_s: float
    minimum: int = 1
    asked: int = 0
    ready: int = 0
    ready_since_s: float = 0.0
    obtainable: int = EVERYTHING
    starting: list[float] = field(default_factory=list)
    shortages: tuple[Shortage, ...] = ()

    def scale(self, asked: int, now_s: float) -> None:
        self.asked = asked
        self.starting = self.starting[: max(0, asked - self.ready)]
        self._set_ready(min(self.ready, asked), now_s)

    def pass_time(self, now_s: float) -> None:
        self.starting = self.starting[: max(0, self.obtainable - self.ready)]
        self._set_ready(min(self.ready, self.obtainable), now_s)
        up = sum(at_s <= now_s for at_s in self.starting)
        self.starting = [at_s for at_s in self.starting if at_s > now_s]
        self._set_ready(self.ready + up, now_s)
        self._launch(now_s)

    def _launch(self, now_s: float) -> None:
        missing = self.asked - self.ready - len(self.starting)
        blocked = any(fact.holds(now_s) for fact in self.shortages)
        if missing <= 0 or blocked:
            return
        launched = min(missing, max(0, self.obtainable - self.ready - len(self.starting)))
        self.starting += [now_s + self.cold_start_s] * launched
        if launched < missing:
            self.shortages = shortages.record(self.shortages, self.name, now_s, "InsufficientCapacityError")

    def _set_ready(self, ready: int, now_s: float) -> None:
        if ready < self.ready or (ready and not self.ready):
            self.ready_since_s = now_s
        self.ready = ready

    def seen(self, now_s: float) -> CapacityPool:
        self.shortages = shortages.remembered(self.shortages, now_s)
        pending = max(0, self.asked - self.ready)
        bounds = (self.planned, self.minimum, self.maximum, self.ready_since_s)
        return CapacityPool(self.name, self.limit_per_s, self.usd, self.ready, pending, *bounds, self.shortages)


class VirtualFleet:
    """A fleet and a controller that keeps nothing between looks but what it wrote to the fleet."""

    def __init__(self, pools: list[VirtualPool], rate_per_s: float, routing: RoutingPolicy, look_s: float) -> None:
        self.pools, self.rate_per_s, self.routing, self.look_s = pools, rate_per_s, routing, look_s
        self.now_s = 1000.0
        for pool in pools:
            pool.asked = pool.ready = pool.planned
        planned = {pool.name: pool.planned * pool.limit_per_s for pool in pools}
        self.applied = Applied(integer_weights(planned), RoutingMode.COST_OPTIMIZED, 0.0, 0.0)
        self.pools_seen_s = self.rate_seen_s = self.now_s
        self.pools_hidden = self.rate_hidden = False
        self._look()

    def _look(self) -> None:
        if not self.pools_hidden:
            self.pools_seen_s, self.seen = self.now_s, tuple(pool.seen(self.now_s) for pool in self.pools)
        if not self.rate_hidden:
            self.rate_seen_s, self.rate_seen = self.now_s, self.rate_per_s

    def observe(self) -> Observation:
        ages = (self.now_s - self.rate_seen_s, self.now_s - self.pools_seen_s)
        return Observation(self.seen, self.rate_seen, *ages, self.applied)

    def tick(self, restart: bool = False) -> Decision:
        self.now_s += self.look_s
        for pool in self.pools:
            pool.pass_time(self.now_s)
        self._look()
        observation = self.observe()
        if restart:
            observation = codec.loads(Observation, codec.dumps(observation), where="the cluster")
        decision = decide(observation, self.routing, CAPACITY, self.now_s)
        violations = check(observation, decision, self.routing, CAPACITY, self.now_s)
        assert not violations, (violations, observation, decision)
        assert decision.next_look_s > self.now_s
        self._act(decision)
        return decision

    def _act(self, decision: Decision) -> None:
        self.applied = Applied(decision.weights, decision.mode, decision.mode_since_s, decision.last_shift_s)
        for pool in self.pools:
            if pool.name in decision.replicas:
                pool.scale(decision.replicas[pool.name], self.now_s)

    def copy(self) -> VirtualFleet:
        twin = object.__new__(VirtualFleet)
        twin.__dict__ = self.__dict__ | {"pools": [dataclasses.replace(p, starting=[*p.starting]) for p in self.pools]}
        return twin

    def situation(self) -> object:
        """All that the future depends on, with times as ages that stop mattering after ten minutes."""
        return (
            tuple((p.ready, p.asked, p.obtainable, *map(self._age, p.starting)) for p in self.pools),
            tuple((p.ready, p.pending, self._age(p.ready_since_s)) for p in (*self.seen, *self._look_through())),
            tuple(self._age(fact.expires_s) for p in self.pools for fact in p.shortages),
            (tuple(self.applied.weights.items()), self.applied.mode),
            (self._age(self.applied.mode_since_s), self._age(self.applied.last_shift_s)),
            (self._age(self.pools_seen_s), self._age(self.rate_seen_s), self.pools_hidden, self.rate_hidden),
        )

    def _look_through(self) -> list[CapacityPool]:
        return [pool.seen(self.now_s) for pool in self.pools]

    def _age(self, at_s: float) -> float:
        return min(600.0, self.now_s - at_s)

    def quiet(self) -> None:
        """The last disturbance ends: everything can be had and seen again."""
        self.pools_hidden = self.rate_hidden = False
        for pool in self.pools:
            pool.obtainable = EVERYTHING

    def settled(self) -> bool:
        """Cost-optimized, all planned replicas there, no shortage remembered, and the weights of plain merit order."""
        fillable = [Fillable(pool.name, pool.ready * pool.limit_per_s, pool.usd) for pool in self.pools]
        target = CAPACITY.utilization_target
        merit = integer_weights(merit_order(fillable, self.rate_per_s, target, self.routing.min_share))
        near = shares.distance(merit, dict(self.applied.weights)) <= DEAD_BAND
        there = all(pool.ready == pool.asked >= pool.planned and not pool.shortages for pool in self.pools)
        return near and there and self.applied.mode is RoutingMode.COST_OPTIMIZED

    def settle(self, within_s: float) -> None:
        """Pass time until the fleet has been settled, without moving a weight, for longer than any clock in it runs."""
        since_s, weights = self.now_s, self.applied.weights
        for _ in range(int(within_s / self.look_s)):
            self.tick()
            if not self.settled() or self.applied.weights != weights:
                since_s, weights = self.now_s, self.applied.weights
            if self.now_s >= since_s + self.routing.dwell_s + self.routing.ramp.every_s:
                return
        raise AssertionError(f"not settled within {within_s} s: {self.observe()}, {self.tick()}")


def three_pools() -> list[VirtualPool]:
    return [
        VirtualPool("a-cheap", 2.0, 1.0, planned=3, maximum=6, cold_start_s=60.0),
        VirtualPool("b-middle", 1.5, 2.0, planned=1, maximum=6, cold_start_s=40.0),
        VirtualPool("c-dear", 1.0, 3.0, planned=1, maximum=9, cold_start_s=20.0, minimum=0),
    ]


POOL = st.sampled_from((0, 1, 2))


class Disturbed(RuleBasedStateMachine):
    """Losses, returns, surges, blindness and restarts in any order; every invariant is checked at every look."""

    @initialize(
        rate=st.floats(0.0, 12.0),
        min_share=st.sampled_from(("0%", "1%", "20%")),
        step=st.sampled_from(("1%", "25%", "100%")),
        look_s=st.sampled_from((3.0, 10.0, 25.0)),
    )
    def begin(self, rate: float, min_share: str, step: str, look_s: float) -> None:
        # A step of 1 % every second, or the bound on settling would be hours.
        every = "1s" if step == "1%" else "30s"
        routing = routing_of(min_share, "120s", step, every)
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

    @rule(ticks=st.integers(1, 20))
    def wait(self, ticks: int) -> None:
        for _ in range(ticks):
            self.fleet.tick()

    def teardown(self) -> None:
        if hasattr(self, "fleet"):
            self.fleet.quiet()
            # A step of 1 % takes a look of its own, and a fleet may ramp twice: failing back, and after the shortage.
            self.fleet.settle(within_s=2400.0 + 200 * self.fleet.look_s)
            weights = self.fleet.applied.weights
            for _ in range(10):
                assert self.fleet.tick().weights == weights


TestDisturbed = Disturbed.TestCase
TestDisturbed.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)


def lose_or_give(index: int) -> Callable[[VirtualFleet], None]:
    def disturb(fleet: VirtualFleet) -> None:
        pool = fleet.pools[index]
        pool.obtainable = 0 if pool.obtainable else EVERYTHING

    return disturb


def hide_or_show_pools(fleet: VirtualFleet) -> None:
    fleet.pools_hidden = not fleet.pools_hidden


def hide_or_show_rate(fleet: VirtualFleet) -> None:
    fleet.rate_hidden = not fleet.rate_hidden


def nothing(fleet: VirtualFleet) -> None:
    pass


DISTURBANCES = (*map(lose_or_give, range(3)), hide_or_show_pools, hide_or_show_rate, nothing)


def story(rate_per_s: float) -> list[VirtualFleet]:
    """The fleet at every look of one failover: steady, cheap capacity lost, had again, failed back, steady."""
    fleet = VirtualFleet(three_pools(), rate_per_s, routing_of("1%", "60s", "50%", "30s"), look_s=40.0)
    moments = [fleet.copy()]
    for look in range(22):
        fleet.pools[0].obtainable = 0 if look < 4 else EVERYTHING
        fleet.tick()
        moments.append(fleet.copy())
    assert len({moment.applied.mode for moment in moments}) == 2
    assert fleet.settled()
    return moments


def explored(roots: list[VirtualFleet], depth: int) -> list[VirtualFleet]:
    """One fleet for each situation that up to `depth` disturbances, one before each look, lead to from `roots`."""
    found = {fleet.situation(): fleet for fleet in roots}
    frontier = list(found.values())
    for _ in range(depth):
        reached = []
        for fleet, disturb in itertools.product(frontier, DISTURBANCES):
            twin = fleet.copy()
            disturb(twin)
            twin.tick(restart=disturb is nothing)
            if found.setdefault(twin.situation(), twin) is twin:
                reached.append(twin)
        frontier = reached
    return list(found.values())


def assert_all_settle(fleets: list[VirtualFleet], within_looks: int) -> None:
    """Every fleet that is left alone comes to rest, settled; those that meet on the way are followed only once."""
    settling: set[object] = set()
    for fleet in fleets:
        fleet.quiet()
        path: list[object] = [None]
        while (situation := fleet.situation()) not in settling and situation != path[-1]:
            path.append(situation)
            assert len(path) <= within_looks, f"not at rest: {fleet.observe()}"
            fleet.tick()
        assert situation in settling or fleet.settled(), f"at rest and not settled: {fleet.observe()}"
        settling.update(path)


def test_whatever_happens_at_any_moment_of_a_failover_keeps_the_invariants_and_settles() -> None:
    found = explored(story(rate_per_s=6.5), depth=2)
    assert len(found) > 700
    assert_all_settle(found, within_looks=70)


def test_every_order_of_losses_returns_restarts_and_blindness_keeps_the_invariants_and_settles() -> None:
    found = explored(story(rate_per_s=3.0)[:1], depth=5)
    assert len(found) > 4000
    assert_all_settle(found[::10], within_looks=70)


def test_a_failover_shifts_in_the_look_that_sees_the_loss_and_comes_back_by_steps() -> None:
    moments = story(rate_per_s=6.5)
    cheap = [moment.applied.weights["a-cheap"] for moment in moments]
    assert cheap[:3] == [70, 0, 0]
    assert [weight for weight, _ in itertools.groupby(cheap)] == [70, 0, 1, 51, 74]
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
