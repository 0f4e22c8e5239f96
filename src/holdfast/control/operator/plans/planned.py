"""The plan of one fleet, kept up to date: what `plans` settles, made and written down."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from holdfast.control.operator.account import News, PlanProblem
from holdfast.control.operator.office import Office
from holdfast.control.operator.plans import plan_records, planner, settling
from holdfast.control.operator.plans.planner import Planner
from holdfast.control.operator.plans.settled import Due, Obstacle, Settled, Tried
from holdfast.control.operator.reasons import Reason, Word
from holdfast.control.operator.seeing.seen import Reading, Seen
from holdfast.kube.connection import Connection
from holdfast.kube.errors import KubeError
from holdfast.kube.kinds import Object
from holdfast.manifests import metadata
from holdfast.model.fleet import InferenceFleet
from holdfast.model.plan import Plan
from holdfast.model.status import Proposal
from holdfast.planning import difference

AGAIN_S = 5.0
"""Before a ConfigMap is tried again that could not be written."""

_REASONS = {
    Obstacle.REFUSED: Reason.PLAN_UNUSABLE,
    Obstacle.NO_PLAN: Reason.NO_PLAN,
    Obstacle.UNREADABLE: Reason.PLAN_UNUSABLE,
    Obstacle.OUTDATED: Reason.PLAN_UNUSABLE,
    Obstacle.PLANNING: Reason.NO_PLAN,
    Obstacle.INFEASIBLE: Reason.PLAN_INFEASIBLE,
    Obstacle.FAILED: Reason.PLAN_UNUSABLE,
    Obstacle.WAITS: Reason.PLAN_WAITS,
}

log = logging.getLogger("holdfast.operator")


@dataclass(frozen=True)
class PlanInForce:
    """What holds now.

    next_look_s: when to ask again at the latest; None where only a change makes a difference.
    refused:     whether the spec says what cannot be: then the plan has the one that it was made on, and nothing but
                 traffic goes by it.
    """

    plan: Plan | None
    problem: PlanProblem | None
    proposal: Proposal | None
    news: tuple[News, ...]
    next_look_s: float | None
    refused: bool = False


class Planned:
    """Of one fleet. An async context manager: planning that is going on when it is left is ended.

    changed: called when planning has come to something.
    """

    def __init__(
        self,
        connection: Connection,
        office: Office,
        planner: Planner,
        *,
        clock: Callable[[], float],
        changed: Callable[[], None],
    ) -> None:
        self._connection, self._office, self._planner = connection, office, planner
        self._clock, self._changed = clock, changed
        self._tried: Tried | None = None
        self._making: asyncio.Task[Tried] | None = None
        self._not_before_s = 0.0
        self._before: Settled | None = None
        self._on_trial: dict[str, Object] = {}
        self._priced: tuple[InferenceFleet, Mapping[str, float]] | None = None

    async def settle(self, seen: Seen, reading: Reading) -> PlanInForce:
        """What holds, and what is begun or written so that more will."""
        now_s = self._clock()
        self._collect()
        settled = settling.settle(
            seen.fleet,
            {**seen.config, **self._on_trial},
            highest_per_s=reading.highest_per_s,
            prices_of=self._prices_of,
            tried=self._tried,
            now_s=now_s,
        )
        if settled.due is not None and self._making is None:
            self._begin(settled.due, seen)
        next_s = await self._write(settled, seen, now_s)
        if self._tried is not None and not self._tried.lasting:
            next_s = min(next_s or now_s + settling.RETRY_S, self._tried.ended_s + settling.RETRY_S)
        news = _news(self._before, settled)
        self._before = settled
        refused = settled.obstacle is Obstacle.REFUSED
        return PlanInForce(settled.plan, _problem(settled), settled.proposal, news, next_s, refused)

    def _prices_of(self, fleet: InferenceFleet) -> Mapping[str, float]:
        """Those of the catalogue, which is read once in a process; put together when the fleet is declared anew."""
        if self._priced is None or self._priced[0] is not fleet:
            self._priced = fleet, planner.prices_of(fleet)
        return self._priced[1]

    async def close(self) -> None:
        """Ends planning that is going on."""
        if self._making is not None:
            self._making.cancel()
            await asyncio.wait([self._making])

    def _begin(self, due: Due, seen: Seen) -> None:
        described = seen.fleet["metadata"]
        fleet = f"{described['namespace']}/{described['name']}"
        log.info("planning", extra={"fleet": fleet, "because": "; ".join(due.reasons)})
        self._making = asyncio.create_task(self._planner.make(due), name=f"plan {fleet}")
        self._making.add_done_callback(lambda _: self._changed())

    def _collect(self) -> None:
        if self._making is not None and self._making.done():
            making, self._making = self._making, None
            self._tried = making.result()

    async def _write(self, settled: Settled, seen: Seen, now_s: float) -> float | None:
        """Writes the ConfigMaps that are due. When to try again; None where nothing failed."""
        if not settled.writes:
            return None
        if not self._office.acts:
            # Remembered instead, so that a trial goes on as if they had been written.
            self._on_trial |= {one["metadata"]["name"]: one for one in settled.writes}
            for one in settled.writes:
                log.info("would write", extra=_about(one) | {"what": f"apply: {_reason(one)}"})
            self._changed()
            return None
        if now_s < self._not_before_s or not self._office.leads():
            return max(self._not_before_s, now_s)
        try:
            for one in settled.writes:
                live = seen.config.get(one["metadata"]["name"])
                version = None if live is None else live["metadata"]["resourceVersion"]
                await self._connection.apply(one, resource_version=version)
                log.info("applied", extra=_about(one) | {"because": _reason(one)})
        except KubeError as error:
            self._not_before_s = now_s + AGAIN_S
            log.warning("plan not written", extra={"because": str(error)})
            return self._not_before_s
        return None


def _about(config_map: Object) -> dict[str, str]:
    """For the log."""
    described = config_map["metadata"]
    return {"object": f"ConfigMap/{described['name']}", "namespace": described["namespace"]}


def _reason(config_map: Object) -> str:
    return str(config_map["metadata"]["annotations"][metadata.REASON])


def _problem(settled: Settled) -> PlanProblem | None:
    """Why the plan that is asked for does not run, where somebody should know."""
    if settled.obstacle is None or (settled.obstacle is Obstacle.PLANNING and settled.plan is not None):
        return None
    return PlanProblem(_REASONS[settled.obstacle], settled.message)


def _news(before: Settled | None, after: Settled) -> tuple[News, ...]:
    if before is None:
        return ()
    told = []
    if after.proposal is not None and (before.proposal is None or before.proposal.id != after.proposal.id):
        said = f"{after.proposal.reason}: {after.proposal.difference}"
        told.append(News(Word.PLAN_PROPOSED, said, after.proposal.id))
    if before.proposal is not None and after.proposal is None and after.writes:
        told.append(News(Word.PLAN_APPROVED, f"Plan {before.proposal.id} is let through."))
    old, new = before.plan, after.plan
    # Most looks find the same plan; an identity takes a millisecond.
    if old is None or new is None or old == new:
        return tuple(told)
    identity = plan_records.identity(new)
    if plan_records.identity(old) != identity:
        said = " ".join(difference.sentences(new, old))
        told.append(News(Word.PLAN_CHANGED, f"Another plan runs: {said}", identity))
    return tuple(told)
