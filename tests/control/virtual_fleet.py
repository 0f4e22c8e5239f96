"""A small fleet of virtual time with rich numbers, for the tests of control.

Its pools are Deployments: they start what is missing, learn of missing capacity by asking, and replace a replica
that was interrupted only when it is gone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.model_checking import scope

from holdfast.control import pool_states, shares, shortages
from holdfast.control.decide import decide
from holdfast.control.decision import Decision
from holdfast.control.invariants import check
from holdfast.control.observation import Applied, Observation
from holdfast.control.shifts import DEAD_BAND
from holdfast.model import codec
from holdfast.model.fleet import CapacityPolicy, RoutingPolicy
from holdfast.model.pools import CapacityPool, RoutingMode, Shortage
from holdfast.planning.weights import integer_weights

CAPACITY = CapacityPolicy.model_validate({"utilizationTarget": "80%"})
EVERYTHING = 10_000


def routing_of(min_share: str, dwell: str, step: str, every: str, policy: str = "merit-order") -> RoutingPolicy:
    ramp = {"step": step, "every": every}
    return RoutingPolicy.model_validate({"policy": policy, "minShare": min_share, "dwell": dwell, "ramp": ramp})


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
    leaving: list[float] = field(default_factory=list)
    obtained_s: float | None = None
    shortages: tuple[Shortage, ...] = ()

    def scale(self, asked: int, now_s: float) -> None:
        self.asked = asked
        self.starting = self.starting[: max(0, asked - self.ready)]
        self._set_ready(min(self.ready, asked), now_s)

    def interrupt(self, count: int, gone_at_s: float, now_s: float) -> None:
        """An interruption notice for that many of the replicas that have none."""
        noticed = min(count, self.ready - len(self.leaving))
        if noticed:
            self.leaving += [gone_at_s] * noticed
            self.ready_since_s = now_s

    def stall(self, for_s: float) -> None:
        """What is starting takes longer."""
        self.starting = [at_s + for_s for at_s in self.starting]

    def pass_time(self, now_s: float) -> None:
        self.starting = self.starting[: max(0, self.obtainable - self.ready)]
        self._set_ready(min(self.ready, self.obtainable), now_s)
        gone = sum(at_s <= now_s for at_s in self.leaving)
        self.leaving = [at_s for at_s in self.leaving if at_s > now_s]
        self.ready -= gone
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
        self.obtained_s = now_s if launched else self.obtained_s
        if launched < missing:
            self.shortages = shortages.record(self.shortages, self.name, now_s, "InsufficientCapacityError")

    def _set_ready(self, ready: int, now_s: float) -> None:
        """Replicas without a notice are the first to go."""
        before = self.ready - len(self.leaving)
        self.leaving = self.leaving[:ready]
        self.ready = ready
        lasting = ready - len(self.leaving)
        if lasting < before or (lasting and not before):
            self.ready_since_s = now_s

    def seen(self, now_s: float) -> CapacityPool:
        self.shortages = shortages.remembered(self.shortages, now_s)
        pending = max(0, self.asked - self.ready)
        bounds = (self.planned, self.minimum, self.maximum, self.ready_since_s, self.shortages)
        noticed = (len(self.leaving), min(self.leaving, default=0.0))
        had = (len(self.starting), self.obtained_s)
        return CapacityPool(self.name, self.limit_per_s, self.usd, self.ready, pending, *bounds, *noticed, *had)


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
        self.before: Decision | None = None
        self._look()

    def _look(self) -> None:
        if not self.pools_hidden:
            self.pools_seen_s, self.seen = self.now_s, tuple(pool.seen(self.now_s) for pool in self.pools)
        if not self.rate_hidden:
            self.rate_seen_s, self.rate_seen = self.now_s, self.rate_per_s

    def observe(self) -> Observation:
        ages = (self.now_s - self.rate_seen_s, self.now_s - self.pools_seen_s)
        return Observation(self.seen, self.rate_seen, *ages, self.applied)

    def away(self) -> None:
        """A look passes without the controller, which starts anew."""
        self._pass()
        self.before = None

    def tick(self, restart: bool = False, crash: bool = False) -> Decision:
        """A look passes and the controller decides; one that crashes writes the weights and not the replicas."""
        self._pass()
        observation = self.observe()
        if restart:
            observation = codec.loads(Observation, codec.dumps(observation), where="the cluster")
        decision = decide(observation, self.routing, CAPACITY, self.now_s)
        violations = check(observation, decision, self.routing, CAPACITY, self.now_s)
        assert not violations, (violations, observation, decision)
        assert decision.next_look_s > self.now_s
        if self.before is not None and self.look_s < self.routing.dwell_s:
            pool_states.follow(self.before.states, decision.states)
        self.before = decision
        self.applied = Applied(decision.weights, decision.mode, decision.mode_since_s, decision.last_shift_s)
        if not crash:
            self._scale(decision)
        return decision

    def _pass(self) -> None:
        self.now_s += self.look_s
        for pool in self.pools:
            pool.pass_time(self.now_s)
        self._look()

    def _scale(self, decision: Decision) -> None:
        for pool in self.pools:
            if pool.name in decision.replicas:
                pool.scale(decision.replicas[pool.name] + len(pool.leaving), self.now_s)

    def quiet(self) -> None:
        """The last disturbance ends: everything can be had and seen again."""
        self.pools_hidden = self.rate_hidden = False
        for pool in self.pools:
            pool.obtainable = EVERYTHING

    def settled(self) -> bool:
        """Cost-optimized, all planned replicas there, no shortage remembered, and the weights of plain merit order."""
        standing = [(pool.name, pool.limit_per_s, pool.usd, pool.ready) for pool in self.pools]
        merit = scope.plain_merit(standing, self.rate_per_s, self.routing.min_share)
        # A unit of each pool may have moved, so that none is filled beyond the target by rounding.
        near = shares.distance(merit, dict(self.applied.weights)) <= DEAD_BAND + len(self.pools)
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
