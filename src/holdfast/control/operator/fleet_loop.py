"""One fleet: look at it, steer it, tell of it; and wait until something changes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
from collections.abc import Callable
from dataclasses import replace

from holdfast.control.operator.account import Account, PlanProblem
from holdfast.control.operator.keeping.desired import Desired
from holdfast.control.operator.metrics.readings import Readings
from holdfast.control.operator.plans import plan_records
from holdfast.control.operator.plans.planned import Planned
from holdfast.control.operator.reasons import Reason
from holdfast.control.operator.seeing.seen import Reading, Seen
from holdfast.control.operator.seeing.sight import FleetKey, Sight
from holdfast.control.operator.seeing.watches import Watches
from holdfast.control.operator.steering import Steered, Steering
from holdfast.control.operator.telling import by_hand
from holdfast.control.operator.telling.exported import Exported
from holdfast.control.operator.telling.teller import Teller
from holdfast.model.errors import InputError
from holdfast.model.fleet import RoutingPolicy
from holdfast.model.plan import Plan

SETTLE_S = 0.05
"""From a change to the look at it: changes come in groups."""

SOONEST_S = 0.2
"""Between two looks at least, however much changes."""

LATEST_S = 30.0
"""Between two looks at most: what is only compared with the clock is due by then."""

AGAIN_S, AGAIN_MOST_S = 1.0, 60.0
"""After a look that failed; doubled each time. Something new is looked at after the first of them at the latest."""

SYNC_S = 15.0
"""How long a loop that starts waits to see its fleet whole before it says that it cannot."""

FIRST_RATE_S = 2.0
"""How long a loop that starts waits for the rate: without it a decision is another than that of who led before."""

log = logging.getLogger("holdfast.operator")


class FleetLoop:
    """One fleet, from our first look at it to our last."""

    def __init__(
        self,
        key: FleetKey,
        *,
        sight: Sight,
        watches: Watches,
        planned: Planned,
        readings: Readings,
        steering: Steering,
        teller: Teller,
        exported: Exported,
        clock: Callable[[], float],
        chance: random.Random,
    ) -> None:
        self._key, self._sight, self._watches = key, sight, watches
        self._planned, self._readings, self._steering = planned, readings, steering
        self._teller, self._exported, self._clock, self._chance = teller, exported, clock, chance
        self._changed = asyncio.Event()
        self._changed_s: float | None = None
        self._ending = asyncio.Event()
        self._started_s = clock()

    def changed(self) -> None:
        """Something new was told of the fleet."""
        if self._changed_s is None:
            self._changed_s = self._clock()
        self._changed.set()

    def end(self) -> None:
        """The look that is going on is the last."""
        self._ending.set()
        self._changed.set()

    async def run(self) -> None:
        """Looks whenever something changed, and when time alone changes something."""
        failed = 0
        # By the loop's time: a clock that is set must not keep anybody waiting.
        time = asyncio.get_running_loop().time
        try:
            while not self._ending.is_set():
                began_s = time()
                self._changed.clear()
                try:
                    wait_s = min(LATEST_S, await self._look() - self._clock())
                    failed = 0
                except Exception as error:
                    # A fault of ours must not take other fleets down, and may be of this moment alone.
                    log.exception("look failed", extra={"fleet": "/".join(self._key)})
                    failed += 1
                    wait_s = min(AGAIN_MOST_S, AGAIN_S * 2.0 ** min(failed, 10)) * self._chance.random()
                    await self._confess(error)
                await self._within(wait_s, self._changed)
                soonest_s = AGAIN_S if failed else SOONEST_S
                await self._within(max(began_s + soonest_s - time(), SETTLE_S), self._ending)
        finally:
            await self._planned.close()

    async def _within(self, wait_s: float, event: asyncio.Event) -> None:
        """Until the event, for so long at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, wait_s)):
                await event.wait()

    async def _look(self) -> float:
        """One look. When the next is due at the latest."""
        changed_s, self._changed_s = self._changed_s, None
        now_s = self._clock()
        seen = self._sight.seen(self._key, self._watches.age_s(self._key[0], now_s))
        if "deletionTimestamp" in seen.fleet["metadata"]:
            return now_s + LATEST_S
        if math.isinf(seen.age_s) and now_s < self._started_s + SYNC_S:
            return now_s + SOONEST_S
        reading = self._readings.read(self._key, now_s)
        unlisted = self._watches.plans_unlisted(self._key[0])
        if unlisted:
            # To plan anew would write over a plan, and without measurements that are there.
            problem = PlanProblem(Reason.NO_PLAN, unlisted)
            await self._teller.tell(Account(now_s, seen.fleet, RoutingPolicy(), plan_problem=problem))
            return now_s + LATEST_S
        standing = await self._planned.settle(seen, reading)
        account = Account(
            now_s,
            seen.fleet,
            RoutingPolicy(),
            plan=standing.plan,
            plan_problem=standing.problem,
            proposal=standing.proposal,
            news=standing.news,
        )
        steered: Steered | None = Steered(account, now_s + LATEST_S)
        if standing.plan is not None:
            steered = await self._steered(account, standing.plan, seen, reading, refused=standing.refused)
        if steered is None:
            self._changed_s = changed_s
            return self._started_s + FIRST_RATE_S
        again_s = await self._teller.tell(steered.account)
        if changed_s is not None:
            self._answered(changed_s, steered)
        dues = (now_s + LATEST_S, standing.next_look_s, steered.next_look_s, again_s)
        return min(at_s for at_s in dues if at_s is not None)

    async def _steered(
        self, account: Account, plan: Plan, seen: Seen, reading: Reading, *, refused: bool
    ) -> Steered | None:
        """What came of steering by the plan; None while it is worth waiting for the first rate."""
        spec = plan.fleet.spec
        account = replace(account, routing=by_hand.policy(spec.routing, by_hand.override(seen.fleet)))
        wanted: Desired | None = None
        if not refused:
            try:
                wanted = self._steering.wanted(plan, seen.fleet)
            except InputError as error:
                account = replace(account, plan_problem=PlanProblem(Reason.PLAN_UNUSABLE, str(error)))
        whole = wanted is not None
        if wanted is None:
            wanted = self._steering.before(plan_records.as_made(seen.fleet, seen.config), seen.fleet)
        if wanted is None:
            return Steered(replace(account, plan=None), account.now_s + LATEST_S)
        account = replace(account, plan=wanted.plan)
        self._readings.ask(self._key, wanted.placed)
        if not self._readings.tried(self._key) and account.now_s < self._started_s + FIRST_RATE_S:
            return None
        return await self._steering.steer(account, wanted, seen, reading, self._watches.unseen(self._key[0]), whole)

    def _answered(self, changed_s: float, steered: Steered) -> None:
        """Times what began with that change, and ended with weights that leave lost capacity."""
        if steered.left_s is not None:
            self._exported.reacted(*self._key, steered.left_s - changed_s)
        elif steered.due:
            self._changed_s = changed_s

    async def _confess(self, error: Exception) -> None:
        """Tells of a look that failed; what that fails with is logged as well, for it is no better a reason to end."""
        fleet = self._sight.fleets.get(self._key)
        if fleet is None:
            return
        why = f"{type(error).__name__}: {error}"
        try:
            await self._teller.tell(Account(self._clock(), fleet, RoutingPolicy(), error=why))
        except Exception:
            log.exception("failure not told", extra={"fleet": "/".join(self._key)})
