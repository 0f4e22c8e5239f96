"""Observe, decide, act: the failover decision, as shipped, on a fleet of this machine.

At every tick the fleet is turned into one Observation, `control.decide` makes of it one Decision, the
invariants are checked, and what differs from what stands is applied; a decision that breaks one is refused, and
the fleet stays as it is. The applied weights, the mode and its times are all that is remembered; in a cluster they
are annotations.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from holdfast.control import verdict
from holdfast.control.decide import decide
from holdfast.control.decision import Decision
from holdfast.control.observation import Applied, Observation
from holdfast.control.policies import Decide
from holdfast.control.verdict import Verdict
from holdfast.local.fleet import Clock, LocalFleet
from holdfast.model.fleet import CapacityPolicy, DataPlane, RoutingPolicy
from holdfast.model.pools import CapacityPool, RoutingMode

TICK_S = 0.1
"""Between looks: each costs two small HTTP exchanges with Envoy's admin port."""

RATE_WINDOW_S = 3.0
"""Over which the offered rate is averaged: long enough that independent arrivals do not rewrite the weights."""


@dataclass(frozen=True)
class Tick:
    """One look at the fleet and what came of it; `refused` names the invariants that the decision broke.

    now_s: when it was looked at; done_s: when what was decided was in force.
    """

    now_s: float
    done_s: float
    observation: Observation
    decision: Decision
    refused: tuple[str, ...]


class RateMeter:
    """Requests per second from a counter, over the last `window_s` seconds."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._readings: deque[tuple[float, int]] = deque()

    def read(self, now_s: float, count: int) -> float | None:
        """The rate after this reading; None until a second has been seen."""
        self._readings.append((now_s, count))
        while now_s - self._readings[0][0] > self._window_s:
            self._readings.popleft()
        since_s, before = self._readings[0]
        return (count - before) / (now_s - since_s) if now_s - since_s >= min(1.0, self._window_s / 2) else None


class Steering:
    """Steers one fleet until cancelled, by `decide`. `tell` hears of every tick."""

    def __init__(
        self,
        fleet: LocalFleet,
        routing: RoutingPolicy,
        capacity: CapacityPolicy,
        *,
        plan_weights: Mapping[str, int],
        clock: Clock,
        tell: Callable[[Tick], None],
        decide: Decide = decide,
    ) -> None:
        self._fleet = fleet
        self._routing = routing
        self._capacity = capacity
        self._plan_weights = plan_weights
        self._clock = clock
        self._tell = tell
        self._decide = decide
        self._before: Verdict | None = None
        self._meter = RateMeter(RATE_WINDOW_S)
        now_s = clock()
        # A fleet that has just been set up has dwelt and settled: its weights are the plan's.
        long_ago_s = now_s - max(routing.dwell_s, routing.ramp.every_s)
        self._applied = Applied(fleet.envoy.weights, RoutingMode.COST_OPTIMIZED, long_ago_s, long_ago_s)

    async def run(self) -> None:
        """Looks every TICK_S."""
        while True:
            await self.tick()
            await asyncio.sleep(TICK_S)

    async def tick(self) -> Tick:
        """One look: observe, decide, check, act."""
        requests = await self._fleet.envoy.requests()
        now_s = self._clock()
        rate = self._meter.read(now_s, requests)
        observation = Observation(
            pools=self._fleet.observe(now_s),
            rate_per_s=rate,
            rate_age_s=0.0,
            pools_age_s=0.0,
            applied=self._applied,
            plan_weights=self._plan_weights,
        )
        reached = verdict.reach(
            observation,
            self._routing,
            self._capacity,
            now_s,
            data_plane=DataPlane.LOCAL,
            before=self._before,
            decide=self._decide,
        )
        self._before = reached
        if not reached.refused:
            await self._act(reached.decision, observation.pools)
        tick = Tick(now_s, self._clock(), observation, reached.decision, reached.refused)
        self._tell(tick)
        return tick

    async def _act(self, decision: Decision, pools: tuple[CapacityPool, ...]) -> None:
        # Weights first: they take effect in milliseconds, replicas in seconds to minutes.
        if dict(decision.weights) != dict(self._applied.weights):
            await self._fleet.envoy.set_weights(decision.weights)
        self._applied = Applied(decision.weights, decision.mode, decision.mode_since_s, decision.last_shift_s)
        for pool in pools:
            wanted = decision.replicas.get(pool.name)
            if wanted is not None and wanted != pool.ready + pool.pending:
                await self._fleet.scale(pool.name, wanted)
