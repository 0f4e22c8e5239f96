"""The wave: load through the data plane while the cheapest pool is withdrawn and later returned."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from holdfast.load import pacers
from holdfast.load.generator import Generator
from holdfast.load.http import Client, Exchange, Target
from holdfast.load.recorder import Recorder
from holdfast.local import fleet as fleets
from holdfast.local.demo.staging import Course, Staging
from holdfast.local.envoy_config import POOL_HEADER
from holdfast.local.fleet import LocalFleet, Patience, PoolSpec
from holdfast.local.steer import Steering, Tick
from holdfast.model.plan import Plan, PoolPlan
from holdfast.model.pools import RoutingMode
from holdfast.model.records import Outcome

_TIMEOUT_S = 30.0
SHORTAGE_S = 2.0
GRACE_S = 5.0


@dataclass(frozen=True)
class Answered:
    """One request of the wave: times on the wall clock from its start, and the pool that answered ("" for none).

    intended_s: when it was due; sent_s: when the client got round to it, late where the machine stalled.
    """

    intended_s: float
    sent_s: float
    end_s: float
    ok: bool
    pool: str


@dataclass(frozen=True)
class Wave:
    """What happened. Times are seconds of the wall clock from the start of the wave.

    lost:        the pool that was withdrawn at withdrawn_s and returned at restored_s.
    answers:     every request, in the order of their ends; ticks: every look of the controller.
    """

    lost: str
    withdrawn_s: float
    restored_s: float
    duration_s: float
    answers: tuple[Answered, ...]
    ticks: tuple[Tick, ...]

    @property
    def failed(self) -> int:
        return sum(not answer.ok for answer in self.answers)

    @property
    def left_s(self) -> float:
        """From the loss until weights without the lost pool were in force in Envoy; NaN when they never were."""
        for tick in self.ticks:
            if tick.now_s >= self.withdrawn_s and not tick.refused and not tick.decision.weights[self.lost]:
                return tick.done_s - self.withdrawn_s
        return math.nan

    @property
    def back_s(self) -> float:
        """From the return of the capacity until the fleet was cost-optimised again; NaN when it never was."""
        later = [tick for tick in self.ticks if tick.now_s >= self.restored_s]
        for tick, following in itertools.pairwise(later):
            if tick.decision.mode is not following.decision.mode is RoutingMode.COST_OPTIMIZED:
                return following.now_s - self.restored_s
        return math.nan


@dataclass
class _Log:
    """Collects answers and ticks while the wave runs; `zero_s` is its start on the monotonic clock."""

    zero_s: float = 0.0
    answers: list[Answered] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)

    def answered(self, intended_s: float, exchange: Exchange, recorder_zero_s: float) -> None:
        pool = exchange.headers.get(POOL_HEADER.encode(), b"").decode("latin-1")
        ok = exchange.outcome is Outcome.OK
        sent_s, end_s = exchange.sent_s - recorder_zero_s, exchange.end_s - recorder_zero_s
        self.answers.append(Answered(intended_s, sent_s, end_s, ok, pool))


async def ride(staging: Staging, plan: Plan, directory: Path, tell: Callable[[str], None]) -> Wave:
    """Runs the plan's fleet through the wave. Raises HoldfastError when the fleet does not come up."""
    spec = plan.fleet.spec
    cheapest = min(plan.pools, key=lambda pool: pool.usd_per_million_requests).unit
    specs = [_spec(staging, pool) for pool in plan.pools]
    weights = {pool.unit: pool.weight for pool in plan.pools}
    patience = Patience(start_s=staging.start_s, shortage_s=SHORTAGE_S, grace_s=GRACE_S)
    log = _Log()
    async with fleets.running(specs, directory, weights=weights, patience=patience) as fleet:
        await fleet.wait_ready(staging.start_s)
        steering = Steering(
            fleet,
            staging.on_the_wall(spec.routing),
            spec.capacity,
            plan_weights=weights,
            clock=time.monotonic,
            tell=log.ticks.append,
        )
        async with asyncio.TaskGroup() as tasks:
            steers = tasks.create_task(steering.run(), name="steer the fleet")
            event = _withdraw_and_return(fleet, cheapest, staging.course, log, tell)
            events = tasks.create_task(event, name="withdraw and return")
            await _load(staging, plan, fleet.url, log, tell)
            await events
            steers.cancel()
    withdrawn_s, restored_s = events.result()
    return Wave(
        lost=cheapest,
        withdrawn_s=withdrawn_s,
        restored_s=restored_s,
        duration_s=staging.course.duration_s,
        answers=tuple(log.answers),
        ticks=tuple(_since(log.zero_s, tick) for tick in log.ticks),
    )


def _spec(staging: Staging, pool: PoolPlan) -> PoolSpec:
    """The plan is in the units' time; the fleet and its controller live on the wall clock."""
    spec = PoolSpec.of(pool, lambda _: staging.command(pool.unit), staging.readiness)
    return replace(spec, limit_per_s=spec.limit_per_s * staging.time_scale)


async def _load(staging: Staging, plan: Plan, url: str, log: _Log, tell: Callable[[str], None]) -> None:
    spec = plan.fleet.spec
    scale, duration_s = staging.time_scale, staging.course.duration_s
    low, high = spec.demand.rate_per_s * scale, spec.demand.planned_per_s * scale
    client = Client(Target.parse(url), timeout_s=_TIMEOUT_S)
    recorder = Recorder(time.perf_counter())
    log.zero_s = time.monotonic()
    generator = Generator(
        client,
        spec.workload,
        spec.model.id,
        recorder,
        recipe=staging.recipe,
        stream=False,
        watch=lambda intended_s, exchange: log.answered(intended_s, exchange, recorder.zero_s),
    )
    times = pacers.schedule(pacers.Cosine(low, high, duration_s), duration_s, 0, pacers.poisson_points)
    tell(f"{len(times)} requests over {duration_s:.0f} s: a wave from {low:.0f}/s to {high:.0f}/s and back")
    try:
        await generator.offer(times, stage=0, patience_s=_TIMEOUT_S)
    finally:
        await client.close()


async def _withdraw_and_return(
    fleet: LocalFleet, pool: str, course: Course, log: _Log, tell: Callable[[str], None]
) -> tuple[float, float]:
    await asyncio.sleep(course.withdraw_s)
    withdrawn_s = time.monotonic() - log.zero_s
    await fleet.withdraw(pool)
    tell(f"{pool} is withdrawn: its replicas are killed with requests in progress, and new ones are refused")
    await asyncio.sleep(course.restore_s - course.withdraw_s)
    restored_s = time.monotonic() - log.zero_s
    fleet.restore(pool)
    tell(f"{pool} may have capacity again")
    return withdrawn_s, restored_s


def _since(zero_s: float, tick: Tick) -> Tick:
    return Tick(tick.now_s - zero_s, tick.done_s - zero_s, tick.observation, tick.decision, tick.refused)
