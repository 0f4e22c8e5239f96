"""Observe, decide, check, act: the control policies as shipped, on a cluster of virtual time.

What a controller sees is late: the rate is scraped now and then, a death takes seconds to be missed, a change of the
pools a moment to arrive. During an outage it sees what it saw last, and knows how old that is. All that outlasts a
controller is `Held`; one that starts again after a crash is a new Shell on it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from holdfast.control import shortages, verdict
from holdfast.control.decision import Decision
from holdfast.control.observation import Applied, Observation
from holdfast.control.policies import Policy
from holdfast.control.verdict import Verdict
from holdfast.model.fleet import CapacityPolicy, DataPlane, RoutingPolicy
from holdfast.model.pools import CapacityPool, RoutingMode
from holdfast.simulation.clock import Clock
from holdfast.simulation.cluster import Cluster
from holdfast.simulation.fleet import Pool
from holdfast.simulation.replica import State
from holdfast.simulation.scenario import LooksModel

LOOK_SOONEST_S = 1.0
"""Between looks at least, however much changes."""

RESTART_EVERY = 10
"""Looks of which one is decided twice, to see that a restart changes nothing; the tests of `control` do so at each."""


@dataclass(frozen=True)
class Settings:
    """What a controller is started with."""

    policy: Policy
    routing: RoutingPolicy
    capacity: CapacityPolicy
    data_plane: DataPlane
    plan_weights: Mapping[str, int]
    looks: LooksModel


@dataclass
class Held:
    """What the cluster holds of the routing: annotations on the route. Shortages are events of the cluster."""

    applied: Applied


@dataclass(frozen=True)
class Violation:
    """A decision that was refused, and why."""

    t_s: float
    text: str


class Pools:
    """The pools as the API tells them, each rebuilt when it has changed."""

    def __init__(self, pools: Sequence[Pool], cluster: Cluster, clock: Clock, long_ago_s: float) -> None:
        self._pools, self._cluster, self._clock = pools, cluster, clock
        self._lasting = [0] * len(pools)
        self._since_s = [long_ago_s] * len(pools)
        self._seen: list[CapacityPool | None] = [None] * len(pools)
        self._price_factors = [1.0] * len(pools)
        for pool in range(len(pools)):
            self._lasting[pool] = cluster.ready(pool)

    def changed(self, pool: int) -> None:
        lasting = self._cluster.ready(pool) - len(self._cluster.noticed(pool))
        if lasting < self._lasting[pool] or (lasting and not self._lasting[pool]):
            self._since_s[pool] = self._clock.now_s
        self._lasting[pool] = lasting
        self._seen[pool] = None

    def repriced(self, pool: int, factor: float) -> None:
        self._price_factors[pool] *= factor
        self._seen[pool] = None

    def read(self) -> tuple[CapacityPool, ...]:
        return tuple(self._read(number) for number in range(len(self._pools)))

    def _read(self, number: int) -> CapacityPool:
        now_s = self._clock.now_s
        known = self._seen[number]
        pool = self._pools[number]
        planned, ahead = pool.planned_at(now_s), pool.planned_ahead_at(now_s)
        facts = shortages.remembered(self._cluster.shortages[number], now_s)
        if known is None:
            known = self._seen[number] = self._build(number, pool)
        if (known.planned, known.planned_ahead, known.shortages) == (planned, ahead, facts):
            return known
        return replace(known, planned=planned, planned_ahead=ahead, shortages=facts)

    def _build(self, number: int, pool: Pool) -> CapacityPool:
        leaving = self._cluster.noticed(number)
        return CapacityPool(
            name=pool.name,
            limit_per_s=pool.limit_per_s,
            usd_per_million_requests=pool.usd_per_million_requests * self._price_factors[number],
            ready=self._cluster.ready(number),
            pending=self._cluster.count(number, State.ASKED, State.PROVISIONING, State.STARTING),
            planned=pool.planned_at(self._clock.now_s),
            min_replicas=pool.min_replicas,
            max_replicas=pool.max_replicas,
            ready_since_s=self._since_s[number],
            shortages=(),
            draining=len(leaving),
            gone_at_s=min((r.gone_at_s for r in leaving if r.gone_at_s is not None), default=0.0),
            starting=self._cluster.count(number, State.PROVISIONING, State.STARTING),
            obtained_s=self._cluster.obtained_s[number],
            at_once=pool.at_once,
        )


class RateMeter:
    """The offered rate as a metrics system has it: scraped now and then, seen late, missing during an outage."""

    def __init__(self, looks: LooksModel) -> None:
        self._looks = looks
        self._counts: deque[tuple[float, int]] = deque([(0.0, 0)])
        self._readings: deque[tuple[float, float]] = deque()

    def scrape(self, now_s: float, count: int) -> None:
        """Requests that had come by now."""
        self._counts.append((now_s, count))
        while self._counts[1][0] <= now_s - self._looks.rate_window_s:
            self._counts.popleft()
        since_s, before = self._counts[0]
        self._readings.append((now_s, (count - before) / (now_s - since_s)))
        while len(self._readings) > 1 and self._readings[1][0] <= now_s - self._looks.rate_lag_s:
            self._readings.popleft()

    def read(self, now_s: float) -> tuple[float | None, float]:
        """The newest rate that can be seen, and its age."""
        seen = [(at_s, rate) for at_s, rate in self._readings if at_s <= now_s - self._looks.rate_lag_s]
        return (seen[-1][1], now_s - seen[-1][0]) if seen else (None, math.inf)


class Shell:
    """One life of a controller. It knows nothing but what it sees and what the cluster holds."""

    def __init__(
        self,
        settings: Settings,
        held: Held,
        pools: Pools,
        meter: RateMeter,
        cluster: Cluster,
        clock: Clock,
        *,
        apply_weights: Callable[[Mapping[str, int]], None],
        tell: Callable[[Decision], None],
        refuse: Callable[[Violation], None],
    ) -> None:
        self._settings, self._held, self._pools, self._meter = settings, held, pools, meter
        self._cluster, self._clock = cluster, clock
        self._apply_weights, self._tell, self._refuse = apply_weights, tell, refuse
        self._numbers = {pool.name: number for number, pool in enumerate(cluster.pools)}
        self._alive = True
        self._api_works = True
        self._seen: tuple[float, tuple[CapacityPool, ...]] | None = None
        self._due_s = math.inf
        self._looked_s = -math.inf
        self._looks = 0
        self._before: Verdict | None = None

    def start(self) -> None:
        self._look_at(self._clock.now_s)

    def die(self) -> None:
        self._alive = False

    def api(self, works: bool) -> None:
        """Whether the API answers from now on."""
        self._api_works = works

    def changed(self) -> None:
        """Something about the pools has changed: one who watches will look."""
        if self._settings.policy.look_every_s is None and self._api_works:
            watched_s = self._clock.now_s + self._settings.looks.watch_s
            self._look_at(max(watched_s, self._looked_s + LOOK_SOONEST_S))

    def _look_at(self, t_s: float) -> None:
        if self._alive and t_s < self._due_s:
            self._due_s = t_s
            self._clock.at(t_s, lambda: self._due(t_s))

    def _due(self, t_s: float) -> None:
        # A look that was brought forward leaves its later appointment behind, which then means nothing.
        if self._alive and t_s == self._due_s:
            self._due_s = math.inf
            self._look()

    def _look(self) -> None:
        now_s = self._looked_s = self._clock.now_s
        settings = self._settings
        observation = self._observe(now_s)
        self._before = reached = verdict.reach(
            observation,
            settings.routing,
            settings.capacity,
            now_s,
            data_plane=settings.data_plane,
            before=self._before,
            restart=self._looks % RESTART_EVERY == 0,
            decide=settings.policy.decide,
        )
        self._looks += 1
        for text in reached.refused:
            self._refuse(Violation(now_s, text))
        if not reached.refused and self._api_works:
            self._act(reached.decision)
        every_s = settings.policy.look_every_s
        self._look_at(reached.decision.next_look_s if every_s is None else now_s + every_s)

    def _observe(self, now_s: float) -> Observation:
        if self._api_works:
            self._seen = (now_s, self._pools.read())
        seen_s, pools = self._seen or (-math.inf, ())
        rate, rate_age_s = self._meter.read(now_s)
        return Observation(pools, rate, rate_age_s, now_s - seen_s, self._held.applied, self._settings.plan_weights)

    def _act(self, decision: Decision) -> None:
        if dict(decision.weights) != dict(self._held.applied.weights):
            self._apply_weights(decision.weights)
        self._held.applied = Applied(decision.weights, decision.mode, decision.mode_since_s, decision.last_shift_s)
        if self._settings.policy.scales:
            for name, count in decision.replicas.items():
                self._cluster.scale(self._numbers[name], count)
        self._tell(decision)


def at_rest(weights: Mapping[str, int], routing: RoutingPolicy) -> Held:
    """What the cluster holds when time begins: the plan's weights, dwelt and settled."""
    long_ago_s = -max(routing.dwell_s, routing.ramp.every_s)
    return Held(Applied(weights, RoutingMode.COST_OPTIMIZED, long_ago_s, long_ago_s))
